"""Greedy suppression: of objects that cover one another, the best ranked stays."""

from __future__ import annotations

import numpy as np

from .cells import iou, overlapping_pairs


def nms(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float) -> np.ndarray:
    """Keep of each class the boxes that no better kept one overlaps by more than `overlap`, an IoU.

    `boxes` (N, 4) xyxy, `scores` (N,), `labels` (N,). Returns the kept indexes, best first; equal scores in the order
    given. The same as torchvision.ops.batched_nms, without its pass over all pairs.
    """
    order = np.argsort(-scores, kind="stable")
    rank = np.empty(len(scores), np.int64)
    rank[order] = np.arange(len(scores))
    better, worse = [], []
    for pair in overlapping_pairs(boxes, labels):
        hit = iou(boxes[pair[0]], boxes[pair[1]]) > np.float64(overlap)
        i, j = pair[0][hit], pair[1][hit]
        swap = rank[i] > rank[j]
        better.append(np.where(swap, j, i))
        worse.append(np.where(swap, i, j))
    if not better:
        return order
    return order[living(rank, np.concatenate(better), np.concatenate(worse))[order]]


def living(rank: np.ndarray, better: np.ndarray, worse: np.ndarray) -> np.ndarray:
    """Decide conflicts: a box lives if and only if no living box of better rank conflicts with it.

    `rank` (N,) int, 0 is best, no two equal; `better` and `worse` (P,) are the conflicting pairs, better rank first.
    Returns a mask (N,). The result is unique: ranks are taken in turn.
    """
    alive = np.ones(len(rank), bool)
    order = np.argsort(rank[better], kind="stable")
    state = alive.tolist()
    for winner, loser in zip(better[order].tolist(), worse[order].tolist(), strict=True):
        if state[winner]:
            state[loser] = False
    return np.array(state, bool)
