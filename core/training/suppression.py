"""From which overlap on two detections of a class are one object, as the labels tell."""

from collections.abc import Iterable

import numpy as np

from ..detections.cells import iou, overlapping_pairs
from .pictures import Picture

APART, USUAL = 0.3, 0.5
MOST_CROWDED = 0.001  # share of the objects that may overlap another by more


def suppression_overlap(pictures: Iterable[Picture]) -> float:
    """IoU 0.3 where the objects on training pictures hardly ever overlap another of their class by more, else 0.5.

    Where objects lie apart, a second box at an IoU of 0.3 to 0.5 is a duplicate; where they crowd, a neighbour.
    """
    objects = crowded = 0
    for picture in pictures:
        truth = picture.truth if picture.truth.ignore is None else picture.truth.take(~picture.truth.ignore)
        i, j = overlapping_pairs(truth.boxes, truth.labels)
        close = iou(truth.boxes[i], truth.boxes[j]) > APART
        objects += len(truth)
        crowded += len(np.union1d(i[close], j[close]))
    return APART if crowded <= MOST_CROWDED * objects else USUAL
