"""The rules by which a merger settles what waits: the product's own, and two simpler ones to compare it with.

A rule takes what waits, the lattice and the tiles read (T,). It gives the objects, joined or not, and two masks: those
that leave and those that are dropped; the others wait.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .cells import iou, on_any_side, overlapping_pairs
from .conflicts import conflicts, exposed
from .joining import join
from .lattice import Lattice
from .suppression import decide
from .waiting import Waiting
from .witnesses import best_centred, best_witnessed

Settled = tuple[Waiting, np.ndarray, np.ndarray]
Rule = Callable[[Waiting, Lattice, np.ndarray], Settled]


def rule_named(name: str, overlap: float) -> Rule:
    """Choose a rule as jobs name it: `seams`, `centre` or `nms`; `overlap`: the IoU from which the last two drop."""
    return {"seams": seams, "centre": centre(overlap), "nms": suppression(overlap)}[name]


def seams(waiting: Waiting, lattice: Lattice, read: np.ndarray) -> Settled:
    """Join what a seam has cut; drop what another tile sees better; of what agrees then, the best ranked lives."""
    found = join(waiting, lattice)
    faces = found.part_faces & ~read[lattice.neighbours(found.part_tile)]
    found = replace(found, part_faces=faces)
    grows = np.zeros(len(found), bool)
    grows[found.part_of[on_any_side(faces)]] = True
    tile = np.zeros(len(found), np.int64)
    tile[found.part_of] = found.part_tile
    alone = np.flatnonzero((np.bincount(found.part_of, minlength=len(found)) == 1) & ~grows)
    outdone = np.zeros(len(found), bool)
    outdone[alone] = ~best_witnessed(found.boxes.take(alone, axis=0), tile[alone], lattice)
    doubtful = grows | exposed(found, grows, lattice.blocks(~read))
    lives, dead = decide(*conflicts(found, grows | outdone), doubtful)
    return found, lives & ~outdone, dead | outdone


def suppression(overlap: float) -> Rule:
    """Build plain suppression: of boxes of one class with an IoU over `overlap`, in whatever tiles, the best lives."""

    def rule(waiting: Waiting, lattice: Lattice, read: np.ndarray) -> Settled:
        boxes = waiting.boxes
        i, j = overlapping_pairs(boxes, waiting.labels, lambda i, j: iou(boxes[i], boxes[j]) > overlap)
        order = np.lexsort((waiting.part_tile, *boxes.T, -waiting.scores))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        ahead = rank[i] < rank[j]
        doubtful = exposed(waiting, np.zeros(len(boxes), bool), lattice.blocks(~read))
        return waiting, *decide(np.where(ahead, i, j), np.where(ahead, j, i), doubtful)

    return rule


def centre(overlap: float) -> Rule:
    """Build the rule that a box counts only in the tile that sees its centre best; then suppression as above."""
    suppress = suppression(overlap)

    def rule(waiting: Waiting, lattice: Lattice, read: np.ndarray) -> Settled:
        return suppress(waiting.take(best_centred(waiting.boxes, waiting.part_tile, lattice)), lattice, read)

    return rule
