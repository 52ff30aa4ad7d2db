"""Which detection found which true object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..detections.cells import area, intersection, iou, overlapping_pairs_between
from ..detections.detections import Detections


@dataclass(frozen=True, eq=False)
class Matches:
    """The outcome of matching N detections with truth at one IoU.

    `taken` (N,) int64: the true object each detection found, -1 for none. `excused` (N,) bool: found none, but lies on
    ignored truth, so it is no false detection either.
    """

    taken: np.ndarray
    excused: np.ndarray


@dataclass(frozen=True, eq=False)
class Overlaps:
    """All pairs of a detection and a true object of one class that share an area.

    `detected` and `truth` (P,) indexes; `iou` (P,); `covered` (P,): the part of the detection
    that the true object covers.
    """

    detected: np.ndarray
    truth: np.ndarray
    iou: np.ndarray
    covered: np.ndarray


def find_overlaps(detected: Detections, truth: Detections) -> Overlaps:
    """Compare detections with truth of the same label; both in one frame."""
    d, t = overlapping_pairs_between(detected.boxes, truth.boxes, detected.labels, truth.labels)
    a, b = detected.boxes[d].astype(np.float64), truth.boxes[t].astype(np.float64)
    return Overlaps(d, t, iou(a, b), area(intersection(a, b)) / area(a))


def match(detected: Detections, truth: Detections, at_iou: float, overlaps: Overlaps | None = None) -> Matches:
    """Match greedily: by falling score, each detection takes the free true object of highest IoU, at least `at_iou`.

    Equal scores keep their order. Ignored truth is taken by nobody; a detection that found nothing else is excused if
    ignored truth covers at least `at_iou` of it (COCO's rule for crowds: Lin et al. 2014, pycocotools). `overlaps`:
    what `find_overlaps` gave, to match at several IoUs.
    """
    found = find_overlaps(detected, truth) if overlaps is None else overlaps
    ignored = np.zeros(len(truth), bool) if truth.ignore is None else truth.ignore
    rank = np.empty(len(detected), np.int64)
    rank[np.argsort(-detected.scores, kind="stable")] = np.arange(len(detected))
    use = np.flatnonzero((found.iou >= at_iou) & ~ignored[found.truth])
    use = use[np.lexsort((found.truth[use], -found.iou[use], rank[found.detected[use]]))]
    taken, free = [-1] * len(detected), [True] * len(truth)
    for d, t in zip(found.detected[use].tolist(), found.truth[use].tolist(), strict=True):
        if taken[d] < 0 and free[t]:
            taken[d], free[t] = t, False
    taken = np.array(taken, np.int64)
    excused = np.zeros(len(detected), bool)
    excused[found.detected[(found.covered >= at_iou) & ignored[found.truth]]] = True
    return Matches(taken, excused & (taken < 0))
