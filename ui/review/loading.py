"""Reading the objects to review, in the background."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qgis.core import QgsFeatureRequest, QgsVariantUtils, QgsVectorLayer

from ..layers import shown_classes
from ..results.background import Work
from ..results.counting import CHECK_EVERY, open_whole, whole_source
from ..results.filter import DRAWN, REVIEW, Filter
from ..results.origin import Origin
from .queue import Candidate


@dataclass(frozen=True)
class Objects:
    """Objects to choose from, and the first number that no object has."""

    candidates: list[Candidate]
    next_id: int


def reading(layer: QgsVectorLayer, origin: Origin, shown: Filter, of_model: bool) -> Callable[[Work], Objects]:
    """Prepare, in the main thread, the work that reads what there is to review.

    That is what the filter and the legend show, with what has been rejected. `of_model`: what the model has found by
    the same filter, whatever a person has said of it: only that is fair to draw a sample from.
    """
    source = whole_source(layer)
    subset = Filter(shown.threshold, shown.smallest_m2, shown.largest_m2, True).subset(
        origin.area_field, origin.reviewed and not of_model
    )
    hidden = {name for name, (_, visible) in shown_classes(layer).items() if not visible}

    def read(work: Work) -> Objects:
        whole = open_whole(source)
        place = whole.fields().indexFromName("id")
        next_id = int(whole.maximumValue(place) or 0) + 1
        whole.setSubsetString(subset)
        candidates = []
        for number, feature in enumerate(whole.getFeatures(QgsFeatureRequest())):
            if number % CHECK_EVERY == 0:
                work.stop_if_cancelled()
            state = "" if not origin.reviewed else _text(feature[REVIEW])
            if feature["class"] in hidden or (of_model and state == DRAWN) or not feature.hasGeometry():
                continue
            middle = feature.geometry().boundingBox().center()
            score = None if QgsVariantUtils.isNull(feature["score"]) else feature["score"]
            candidates.append(Candidate(feature.id(), middle.x(), middle.y(), score, state))
        return Objects(candidates, next_id)

    return read


def _text(value: object) -> str:
    return "" if QgsVariantUtils.isNull(value) else str(value)
