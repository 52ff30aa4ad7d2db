"""Which tile knows best what is at a place: of what two tiles see whole, the one that sees more around it."""

from __future__ import annotations

import numpy as np

from .cells import on_any_side
from .lattice import BOTTOM, LEFT, RIGHT, TOP, Lattice
from .waiting import CUT_PART, CUT_PX, cut_sides

SIDES = ((LEFT,), (TOP,), (RIGHT,), (BOTTOM,), (LEFT, TOP), (LEFT, BOTTOM), (RIGHT, TOP), (RIGHT, BOTTOM))


def best_witnessed(boxes: np.ndarray, tiles: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Tell (N,) bool which boxes of tiles no other tile sees whole and clearly farther from its edge.

    Near the edge of a tile a network lacks half of what it judges by: parts of things look like whole ones there, and
    a thing is seen that is none. A tile that sees the place better shows the object itself, or nothing because there
    is nothing. Clearly farther: the centre lies beyond the middle between both edges by more than a box of the other
    tile may be off, so that both cannot leave an object to each other. What this gains, most of it where objects are
    large beside the overlap, tests/benchmarks/seams.py and joining.py show.
    """
    limits = lattice.shared.take(tiles, axis=0)
    within = np.empty(boxes.shape, bool)
    np.less_equal(boxes[:, 2:], limits[:, :2], out=within[:, :2])
    np.greater_equal(boxes[:, :2], limits[:, 2:], out=within[:, 2:])
    counts, seen_twice = np.ones(len(boxes), bool), np.flatnonzero(on_any_side(within))
    boxes, tiles, within = boxes.take(seen_twice, axis=0), tiles[seen_twice], within.take(seen_twice, axis=0)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    margin = np.maximum(CUT_PX, CUT_PART * np.minimum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]))
    needed = lattice.depth(tiles, centres) + 2 * margin
    for sides in SIDES:
        some = np.flatnonzero(within[:, sides[0]] & within[:, sides[-1]])
        others = lattice.beyond(tiles[some], sides)
        farther = lattice.depth(others, centres.take(some, axis=0)) > needed[some]
        known = np.flatnonzero((others >= 0) & lattice.active[others] & farther)
        some, others = some[known], others[known]
        whole = ~on_any_side(cut_sides(boxes.take(some, axis=0), lattice.views.take(others, axis=0)))
        counts[seen_twice[some[whole]]] = False
    return counts


def best_centred(boxes: np.ndarray, tiles: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Tell (N,) bool which boxes have their centre farther from the edge of their tile's view than from any other's.

    Of tiles that see a centre equally well, the first does.
    """
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    own = lattice.depth(tiles, centres)
    best = np.ones(len(tiles), bool)
    for sides in SIDES:
        others = lattice.beyond(tiles, sides)
        there = (others >= 0) & lattice.active[others]
        depth = np.where(there, lattice.depth(others, centres), -np.inf)
        best &= (depth < own) | ((depth == own) & (others > tiles))
    return best
