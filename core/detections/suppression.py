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
    boxes, labels = boxes[order], labels[order]
    i, j = overlapping_pairs(boxes, labels, lambda i, j: iou(boxes[i], boxes[j]) > np.float64(overlap))
    better, worse = np.minimum(i, j), np.maximum(i, j)
    turn = np.argsort(better)
    alive, _ = decide(better[turn], worse[turn], np.zeros(len(order), bool))
    return order[alive]


def decide(better: np.ndarray, worse: np.ndarray, doubtful: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decide conflicts: a box lives if and only if no living box of better rank conflicts with it.

    `better` and `worse` (P,) are the conflicting pairs, ordered by the rank of the better. `doubtful` (N,) bool: boxes
    whose conflicts are not all known; they cannot live yet, but they can die. Returns two masks (N,): those that live,
    and those that are dead; the others depend on doubtful ones. The result is unique: ranks are taken in turn.
    """
    dead, waits = [False] * len(doubtful), doubtful.tolist()
    for winner, loser in zip(better.tolist(), worse.tolist(), strict=True):
        if dead[winner]:
            continue
        if waits[winner]:
            waits[loser] = True
        else:
            dead[loser] = True
    dead = np.array(dead, bool)
    return ~dead & ~np.array(waits, bool), dead
