"""What the page of a review says of an object, and of what was decided."""

from __future__ import annotations

from html import escape

from qgis.core import QgsFeature, QgsVariantUtils
from qgis.PyQt.QtGui import QColor

from ..results.filter import ACCEPTED, CHANGED, DOUBTFUL, DRAWN, REJECTED, REVIEW
from ..wording import class_name, tr
from .queue import Queue


def state_word(state: str) -> str:
    """Word for a state as the user reads it."""
    words = {
        ACCEPTED: tr("accepted"),
        REJECTED: tr("rejected"),
        CHANGED: tr("corrected"),
        DRAWN: tr("drawn"),
        DOUBTFUL: tr("unsure"),
    }
    return words.get(state, state)


def object_words(feature: QgsFeature, color: QColor | None) -> str:
    """Describe an object in rich text: its class with its colour, its score, number and state."""
    square = f'<span style="color:{color.name()}">&#9632;</span> ' if color is not None else ""
    score, state = feature["score"], feature[REVIEW]
    parts = (
        "" if QgsVariantUtils.isNull(score) else tr("confidence {score:.2f}").format(score=score),
        tr("number {id}").format(id=feature["id"]),
        "" if QgsVariantUtils.isNull(state) or not state else f"<b>{state_word(str(state))}</b>",
    )
    title = f'<span style="font-size:large"><b>{square}{escape(class_name(str(feature["class"])))}</b></span>'
    return f"{title}<br>{' · '.join(part for part in parts if part)}"


def decided_words(queue: Queue) -> str:
    """Say how many objects were decided in which way."""
    states = (ACCEPTED, REJECTED, CHANGED, DOUBTFUL, DRAWN)
    return " · ".join(f"{queue.count(state):,} {state_word(state)}" for state in states if queue.count(state))
