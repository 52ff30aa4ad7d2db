"""The columnar value that everything hands on: boxes, scores and labels of many objects at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects as columns, found by a network or drawn by a person.

    `boxes` (N, 4) xyxy, float32 in a tile's frame, float64 in the grid's frame and in map coordinates; `scores` (N,)
    floats, 1 for truth; `labels` (N,) int64, places in the model's list of classes. `ignore` (N,) bool or None: truth
    that accuracy neither asks for nor holds against a detection (crowds, doubtful objects).
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ignore: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        columns = (self.scores, self.labels) if self.ignore is None else (self.scores, self.labels, self.ignore)
        if self.boxes.shape != (n, 4) or any(column.shape != (n,) for column in columns):
            shapes = ", ".join(str(column.shape) for column in (self.boxes, *columns))
            raise ValueError(f"Columns of different length: {shapes}")

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Detections:
        """Pick rows by index, in that order, or by a mask."""
        ignore = None if self.ignore is None else self.ignore[which]
        return Detections(self.boxes[which], self.scores[which], self.labels[which], ignore)

    def moved(self, dx: float, dy: float) -> Detections:
        """Shift the boxes by (dx, dy) into a larger frame; they become float64."""
        boxes = self.boxes.astype(np.float64) + np.array([dx, dy, dx, dy], np.float64)
        return Detections(boxes, self.scores, self.labels, self.ignore)

    @staticmethod
    def empty() -> Detections:
        """No objects, in float64."""
        return Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))

    @staticmethod
    def truth(boxes: np.ndarray, labels: np.ndarray | None = None, ignore: np.ndarray | None = None) -> Detections:
        """Objects drawn by a person: float64 boxes (N, 4), score 1; label 0 where no labels are given."""
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        labels = np.zeros(len(boxes), np.int64) if labels is None else np.asarray(labels, np.int64)
        return Detections(boxes, np.ones(len(boxes)), labels, None if ignore is None else np.asarray(ignore, bool))

    @staticmethod
    def concatenate(parts: Sequence[Detections]) -> Detections:
        """Put parts one after another; they must share a frame."""
        if not parts:
            return Detections.empty()
        ignore = None
        if any(part.ignore is not None for part in parts):
            ignore = np.concatenate([np.zeros(len(p), bool) if p.ignore is None else p.ignore for p in parts])
        return Detections(
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.labels for part in parts]),
            ignore,
        )
