"""Which objects contradict each other, who ranks first, and who may still be contradicted by what is to come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .cells import area, intersection, overlapping_pairs, overlapping_pairs_between, runs
from .waiting import AGREE_IOU, Waiting, agreement, cut_sides

CUT_RANK = 0.5  # rank of an object with a cut side, as a part of its score


def conflicts(found: Waiting, grows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (better, worse) of objects that conflict, ordered by the rank of the better.

    Objects without a common tile that agree conflict, once they are complete: none `grows` (N,) any more.
    """
    first_tile = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(first_tile, found.part_of, found.part_tile)
    share_a_tile = _tile_sharing(found)

    def in_conflict(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        hit = np.flatnonzero(~grows[i] & ~grows[j] & (first_tile[i] != first_tile[j]))
        hit = hit[agreement(found.boxes, found.views, i[hit], j[hit]) > AGREE_IOU]
        return hit[~share_a_tile(i[hit], j[hit])]

    i, j = overlapping_pairs(found.boxes, found.labels, in_conflict)
    concerned, ends = np.unique(np.concatenate([i, j]), return_inverse=True)
    order = _best_first(found, concerned, first_tile)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    one, two = rank[ends].reshape(2, -1)
    better, worse = np.minimum(one, two), np.maximum(one, two)
    turn = np.argsort(better)
    return concerned[order[better[turn]]], concerned[order[worse[turn]]]


def _best_first(found: Waiting, some: np.ndarray, first_tile: np.ndarray) -> np.ndarray:
    """Order `some` objects by score, halved where a side is cut, then by score, coordinates and tiles."""
    boxes, scores = found.boxes[some], found.scores[some]
    cut = cut_sides(boxes, found.views[some]).any(axis=1)
    return np.lexsort((first_tile[some], *boxes.T, -scores, -scores * np.where(cut, CUT_RANK, 1)))


def _tile_sharing(found: Waiting) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Build the test, for objects i and j, whether a tile shows parts of both."""
    order = np.lexsort((found.part_tile, found.part_of))
    tile = found.part_tile[order]
    tiles = tile.max(initial=0) + 1
    key = found.part_of[order] * tiles + tile
    count = np.bincount(found.part_of, minlength=len(found))
    start = np.cumsum(count) - count

    def share_a_tile(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        pair = np.repeat(np.arange(len(i)), count[i])
        wanted = j[pair] * tiles + tile[runs(start[i], count[i])]
        hit = key[np.minimum(np.searchsorted(key, wanted), len(key) - 1)] == wanted
        return np.bincount(pair, hit, len(i)) > 0

    return share_a_tile


def exposed(found: Waiting, grows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Objects (N,) bool that something not yet complete may turn out to conflict with.

    That is an object of tiles still to come, which lies in their block; or one that still grows. What contains box D
    has with C an IoU of at most area(C) / area(bounding rectangle of C and D, clipped to the view of C).
    """
    hit = np.zeros(len(found), bool)
    for block in blocks:
        low, high = np.maximum(found.boxes[:, :2], block[:2]), np.minimum(found.boxes[:, 2:], block[2:])
        hit |= (low < high).all(axis=1)
    whole, open_ = np.flatnonzero(~hit & ~grows), np.flatnonzero(grows)
    if not len(whole) or not len(open_):
        return hit
    boxes, views, others = found.boxes[whole], found.views[whole], found.boxes[open_]
    grown = np.tile(boxes[:, 2:] - boxes[:, :2], 2) * (1 / AGREE_IOU - 1) * [-1, -1, 1, 1] + boxes
    # Beyond the edge of the view of C it does not matter how far away D is.
    reach = np.concatenate(
        [
            np.where(grown[:, :2] <= views[:, :2], others[:, :2].min(axis=0) - 1, grown[:, :2]),
            np.where(grown[:, 2:] >= views[:, 2:], others[:, 2:].max(axis=0) + 1, grown[:, 2:]),
        ],
        axis=1,
    )

    def may_agree(c: np.ndarray, d: np.ndarray) -> np.ndarray:
        low, high = np.minimum(boxes[c, :2], others[d, :2]), np.maximum(boxes[c, 2:], others[d, 2:])
        bounds = intersection(np.concatenate([low, high], axis=1), views[c])
        return area(boxes[c]) >= 0.999 * AGREE_IOU * area(bounds)  # a little less, for rounding

    c, _ = overlapping_pairs_between(reach, others, found.labels[whole], found.labels[open_], may_agree)
    hit[whole[c]] = True
    return hit
