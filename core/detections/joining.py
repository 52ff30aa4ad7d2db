"""Join the parts of an object that a seam between tiles has cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .cells import on_any_side, overlapping_pairs
from .lattice import BOTTOM, LEFT, RIGHT, TOP, Lattice
from .waiting import AGREE_IOU, Waiting, agreement


def join(found: Waiting, lattice: Lattice) -> Waiting:
    """Unite the parts of objects across every seam between two tiles that have both been read.

    Parts are united if they agree, are cut on the sides facing each other, and are each other's best partner there;
    so is everything connected through them.
    """
    facing = np.flatnonzero(on_any_side(found.part_faces))
    boxes, faces = found.part_boxes.take(facing, axis=0), found.part_faces.take(facing, axis=0)
    tile = found.part_tile[facing]
    views = lattice.views.take(tile, axis=0)

    def at_a_seam(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        step = np.abs(tile[i] - tile[j])
        return (step == 1) | (step == lattice.cols)

    i, j = overlapping_pairs(boxes, found.labels[found.part_of[facing]], at_a_seam)
    a, b = np.where(tile[i] < tile[j], (i, j), (j, i))
    step = tile[b] - tile[a]
    beside = (step == 1) & faces[a, RIGHT] & faces[b, LEFT]
    below = (step == lattice.cols) & faces[a, BOTTOM] & faces[b, TOP]
    fit = agreement(boxes, views, a, b)
    hit = (beside | below) & (fit > AGREE_IOU)
    a, b, fit, side = a[hit], b[hit], fit[hit], np.where(beside[hit], RIGHT, BOTTOM)
    best = np.zeros((len(facing), 4))
    np.maximum.at(best, (a, side), fit)
    np.maximum.at(best, (b, side - 2), fit)
    mutual = (fit == best[a, side]) & (fit == best[b, side - 2])
    return _unite(found, found.part_of[facing[a[mutual]]], found.part_of[facing[b[mutual]]])


def _unite(found: Waiting, a: np.ndarray, b: np.ndarray) -> Waiting:
    """Make each connected component of the links (a, b) between objects one object."""
    if not len(a):
        return found
    linked, ends = np.unique(np.concatenate([a, b]), return_inverse=True)
    parent = list(range(len(linked)))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = k = parent[parent[k]]
        return k

    for p, q in ends.reshape(2, -1).T.tolist():
        parent[root(p)] = root(q)
    head = np.arange(len(found))
    head[linked] = linked[[root(k) for k in range(len(linked))]]
    _, group = np.unique(head, return_inverse=True)
    order = np.argsort(group, kind="stable")
    first = np.flatnonzero(np.diff(group[order], prepend=-1))

    def bounds(rectangles: np.ndarray) -> np.ndarray:
        ordered = rectangles.take(order, axis=0)
        low, high = np.minimum.reduceat(ordered[:, :2], first), np.maximum.reduceat(ordered[:, 2:], first)
        return np.concatenate([low, high], axis=1)

    return replace(
        found,
        boxes=bounds(found.boxes),
        views=bounds(found.views),
        scores=np.maximum.reduceat(found.scores[order], first),
        labels=found.labels[order][first],
        part_of=group[found.part_of],
    )
