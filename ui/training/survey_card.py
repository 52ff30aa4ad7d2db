"""What there is to learn from, on a card beside the form: objects, sizes, anchors, device and time, warnings."""

from __future__ import annotations

from html import escape
from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QWidget

from ..fact_card import FactCard, wrapped
from ..told import tr_core
from ..wording import duration, tr
from .sizes import SizeHistogram

SPLITS = ("train", "val", "test")


class SurveyCard(FactCard):
    """Shows the facts of a survey as they come; never waits for them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        names = (("pixels", tr("Pixels")), ("anchors", tr("Anchors")), ("device", tr("Device")))
        super().__init__(tr("What there is to learn from"), names, parent)
        self.setToolTip(tr("What the training would be like; nothing has been started"))
        self.classes = wrapped()
        self.classes.setTextFormat(Qt.TextFormat.RichText)
        self.sizes = SizeHistogram()
        self.sizes.setToolTip(tr("How large the objects are, in pixels of the model"))
        self.body.addWidget(self.classes)
        self.body.addWidget(self.sizes)
        self.show_waiting()

    def show_waiting(self) -> None:
        """Say that the labels are being read."""
        self._show(tr("Reading the labels…"), {}, [])

    def show_problem(self, sentence: str) -> None:
        """Show why a training could not be started as the form stands."""
        self._show(tr("Not ready yet"), {}, [sentence])

    def show_facts(self, facts: dict[str, Any]) -> None:
        """Show what is known; device and time come last."""
        total = sum(sum(counts.values()) for counts in facts["classes"].values())
        headline = tr("{n} objects").format(n=f"{total:,}")
        if "seconds" in facts:
            headline = tr("{objects}, about {duration} for {n} epochs").format(
                objects=headline, duration=duration(facts["seconds"]), n=facts["epochs"]
            )
        self._show(headline, facts, [tr_core(text) for text in facts["warnings"]])

    def _show(self, headline: str, facts: dict[str, Any], warnings: list[str]) -> None:
        self.headline.setText(headline)
        self.classes.setVisible(bool(facts))
        notices = "".join(f"<p>{escape(tr_core(text))}</p>" for text in facts.get("notices", ()))
        self.classes.setText(_table(facts["classes"]) + notices if facts else "")
        self.sizes.setVisible(bool(facts))
        if facts:
            self.sizes.set_counts(facts["anchors"]["histogram"]["edges_px"], facts["anchors"]["histogram"]["counts"])
        for key, say in (("pixels", _pixels), ("anchors", _anchors), ("device", _device)):
            self.set_fact(key, say(facts) if facts else "–")
        self.show_cautions([(text, "") for text in warnings])


def _table(classes: dict[str, dict[str, int]]) -> str:
    """Objects of each class: to learn from, to choose on, to test with."""
    heads = ("", tr("learn"), tr("choose"), tr("test"))
    rows = [[name, *(f"{counts[split]:,}" for split in SPLITS)] for name, counts in classes.items()]
    head = "".join(f"<td align='right'><i>{text}&nbsp;&nbsp;</i></td>" for text in heads)
    lines = "".join(
        f"<tr><td><b>{row[0]}</b>&nbsp;&nbsp;</td>"
        + "".join(f"<td align='right'>{text}&nbsp;&nbsp;</td>" for text in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{lines}</table>"


def _pixels(facts: dict[str, Any]) -> str:
    size = facts["resolution_m"]
    own = tr("{size:.2g} m on the ground").format(size=size) if size is not None else tr("size on the ground unknown")
    return tr("{own}; objects are {n:g} pixels wide (median)").format(own=own, n=facts["anchors"]["median_px"])


def _anchors(facts: dict[str, Any]) -> str:
    chosen, default = facts["anchors"]["chosen"], facts["anchors"]["default"]
    return tr("{sizes} pixels reach {reached:.0%} of the objects; the usual ones would reach {default:.0%}").format(
        sizes=", ".join(f"{size:g}" for size in chosen["sizes"]), reached=chosen["reached"], default=default["reached"]
    )


def _device(facts: dict[str, Any]) -> str:
    return tr_core(facts["device"]) if "device" in facts else tr("Trying a step…")
