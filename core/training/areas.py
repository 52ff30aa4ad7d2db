"""Ground that is labelled, and ground of which nothing is known."""

import math

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections

CELL_PX = 8  # to which an area's border is known in training


def outward(bounds: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """Whole px around bounds; what lies within a thousandth of a px counts as on it."""
    x0, y0, x1, y1 = bounds
    return math.floor(x0 + 1e-3), math.floor(y0 + 1e-3), math.ceil(x1 - 1e-3), math.ceil(y1 - 1e-3)


def outside_boxes(area: BaseGeometry, width: int, height: int) -> np.ndarray:
    """Boxes (N, 4) xyxy px that cover what of a frame lies outside an area, to cells of 8 px; none overlap.

    A cell lies where its centre does. Cells side by side in a row, and equal runs in following rows, are one box.
    """
    cols, rows = math.ceil(width / CELL_PX), math.ceil(height / CELL_PX)
    x, y = np.meshgrid((np.arange(cols) + 0.5) * CELL_PX, (np.arange(rows) + 0.5) * CELL_PX)
    shapely.prepare(area)
    outside = ~shapely.intersects_xy(area, np.minimum(x, width - 1e-3), np.minimum(y, height - 1e-3))
    boxes: list[list[int]] = []
    open_runs: dict[tuple[int, int], list[int]] = {}
    for row in range(rows):
        edges = np.flatnonzero(np.diff(np.concatenate([[False], outside[row], [False]])))
        before, open_runs = open_runs, {}
        for run in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True):
            open_runs[run] = before.get(run) or [run[0], row, run[1], row]
            if run not in before:
                boxes.append(open_runs[run])
            open_runs[run][3] = row + 1
    found = np.array(boxes, np.float64).reshape(-1, 4) * CELL_PX
    return found.clip(0, [width, height, width, height])


def with_ignored(truth: Detections, boxes: np.ndarray, classes: int) -> Detections:
    """Add boxes (N, 4) to ignore, once for each class."""
    ignore = np.zeros(len(truth), bool) if truth.ignore is None else truth.ignore
    added = len(boxes) * classes
    return Detections.truth(
        np.concatenate([truth.boxes, np.tile(boxes, (classes, 1))]),
        np.concatenate([truth.labels, np.repeat(np.arange(classes), len(boxes))]),
        np.concatenate([ignore, np.ones(added, bool)]),
    )
