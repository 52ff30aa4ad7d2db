"""Overlapping pairs of boxes by an index of rows of cells, never by comparing all with all.

The plane is cut into rows about as high as a box. A box enters every row it reaches, and each row is sorted by left
edge: the boxes that start within another's width follow it directly. A pair that shares several rows is reported in
the first of them only, so no pair has to be sorted out afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MAX_CANDIDATES = 2_000_000  # compared at once; bounds memory to some 200 MB whatever the crowding


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of xyxy boxes (..., 4); 0 where a side is negative."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rectangles common to boxes a and b (..., 4), with negative sides where there is none."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes a and b (..., 4), pair by pair; 0 where both are empty."""
    common = area(intersection(a, b))
    union = area(a) + area(b) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def overlapping_pairs(boxes: np.ndarray, groups: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Find all pairs of boxes that share an area, each pair once, chunk by chunk.

    `boxes` (N, 4) xyxy, finite; `groups` (N,) int: only boxes of one group are compared (a class, an image).
    Yields index arrays (i, j) of equal length, in no particular order.
    """
    solid = np.flatnonzero((boxes[:, :2] < boxes[:, 2:]).all(axis=1))
    if len(solid) < 2:
        return
    box, row, first_row, key, reach = _enter_rows(boxes[solid].astype(np.float64), groups[solid])
    box = solid[box]
    followers = np.searchsorted(key, reach, side="right") - np.arange(1, len(key) + 1)
    x0, y0, x1, y1 = boxes[box].T
    for start, stop in _chunks(followers):
        count = followers[start:stop]
        a = np.repeat(np.arange(start, stop), count)
        b = a + 1 + np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
        hit = (y0[a] < y1[b]) & (y0[b] < y1[a])
        a, b = a[hit], b[hit]
        # The row is compared, too: at the end of a row the rounded reach may touch the next one.
        hit = (row[b] == row[a]) & (row[a] == np.maximum(first_row[a], first_row[b]))
        a, b = a[hit], b[hit]
        hit = (x0[a] < x1[b]) & (x0[b] < x1[a])
        yield box[a[hit]], box[b[hit]]


def _enter_rows(boxes: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """Enter every box in each row it reaches; entries sorted by row, then left edge.

    Returns for each entry its box, its row, the first row of its box, a key that grows with row and left edge, and the
    key of its right edge.
    """
    left, top = boxes[:, :2].min(axis=0)
    width = boxes[:, 2].max() - left + 1
    height = (boxes[:, 3] - boxes[:, 1]).mean()
    first, last = np.floor((boxes[:, [1, 3]] - top) / height).astype(np.int64).T
    reached = last - first + 1
    _, rank = np.unique(groups, return_inverse=True)
    first = first + rank * (last.max() + 1)
    box = np.repeat(np.arange(len(boxes)), reached)
    row = first[box] + np.arange(len(box)) - np.repeat(np.cumsum(reached) - reached, reached)
    key = row * width + (boxes[box, 0] - left)
    order = np.argsort(key, kind="stable")
    box, row, key = box[order], row[order], key[order]
    return box, row, first[box], key, row * width + (boxes[box, 2] - left)


def _chunks(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut entries into runs of at most MAX_CANDIDATES candidates, or of one entry."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + MAX_CANDIDATES, side="right")))
        yield start, stop
        start = stop
