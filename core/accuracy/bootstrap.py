"""Figures of images drawn anew, and how sure they are: intervals, also of what one model does better than another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .metrics import COCO_IOUS, RECALL_POINTS, Assessment, Images

DRAWS = 200  # of the bootstrap
WIDTH = (2.5, 97.5)  # percentiles that bound an interval


class Redrawn:
    """Detections of images against their truth, at one IoU and threshold, for any number of times each image counts.

    Images are drawn whole: objects on one are alike, so that single objects would make intervals too narrow (bootstrap
    by cluster: Efron & Tibshirani 1993). Each image is compared with its truth once.
    """

    def __init__(self, images: Images, iou: float, threshold: float) -> None:
        self._assessment = Assessment(images)
        self._iou, self._threshold, self._count = iou, threshold, len(images)
        kept = [pair[1].labels if pair[1].ignore is None else pair[1].labels[~pair[1].ignore] for pair in images]
        self._truth = {label: np.array([int((held == label).sum()) for held in kept]) for label in self.labels}
        self._image = np.repeat(np.arange(len(images)), [len(pair[0]) for pair in images])
        self._label = np.concatenate([np.zeros(0, np.int64), *(pair[0].labels for pair in images)])

    @property
    def labels(self) -> tuple[int, ...]:
        """Labels that have truth."""
        return self._assessment.labels

    def objects(self, times: np.ndarray) -> int:
        """Objects on images that count so many times each (N,)."""
        return int(sum(int(held @ times) for held in self._truth.values()))

    def figures(self, times: np.ndarray | None = None) -> dict[str, float]:
        """AP at IoU 0.3, 0.5 and 0.5 to 0.95; precision, recall and F1 at the IoU and threshold; each image counts
        `times` (N,), or once."""
        times = np.ones(self._count, np.int64) if times is None else times
        hits, wrong, missed = self.counts(times)
        main = self.main_figures(times)
        return {
            "ap30": main["ap30"],
            "ap50": main["ap50"],
            "ap50_95": float(np.mean([self._average_precision(iou, times) for iou in COCO_IOUS])),
            "precision": hits / max(hits + wrong, 1),
            "recall": hits / max(hits + missed, 1),
            "f1": main["f1"],
        }

    def main_figures(self, times: np.ndarray | None = None) -> dict[str, float]:
        """AP at IoU 0.3 and 0.5, and F1: as `figures`, in a fraction of its time."""
        times = np.ones(self._count, np.int64) if times is None else times
        hits, wrong, missed = self.counts(times)
        return {
            "ap30": self._average_precision(0.3, times),
            "ap50": self._average_precision(0.5, times),
            "f1": 2 * hits / max(2 * hits + wrong + missed, 1),
        }

    def counts(self, times: np.ndarray | None = None) -> tuple[int, int, int]:
        """Objects found, detections that are wrong, and objects missed at the IoU and threshold."""
        times = np.ones(self._count, np.int64) if times is None else times
        order, hit = self._assessment.ranked(self._iou)
        weight = times[self._image[order]]
        sure = self._assessment.scores[order] >= self._threshold
        hits, wrong = int(weight[sure & hit].sum()), int(weight[sure & ~hit].sum())
        return hits, wrong, self.objects(times) - hits

    def _average_precision(self, iou: float, times: np.ndarray) -> float:
        order, hit = self._assessment.ranked(iou)
        weight, label = times[self._image[order]], self._label[order]
        each = []
        for known, held in self._truth.items():
            objects = int(held @ times)
            if objects:
                mine = label == known
                right, seen = np.cumsum(weight[mine] * hit[mine]), np.cumsum(weight[mine])
                precision = right / np.maximum(seen, 1)
                envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0)
                each.append(envelope[np.searchsorted(right / objects, RECALL_POINTS, side="left")].mean())
        return float(np.mean(each)) if each else 0.0


def draw(
    models: Sequence[Redrawn], count: int, figures: Callable[[Redrawn, np.ndarray], dict[str, float]] = Redrawn.figures
) -> list[list[dict[str, float]]]:
    """Figures of models on the same `count` images, drawn anew 200 times; all models see the same draws.

    `figures`: which of them. Nothing where a single image tells nothing of others.
    """
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS if count > 1 else 0):
        times = np.bincount(random.integers(count, size=count), minlength=count)
        if models[0].objects(times):
            drawn.append([figures(each, times) for each in models])
    return drawn


def intervals(drawn: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Bounds of 95 % of the figures that were drawn, by name; to four digits."""
    if not drawn:
        return {}
    low, high = np.percentile([list(each.values()) for each in drawn], WIDTH, axis=0).round(4).tolist()
    return {name: [a, b] for name, a, b in zip(drawn[0], low, high, strict=True)}
