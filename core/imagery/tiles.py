"""The plan of tiles: a regular lattice over a raster or the part of it that is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..job.errors import InvalidJob
from .grid import Grid


@dataclass(frozen=True, eq=False)
class TilePlan:
    """Square tiles over a window of the grid, row by row; tile `index` = row * cols + col.

    `x0`, `y0`, `width`, `height`: the planned window, grid px. Tiles lie `step_px` apart from its top left corner; the
    last ones may stick out of it. `active`: bool (rows, cols), false where a tile does not meet the area.
    """

    x0: int
    y0: int
    width: int
    height: int
    tile_px: int
    overlap_px: int
    active: np.ndarray

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return self.active.shape[0]

    @property
    def cols(self) -> int:
        """Columns of tiles."""
        return self.active.shape[1]

    @property
    def step_px(self) -> int:
        """Distance between neighbouring tiles, px."""
        return self.tile_px - self.overlap_px

    def __len__(self) -> int:
        return int(self.active.sum())

    def indexes(self) -> np.ndarray:
        """Name the active tiles, int64, row by row."""
        return np.flatnonzero(self.active)

    def window(self, index: int) -> tuple[int, int, int, int]:
        """Tell a tile's x0, y0, x1, y1 in the grid frame."""
        row, col = divmod(int(index), self.cols)
        x, y = self.x0 + col * self.step_px, self.y0 + row * self.step_px
        return x, y, x + self.tile_px, y + self.tile_px

    def windows(self) -> np.ndarray:
        """Tell all tiles' windows, float64 (rows * cols, 4) xyxy in the grid frame."""
        x = self.x0 + np.arange(self.cols, dtype=np.float64) * self.step_px
        y = self.y0 + np.arange(self.rows, dtype=np.float64) * self.step_px
        ys, xs = (axis.ravel() for axis in np.meshgrid(y, x, indexing="ij"))
        return np.stack([xs, ys, xs + self.tile_px, ys + self.tile_px], axis=1)

    def views(self) -> np.ndarray:
        """Tell all tiles' views: their windows, infinite on sides that reach the edge of the planned window.

        Beyond that edge there is nothing to be seen, so nothing is cut by it.
        """
        views = self.windows()
        views[views[:, 0] <= self.x0, 0] = -np.inf
        views[views[:, 1] <= self.y0, 1] = -np.inf
        views[views[:, 2] >= self.x0 + self.width, 2] = np.inf
        views[views[:, 3] >= self.y0 + self.height, 3] = np.inf
        return views


def plan_tiles(grid: Grid, tile_px: int, overlap_px: int, stride_px: int, area: BaseGeometry | None = None) -> TilePlan:
    """Plan tiles over the raster, or over a polygon in the grid frame.

    Tile, overlap and step become multiples of the network's coarsest stride `stride_px`: the tile the nearest, at
    least two where there is an overlap; the overlap the next larger, at most half a tile. The planned window is the
    area's bounds with half an overlap of context, outwards to multiples of the stride, within the raster. The tile
    shrinks to what covers it. Raises InvalidJob where the area does not meet the raster.
    """
    strides = max(1, round(tile_px / stride_px))
    overlap_strides = math.ceil(overlap_px / stride_px)
    if overlap_strides > 0:
        strides = max(2, strides)
        overlap_strides = min(overlap_strides, strides // 2)

    x0, y0, x1, y1 = 0, 0, grid.width, grid.height
    if area is not None:
        reach = overlap_strides * stride_px / 2
        x0, x1 = _snapped(area.bounds[0] - reach, area.bounds[2] + reach, stride_px, grid.width)
        y0, y1 = _snapped(area.bounds[1] - reach, area.bounds[3] + reach, stride_px, grid.height)
        if area.is_empty or x0 >= x1 or y0 >= y1:
            raise InvalidJob("The area to look at does not meet the raster.")
    strides = min(strides, math.ceil(max(x1 - x0, y1 - y0) / stride_px))
    overlap_strides = min(overlap_strides, strides - 1)
    tile, overlap = strides * stride_px, overlap_strides * stride_px
    step = tile - overlap
    rows = 1 + math.ceil(max(0, y1 - y0 - tile) / step)
    cols = 1 + math.ceil(max(0, x1 - x0 - tile) / step)
    plan = TilePlan(x0, y0, x1 - x0, y1 - y0, tile, overlap, np.ones((rows, cols), bool))
    if area is None:
        return plan
    shapely.prepare(area)
    meets = shapely.intersects(area, shapely.box(*plan.windows().T)).reshape(rows, cols)
    return TilePlan(x0, y0, x1 - x0, y1 - y0, tile, overlap, meets)


def _snapped(low: float, high: float, stride: int, size: int) -> tuple[int, int]:
    """Move bounds outwards to multiples of the stride, and inwards to the raster."""
    return max(0, math.floor(low / stride) * stride), min(size, math.ceil(high / stride) * stride)
