"""Greedy suppression: of objects that cover one another, the best ranked stays."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np

from .cells import Keep, iou, overlapping_pairs

ROUNDS = 12  # decide nearly all of a crowd at once; chains longer than that are walked along


def nms(
    boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, overlap: float, alike: Keep | None = None
) -> np.ndarray:
    """Keep of each class the boxes that no better kept one overlaps by more than `overlap`, an IoU.

    `boxes` (N, 4) xyxy, `scores` (N,), `labels` (N,). `alike`: the IoU of objects i and j (indexes) where the boxes are
    only their bounds. Returns the kept indexes, best first; equal scores in the order given. The same as
    torchvision.ops.batched_nms, without its pass over all pairs.
    """
    order = np.argsort(-scores, kind="stable")
    alike = alike or (lambda i, j: iou(boxes[i], boxes[j]))
    i, j = overlapping_pairs(boxes[order], labels[order], lambda i, j: alike(order[i], order[j]) > np.float64(overlap))
    alive, _ = decide(np.minimum(i, j), np.maximum(i, j), np.zeros(len(order), bool))
    return order[alive]


def decide(better: np.ndarray, worse: np.ndarray, doubtful: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decide conflicts: a box lives if and only if no living box of better rank conflicts with it.

    `better` and `worse` (P,) are the conflicting pairs, in any order. `doubtful` (N,) bool: boxes whose conflicts are
    not all known; they cannot live yet, but they can die. Returns two masks (N,): those that live, and those that are
    dead; the others depend on doubtful ones. The result is unique: whom nobody beats lives, and so on down the ranks.
    """
    dead, waits, beaten = np.zeros(len(doubtful), bool), doubtful.copy(), np.zeros(len(doubtful), bool)
    for _ in range(ROUNDS):
        beaten[worse] = True
        top, unsure = ~beaten[better], waits[better]
        beaten[worse] = False
        dead[worse[top & ~unsure]] = True
        waits[worse[top & unsure]] = True
        left = ~(top | dead[better] | dead[worse])
        better, worse = better[left], worse[left]
    _decide_in_turn(better, worse, dead, waits)
    return ~dead & ~waits, dead


def _decide_in_turn(better: np.ndarray, worse: np.ndarray, dead: np.ndarray, waits: np.ndarray) -> None:
    """Decide what many rounds have left, long chains, box by box; `dead` and `waits` change."""
    beaten_by = Counter(worse.tolist())
    losers = defaultdict(list)
    for winner, loser in zip(better.tolist(), worse.tolist(), strict=True):
        losers[winner].append(loser)
    turn = [winner for winner in losers if winner not in beaten_by]
    while turn:
        winner = turn.pop()
        for loser in losers.pop(winner, ()):
            if not dead[winner]:
                (waits if waits[winner] else dead)[loser] = True
            beaten_by[loser] -= 1
            if not beaten_by[loser]:
                turn.append(loser)
