"""Which objects contradict each other, who ranks first, and who may still be contradicted by what is to come."""

from __future__ import annotations

import numpy as np

from .cells import area, intersection, on_any_side, overlapping_pairs, overlapping_pairs_between, runs, solid
from .waiting import AGREE_IOU, Waiting, agreement, cut_sides

CUT_RANK = 0.5  # rank of an object with a cut side, as a part of its score


def conflicts(found: Waiting, aside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (better, worse) of objects that conflict, in no particular order.

    Objects without a common tile that agree conflict, but for those set `aside` (N,): they still grow, or are dropped.
    """
    first_tile = np.full(len(found), np.iinfo(np.int64).max)
    np.minimum.at(first_tile, found.part_of, found.part_tile)

    def in_conflict(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        hit = np.flatnonzero((first_tile[i] != first_tile[j]) & ~aside[i] & ~aside[j])
        return hit[agreement(found.boxes, found.views, i[hit], j[hit]) > AGREE_IOU]

    i, j = overlapping_pairs(found.boxes, found.labels, in_conflict)
    apart = ~_share_a_tile(found, i, j)
    i, j = i[apart], j[apart]
    ahead = _ranks_before(found, i, j, first_tile)
    return np.where(ahead, i, j), np.where(ahead, j, i)


def _ranks_before(found: Waiting, i: np.ndarray, j: np.ndarray, first_tile: np.ndarray) -> np.ndarray:
    """Tell which objects i rank before j: by score, halved where a side is cut, then by score, coordinates and tile."""
    cut = np.zeros(len(found), bool)
    for some in (i, j):
        cut[some] = on_any_side(cut_sides(found.boxes.take(some, axis=0), found.views.take(some, axis=0)))
    rank = found.scores * np.where(cut, CUT_RANK, 1)
    ahead = rank[i] > rank[j]
    tie = np.flatnonzero(rank[i] == rank[j])
    for better in (-found.scores, *found.boxes.T[::-1], first_tile):
        one, two = better[i[tie]], better[j[tie]]
        ahead[tie] = one < two
        tie = tie[one == two]
    return ahead


def _share_a_tile(found: Waiting, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Tell, for objects i and j whose first tiles differ, whether a tile shows parts of both."""
    count = np.bincount(found.part_of, minlength=len(found))
    shared = np.zeros(len(i), bool)
    joined = np.flatnonzero((count[i] > 1) | (count[j] > 1))
    i, j = i[joined], j[joined]
    concerned = np.zeros(len(found), bool)
    concerned[i] = concerned[j] = True
    parts = np.flatnonzero(concerned[found.part_of])
    tiles = found.part_tile.max(initial=0) + 1
    key = np.sort(found.part_of[parts] * tiles + found.part_tile[parts])
    start = np.searchsorted(key, i * tiles)
    pair = np.repeat(np.arange(len(i)), count[i])
    wanted = j[pair] * tiles + key[runs(start, count[i])] % tiles
    hit = key[np.minimum(np.searchsorted(key, wanted), len(key) - 1)] == wanted
    shared[joined[pair[hit]]] = True
    return shared


def exposed(found: Waiting, grows: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Objects (N,) bool that something not yet complete may turn out to conflict with.

    That is an object of tiles still to come, which lies in their block; or one that still grows. What contains box D
    has with C an IoU of at most area(C) / area(bounding rectangle of C and D, clipped to the view of C).
    """
    hit = np.zeros(len(found), bool)
    for block in blocks:
        hit |= solid(intersection(found.boxes, block))
    whole, open_ = np.flatnonzero(~hit & ~grows), np.flatnonzero(grows)
    if not len(whole) or not len(open_):
        return hit
    boxes, views, others = (
        some.take(k, axis=0) for some, k in ((found.boxes, whole), (found.views, whole), (found.boxes, open_))
    )
    bounds = np.array([*others[:, :2].min(axis=0), *others[:, 2:].max(axis=0)])
    grown = np.tile(boxes[:, 2:] - boxes[:, :2], 2) * (1 / AGREE_IOU - 1) * [-1, -1, 1, 1] + boxes
    # Beyond the edge of the view of C it does not matter how far away D is.
    low = np.where(grown[:, :2] <= views[:, :2], bounds[:2] - 1, grown[:, :2])
    high = np.where(grown[:, 2:] >= views[:, 2:], bounds[2:] + 1, grown[:, 2:])
    reach = np.concatenate([low, high], axis=1)
    near = np.flatnonzero(solid(intersection(reach, bounds)))  # few, where tiles come row by row
    whole, boxes, views, reach = whole[near], *(some.take(near, axis=0) for some in (boxes, views, reach))

    def may_agree(c: np.ndarray, d: np.ndarray) -> np.ndarray:
        mine, other = boxes.take(c, axis=0), others.take(d, axis=0)
        low, high = np.minimum(mine[:, :2], other[:, :2]), np.maximum(mine[:, 2:], other[:, 2:])
        bounds = intersection(np.concatenate([low, high], axis=1), views.take(c, axis=0))
        return area(mine) >= 0.999 * AGREE_IOU * area(bounds)  # a little less, for rounding

    c, _ = overlapping_pairs_between(reach, others, found.labels[whole], found.labels[open_], may_agree)
    hit[whole[c]] = True
    return hit
