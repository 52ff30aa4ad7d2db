"""The truth of a scene: exact bounds of the water that shows, gathered tile by tile."""

from __future__ import annotations

import numpy as np

from .paint import Canvas

MIN_EXTENT_PX = 4.0  # a pool that shows less than this is left out
MIN_VISIBLE = 0.4  # so is one of which less than this share shows


class WaterSurvey:
    """Counts, for each of `count` pools, the samples of water drawn and left to see, and their bounds in samples."""

    def __init__(self, count: int) -> None:
        self._drawn = np.zeros(count + 1, np.int64)
        self._seen = np.zeros(count + 1, np.int64)
        self._low = np.full((count + 1, 2), np.iinfo(np.int64).max)
        self._high = np.full((count + 1, 2), np.iinfo(np.int64).min)

    def count_drawn(self, canvas: Canvas, margin: int) -> None:
        """Note the water of a tile before anything covers it; `margin` samples around it belong to its neighbours."""
        self._drawn += np.bincount(_core(canvas, margin).ravel(), minlength=len(self._drawn))

    def count_seen(self, canvas: Canvas, margin: int) -> None:
        """Note the water of a finished tile."""
        core = _core(canvas, margin)
        rows, columns = np.nonzero(core)
        numbers = core[rows, columns]
        self._seen += np.bincount(numbers, minlength=len(self._seen))
        places = np.stack([columns + canvas.column + margin, rows + canvas.row + margin], axis=1)
        np.minimum.at(self._low, numbers, places)
        np.maximum.at(self._high, numbers, places + 1)

    def boxes(self, samples_per_px: int) -> np.ndarray:
        """Boxes float64 (N, 4) xyxy in px of the pools that show enough, in the order of the plan."""
        enough = (self._seen > 0) & (self._seen >= MIN_VISIBLE * self._drawn)
        boxes = np.concatenate([self._low[enough], self._high[enough]], axis=1) / samples_per_px
        extent = boxes[:, 2:] - boxes[:, :2]
        return boxes[extent.min(axis=1) >= MIN_EXTENT_PX]


def _core(canvas: Canvas, margin: int) -> np.ndarray:
    return canvas.water[margin:-margin, margin:-margin]
