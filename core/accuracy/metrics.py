"""The field's metrics over many images: average precision, precision, recall, F1, and the best threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..detections.detections import Detections
from .matching import find_overlaps, match

Images = Sequence[tuple[Detections, Detections]]  # per image: what was found, and the truth, in one frame

COCO_IOUS = tuple(round(0.5 + 0.05 * k, 2) for k in range(10))
RECALL_POINTS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Counts:
    """How many objects were found, made up and missed."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Part of the detections that are true; 0 where nothing was detected."""
        return self.true_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> float:
        """Part of the truth that was found; 0 where there is no truth."""
        return self.true_positives / max(self.true_positives + self.false_negatives, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 where there is neither truth nor detection."""
        return 2 * self.true_positives / max(2 * self.true_positives + self.false_positives + self.false_negatives, 1)


@dataclass(frozen=True, eq=False)
class Curve:
    """Every detection that counts, by falling score, and what holds for the first k of them.

    `score` (N,); `hit` (N,) bool: it found a true object; `truth`: how many there are. At place k, `true_positives`,
    `precision`, `recall` and `f1` (N,) are those of the first k + 1 detections.
    """

    score: np.ndarray
    hit: np.ndarray
    truth: int

    @property
    def true_positives(self) -> np.ndarray:
        """Hits so far (N,)."""
        return np.cumsum(self.hit)

    @property
    def precision(self) -> np.ndarray:
        """Precision so far (N,)."""
        return self.true_positives / np.arange(1, len(self.hit) + 1)

    @property
    def recall(self) -> np.ndarray:
        """Recall so far (N,)."""
        return self.true_positives / max(self.truth, 1)

    @property
    def f1(self) -> np.ndarray:
        """F1 so far (N,)."""
        return 2 * self.true_positives / (np.arange(1, len(self.hit) + 1) + self.truth)


class Assessment:
    """Detections of many images against their truth, each compared once and asked many questions.

    Detections are matched within their image and class. `label=None` takes all classes together, except for average
    precision, where it takes the mean over the classes that have truth, as COCO does.
    """

    def __init__(self, images: Images) -> None:
        detected, truth = (Detections.concatenate([pair[side] for pair in images]) for side in (0, 1))
        kinds = int(max(detected.labels.max(initial=0), truth.labels.max(initial=0))) + 1
        self._detected, self._truth = (
            replace(both, labels=_image_of(images, side) * kinds + both.labels)  # found and true within their image
            for side, both in enumerate((detected, truth))
        )
        self._labels = detected.labels
        self._true_labels = truth.labels if truth.ignore is None else truth.labels[~truth.ignore]
        self._overlaps = find_overlaps(self._detected, self._truth)
        self._ranked: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self.labels: tuple[int, ...] = tuple(np.unique(self._true_labels).tolist())

    @property
    def scores(self) -> np.ndarray:
        """Scores (N,) of all detections, image by image."""
        return self._detected.scores

    def ranked(self, iou: float) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the detections that count, by falling score, and whether each found a true object."""
        if iou not in self._ranked:
            matches = match(self._detected, self._truth, iou, self._overlaps)
            order = np.argsort(-self._detected.scores, kind="stable")
            order = order[~matches.excused[order]]
            self._ranked[iou] = order, matches.taken[order] >= 0
        return self._ranked[iou]

    def curve(self, iou: float, label: int | None = None) -> Curve:
        """Precision and recall as the threshold falls, for one class or all together."""
        order, hit = self.ranked(iou)
        if label is None:
            return Curve(self._detected.scores[order], hit, len(self._true_labels))
        chosen = self._labels[order] == label
        return Curve(self._detected.scores[order[chosen]], hit[chosen], int((self._true_labels == label).sum()))

    def average_precision(self, iou: float, label: int | None = None) -> float:
        """Area under the precision-recall curve at 101 recall points (pycocotools); NaN where there is no truth."""
        if label is None:
            each = [self.average_precision(iou, known) for known in self.labels]
            return float(np.mean(each)) if each else np.nan
        curve = self.curve(iou, label)
        if not curve.truth:
            return np.nan
        envelope = np.maximum.accumulate(curve.precision[::-1])[::-1]
        at = np.searchsorted(curve.recall, RECALL_POINTS, side="left")
        return float(np.append(envelope, 0)[at].mean())

    def average_precision_50_95(self, label: int | None = None) -> float:
        """Mean of the average precision at IoU .50, .55 to .95: COCO's headline."""
        return float(np.mean([self.average_precision(iou, label) for iou in COCO_IOUS]))

    def counts(self, threshold: float, iou: float, label: int | None = None) -> Counts:
        """Count what is right and wrong among detections that score at least `threshold`."""
        curve = self.curve(iou, label)
        above = int((curve.score >= threshold).sum())
        hits = int(curve.hit[:above].sum())
        return Counts(hits, above - hits, curve.truth - hits)

    def best_threshold(self, iou: float, label: int | None = None) -> float:
        """Score from which on detections give the highest F1 at this IoU; NaN where no detection is true.

        Of equal values the highest score, so that nothing is taken in without gain.
        """
        curve = self.curve(iou, label)
        if not curve.hit.any():
            return np.nan
        last = np.append(curve.score[1:] != curve.score[:-1], True)  # equal scores pass a threshold together
        return float(curve.score[np.argmax(np.where(last, curve.f1, -1))])


def average_precision(images: Images, iou: float, label: int | None = None) -> float:
    """Average precision of detections over images; see `Assessment.average_precision`."""
    return Assessment(images).average_precision(iou, label)


def best_threshold(images: Images, iou: float, label: int | None = None) -> float:
    """Score that gives the highest F1 over images; see `Assessment.best_threshold`."""
    return Assessment(images).best_threshold(iou, label)


def _image_of(images: Images, side: int) -> np.ndarray:
    """Index of the image of each row, in the concatenation of one side."""
    return np.repeat(np.arange(len(images)), [len(pair[side]) for pair in images])
