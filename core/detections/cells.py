"""Overlapping pairs of boxes by an index of rows of cells, never by comparing all with all.

The plane is cut into rows about twice as high as a box. A box enters every row it reaches, and each row is sorted by
left edge: the boxes that start within another's width follow it directly. A pair that shares several rows is reported
in the first of them only, so no pair has to be sorted out afterwards.

Here and in merging, rows of four are picked by `take` and judged column by column: numpy's indexing takes several times
as long for them, and so do `any`, `all` and `min` over so short an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

ROW_BOXES = 2  # height of a row in mean heights: higher rows compare more boxes, lower ones are entered more often
MAX_CANDIDATES = 500_000  # compared at once; bounds memory to some 50 MB whatever the crowding


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of xyxy boxes (..., 4); 0 where a side is negative."""
    return np.maximum(boxes[..., 2] - boxes[..., 0], 0) * np.maximum(boxes[..., 3] - boxes[..., 1], 0)


def intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rectangles common to boxes a and b (..., 4), with negative sides where there is none."""
    common = np.maximum(a, b)
    np.minimum(a[..., 2:], b[..., 2:], out=common[..., 2:])
    return common


def solid(boxes: np.ndarray) -> np.ndarray:
    """Tell (N,) bool which boxes (N, 4) have an area."""
    return (boxes[:, 0] < boxes[:, 2]) & (boxes[:, 1] < boxes[:, 3])


def on_any_side(sides: np.ndarray) -> np.ndarray:
    """Tell (N,) where a mask (N, 4) of sides holds for one at least."""
    return sides[:, 0] | sides[:, 1] | sides[:, 2] | sides[:, 3]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes a and b (..., 4), pair by pair; 0 where both are empty."""
    common = area(intersection(a, b))
    union = area(a) + area(b) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


Pairs = tuple[np.ndarray, np.ndarray]
Keep = Callable[[np.ndarray, np.ndarray], np.ndarray]


def overlapping_pairs(boxes: np.ndarray, groups: np.ndarray, keep: Keep | None = None) -> Pairs:
    """Find all pairs of boxes that share an area, each pair once.

    `boxes` (N, 4) xyxy, finite; `groups` (N,) int: only boxes of one group are compared (a class); small numbers, for
    each takes rows of its own. `keep` takes index arrays (i, j) and returns a mask of the pairs wanted; it is called on
    some at a time, so that memory stays bounded. Returns index arrays (i, j) of equal length, in no particular order.
    """
    (rows,) = _enter_rows((boxes, groups))
    after = np.arange(1, len(rows.box) + 1)
    return _gather(_compare(rows, rows, after, np.searchsorted(rows.start, rows.end, "right")), keep)


def overlapping_pairs_between(
    a: np.ndarray, b: np.ndarray, groups_a: np.ndarray, groups_b: np.ndarray, keep: Keep | None = None
) -> Pairs:
    """Find all pairs of one box of `a` and one of `b` that share an area, as `overlapping_pairs` does.

    Returns index arrays (i, j) into `a` and `b`.
    """
    rows_a, rows_b = _enter_rows((a, groups_a), (b, groups_b))
    # Of two that overlap, either b starts within a, or a starts after b and within it.
    right = _compare(
        rows_a,
        rows_b,
        np.searchsorted(rows_b.start, rows_a.start, "left"),
        np.searchsorted(rows_b.start, rows_a.end, "right"),
    )
    left = _compare(
        rows_b,
        rows_a,
        np.searchsorted(rows_a.start, rows_b.start, "right"),
        np.searchsorted(rows_a.start, rows_b.end, "right"),
    )
    return _gather(chain(right, ((i, j) for j, i in left)), keep)


def _gather(chunks: Iterable[Pairs], keep: Keep | None) -> Pairs:
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    for i, j in chunks:
        wanted = slice(None) if keep is None else keep(i, j)
        found.append((i[wanted], j[wanted]))
    first, second = zip(*found, strict=True)
    return np.concatenate(first), np.concatenate(second)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Boxes entered in each row they reach, entries sorted by row, then left edge.

    For each entry its `box` (index), `edges` (4, N), `row`, `first`: the first row of its box, and `start` and `end`:
    keys of its left and right edge, which grow with row and x.
    """

    box: np.ndarray
    edges: np.ndarray
    row: np.ndarray
    first: np.ndarray
    start: np.ndarray
    end: np.ndarray


def _enter_rows(*sets: tuple[np.ndarray, np.ndarray]) -> list[_Rows]:
    """Enter one or two sets (boxes, groups) in the same rows; boxes without area are left out."""
    entering = [np.flatnonzero(solid(boxes)) for boxes, _ in sets]
    boxes = np.concatenate([boxes.take(kept, axis=0) for (boxes, _), kept in zip(sets, entering, strict=True)])
    boxes = boxes.astype(np.float64, copy=False)
    if not len(boxes):
        none = np.zeros(0, np.int64)
        return [_Rows(none, np.zeros((4, 0)), none, none, np.zeros(0), np.zeros(0)) for _ in sets]
    groups = np.concatenate([groups[kept] for (_, groups), kept in zip(sets, entering, strict=True)])
    left, top = boxes[:, :2].min(axis=0)
    width = boxes[:, 2].max() - left + 1
    height = ROW_BOXES * (boxes[:, 3] - boxes[:, 1]).mean()
    first, last = (((boxes[:, side] - top) / height).astype(np.int64) for side in (1, 3))
    shift = (groups - groups.min()) * (last.max() + 1)
    entered, done = [], 0
    for kept in entering:
        part = slice(done, done + len(kept))
        done += len(kept)
        entered.append(_sort_rows(boxes[part], kept, first[part] + shift[part], last[part] + shift[part], left, width))
    return entered


def _sort_rows(
    boxes: np.ndarray, names: np.ndarray, first: np.ndarray, last: np.ndarray, left: float, width: float
) -> _Rows:
    reached = last - first + 1
    box = np.repeat(np.arange(len(boxes)), reached)
    row = runs(first, reached)
    start = row * width + (boxes[box, 0] - left)
    order = np.argsort(start)
    box, row = box[order], row[order]
    end = row * width + (boxes[box, 2] - left)
    return _Rows(names[box], boxes.take(box, axis=0).T, row, first[box], start[order], end)


def _compare(a: _Rows, b: _Rows, first: np.ndarray, stop: np.ndarray) -> Iterator[Pairs]:
    """Compare each entry of `a` with the entries of `b` from `first` up to `stop`, places in `b`."""
    counts = np.maximum(stop - first, 0)
    for low, high in _chunks(counts):
        i = np.repeat(np.arange(low, high), counts[low:high])
        j = runs(first[low:high], counts[low:high])
        hit = (a.edges[1, i] < b.edges[3, j]) & (b.edges[1, j] < a.edges[3, i])
        i, j = i[hit], j[hit]
        # The row is compared, too: at the end of a row a rounded key may touch the next one.
        hit = (a.row[i] == b.row[j]) & (a.row[i] == np.maximum(a.first[i], b.first[j]))
        i, j = i[hit], j[hit]
        hit = (a.edges[0, i] < b.edges[2, j]) & (b.edges[0, j] < a.edges[2, i])
        yield a.box[i[hit]], b.box[j[hit]]


def _chunks(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Cut entries into runs of at most MAX_CANDIDATES candidates, or of one entry."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = total[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(total, done + MAX_CANDIDATES, side="right")))
        yield start, stop
        start = stop


def runs(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count on from each `first`, as far as `counts` says, one run after the other: (5, 2), (2, 3) give 5 6 2 3 4."""
    return np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
