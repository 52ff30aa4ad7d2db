"""A record of the ground that was read, so that what nobody could look at never passes for empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from rasterio.features import shapes
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from .grid import Grid
from .tiles import TilePlan

CELL_PX = 32
MAX_CELLS = 16_000_000


@dataclass(frozen=True, eq=False)
class Ground:
    """What a record has noted, for another one of the same plan.

    `read`, `valid`: bool (rows, columns) of the cells from `row`, `column` on. `empty_tiles`: as in `Examined`.
    """

    row: int
    column: int
    read: np.ndarray
    valid: np.ndarray
    empty_tiles: list[int]


class Examined:
    """Notes, in square cells of the planned window, where pixels were read and where any of them was valid.

    `empty_tiles`: active tiles without any valid pixel. `cell_px`: 32, doubled until the cells fit in 16 MB.
    """

    def __init__(self, plan: TilePlan) -> None:
        self.empty_tiles: list[int] = []
        self.cell_px = CELL_PX
        while (plan.width // self.cell_px + 1) * (plan.height // self.cell_px + 1) > MAX_CELLS:
            self.cell_px *= 2
        self._plan = plan
        cells = (-(-plan.height // self.cell_px), -(-plan.width // self.cell_px))
        self._read = np.zeros(cells, bool)
        self._valid = np.zeros(cells, bool)

    def note(self, x: int, y: int, valid: np.ndarray) -> None:
        """Note the validity (rows, columns) of pixels read at x, y of the grid."""
        left, top = x - self._plan.x0, y - self._plan.y0
        valid = valid[: max(0, self._plan.height - top), : max(0, self._plan.width - left)]
        if valid.size == 0:
            return
        rows, row_starts = _cells(top, valid.shape[0], self.cell_px)
        columns, column_starts = _cells(left, valid.shape[1], self.cell_px)
        any_valid = np.logical_or.reduceat(np.logical_or.reduceat(valid, row_starts, axis=0), column_starts, axis=1)
        self._read[rows, columns] = True
        self._valid[rows, columns] |= any_valid

    def state(self) -> dict[str, np.ndarray]:
        """Give all that was noted so far, as arrays."""
        return {"cells_read": self._read, "cells_valid": self._valid, "empty_tiles": np.array(self.empty_tiles, int)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what another record of the same plan gave as its `state`."""
        self._read |= state["cells_read"]
        self._valid |= state["cells_valid"]
        self.empty_tiles += state["empty_tiles"].tolist()

    def ground(self) -> Ground:
        """Give all that was noted, no larger than the cells that were read."""
        rows, columns = (np.flatnonzero(self._read.any(axis)) for axis in (1, 0))
        if not rows.size:
            return Ground(0, 0, self._read[:0, :0], self._valid[:0, :0], self.empty_tiles)
        noted = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return Ground(int(rows[0]), int(columns[0]), self._read[noted], self._valid[noted], self.empty_tiles)

    def add(self, ground: Ground) -> None:
        """Take over what a record of the same plan has noted elsewhere."""
        rows, columns = ground.read.shape
        noted = np.s_[ground.row : ground.row + rows, ground.column : ground.column + columns]
        self._read[noted] |= ground.read
        self._valid[noted] |= ground.valid
        self.empty_tiles += ground.empty_tiles

    def gaps(self, grid: Grid, area: BaseGeometry | None = None) -> list[BaseGeometry]:
        """Outline the ground that was read but is invalid, as polygons in map coordinates.

        Made of whole cells, within the planned window and `area` (a polygon in the grid frame).
        """
        plan = self._plan
        missing = self._read & ~self._valid
        frame = Affine(self.cell_px, 0, plan.x0, 0, self.cell_px, plan.y0)
        outlines = [shape(outline) for outline, _ in shapes(missing.astype(np.uint8), missing, 4, frame)]
        limit = shapely.box(plan.x0, plan.y0, plan.x0 + plan.width, plan.y0 + plan.height)
        if area is not None:
            limit = limit.intersection(area)
        shapely.prepare(limit)
        kept = shapely.get_parts(shapely.intersection(outlines, limit))
        kept = kept[(shapely.get_dimensions(kept) == 2) & ~shapely.is_empty(kept)]
        a, _, c, _, e, f = grid.transform
        return list(shapely.transform(kept, lambda points: points * (a, e) + (c, f)))


def _cells(start: int, length: int, cell: int) -> tuple[slice, np.ndarray]:
    """Tell which cells a run of pixels meets, and where in the run each of them begins."""
    first, last = start // cell, (start + length - 1) // cell
    starts = np.maximum(np.arange(first, last + 1) * cell - start, 0)
    return slice(first, last + 1), starts
