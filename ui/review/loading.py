"""Reading the objects to review, in the background."""

from __future__ import annotations

import random
from collections.abc import Callable

from qgis.core import Qgis, QgsFeatureRequest, QgsVariantUtils, QgsVectorLayer

from ..background import Work
from ..layers import shown_classes
from ..results.counting import CHECK_EVERY, open_rows, whole_source
from ..results.filter import DRAWN, REVIEW, Filter
from ..results.origin import Origin
from .queue import Candidate, Objects, drawn_at_random


def reading(layer: QgsVectorLayer, origin: Origin, shown: Filter, sampled: bool) -> Callable[[Work], Objects]:
    """Prepare, in the main thread, the work that reads what there is to review.

    That is what the filter and the legend show, with what has been rejected. `sampled`: some, drawn at random from what
    the model has found by the same filter, whatever a person has said of it: nothing else would be fair.
    """
    subset = Filter(shown.threshold, shown.smallest_m2, shown.largest_m2, True).subset(
        origin.area_field, origin.reviewed and not sampled
    )
    rows = open_rows(whole_source(layer), subset)
    whole = open_rows(whole_source(layer))
    hidden = {name for name, (_, visible) in shown_classes(layer).items() if not visible}

    def read(work: Work) -> Objects:
        place = whole.fields.indexFromName("id")
        request = QgsFeatureRequest().setFlags(Qgis.FeatureRequestFlag.NoGeometry).setSubsetOfAttributes([place])
        next_id = max((int(feature.attribute(place) or 0) for feature in whole.features(request)), default=0) + 1
        candidates = []
        for number, feature in enumerate(rows.features()):
            if number % CHECK_EVERY == 0:
                work.stop_if_cancelled()
            state = "" if not origin.reviewed else _text(feature[REVIEW])
            if feature["class"] in hidden or (sampled and state == DRAWN) or not feature.hasGeometry():
                continue
            middle = feature.geometry().boundingBox().center()
            score = None if QgsVariantUtils.isNull(feature["score"]) else feature["score"]
            candidates.append(Candidate(feature.id(), middle.x(), middle.y(), score, state))
        return Objects.of(drawn_at_random(candidates, random.SystemRandom()) if sampled else candidates, next_id)

    return read


def _text(value: object) -> str:
    return "" if QgsVariantUtils.isNull(value) else str(value)
