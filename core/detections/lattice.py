"""The regular lattice of tiles that merging works on: who looks where, and who is whose neighbour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LEFT, TOP, RIGHT, BOTTOM = range(4)  # the sides of a box, in the order of its coordinates


@dataclass(frozen=True, eq=False)
class Lattice:
    """Tiles in rows and columns, tile `row * cols + col`.

    `windows` (T, 4): each tile's rectangle in the grid frame. `views` (T, 4): the same, unlimited (infinite) where the
    tile's edge is the edge of the raster or the area. `active` (T,) bool: tiles that are looked at; the others show
    nothing and never deliver.
    """

    windows: np.ndarray
    views: np.ndarray
    cols: int
    active: np.ndarray

    def neighbours(self, tiles: np.ndarray) -> np.ndarray:
        """Edge-adjacent tiles (N, 4) on the left, top, right and bottom; -1 where the lattice ends."""
        col, last = tiles % self.cols, len(self.windows) - self.cols
        return np.stack(
            [
                np.where(col > 0, tiles - 1, -1),
                np.where(tiles >= self.cols, tiles - self.cols, -1),
                np.where(col < self.cols - 1, tiles + 1, -1),
                np.where(tiles < last, tiles + self.cols, -1),
            ],
            axis=1,
        )

    def beyond(self, tiles: np.ndarray, sides: Sequence[int]) -> np.ndarray:
        """Tiles (N,) on one side, or over two sides at a corner; -1 where the lattice ends."""
        right, down = (RIGHT in sides) - (LEFT in sides), (BOTTOM in sides) - (TOP in sides)
        col, others = tiles % self.cols + right, tiles + (right + down * self.cols)
        there = (col >= 0) & (col < self.cols) & (others >= 0) & (others < len(self.windows))
        return np.where(there, others, -1)

    def depth(self, tiles: np.ndarray, points: np.ndarray) -> np.ndarray:
        """How far points (N, 2) lie inside the views of tiles; negative outside."""
        (x, y), (left, top, right, bottom) = points.T, self.views.take(tiles, axis=0).T
        return np.minimum(np.minimum(x - left, right - x), np.minimum(y - top, bottom - y))

    @cached_property
    def shared(self) -> np.ndarray:
        """Up to where (T, 4) the next tile on the left and top sees, from where that on the right and bottom does.

        Infinite where the lattice ends: nothing lies there.
        """
        others = self.neighbours(np.arange(len(self.windows)))
        opposite = self.windows[others, [RIGHT, BOTTOM, LEFT, TOP]]
        return np.where(others >= 0, opposite, [-np.inf, -np.inf, np.inf, np.inf])

    def blocks(self, tiles: np.ndarray) -> np.ndarray:
        """Rectangles (B, 4), one for each run of rows that hold some of `tiles` (a mask); they contain those tiles.

        Edge-adjacent tiles of the mask always lie in one block.
        """
        grid = tiles.reshape(-1, self.cols)
        rows = np.flatnonzero(grid.any(axis=1))
        found = []
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []:
            cols = np.flatnonzero(grid[run[0] : run[-1] + 1].any(axis=0))
            first, last = run[0] * self.cols + cols[0], run[-1] * self.cols + cols[-1]
            found.append([*self.windows[first, :2], *self.windows[last, 2:]])
        return np.array(found, np.float64).reshape(-1, 4)
