"""A canvas: one tile of the scene at the drawing resolution, and the ways to put colour on it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .plan import Paint, Pool, Roof, Sun, Tree, Wing
from .shapes import bounds
from .texture import Texture

SHADE = np.array([0.36, 0.45, 0.52, 0.42], np.float32)  # what skylight leaves, by band: shade is bluer
SOFT_NIR = 0.55  # leaves pass near infrared on: crowns show less relief there


@dataclass(frozen=True)
class Window:
    """The part of a canvas that a shape touches: its slices, and the sample centres, in metres."""

    rows: slice
    columns: slice
    x: np.ndarray
    y: np.ndarray

    @property
    def at(self) -> tuple[slice, slice]:
        """Index of the window in the canvas's arrays."""
        return self.rows, self.columns


class Canvas:
    """Colours float32 (rows, columns, 4) and, for each sample, the number of the pool whose water shows there, or 0.

    `row` and `column` are the place of its first sample in the scene, `step_m` the size of a sample.
    """

    def __init__(
        self, row: int, column: int, rows: int, columns: int, step_m: float, base: Paint, texture: Texture
    ) -> None:
        self.row, self.column, self.step_m = row, column, step_m
        self.noise = texture.window(row, column, rows, columns)
        self.water = np.zeros((rows, columns), np.int32)
        self._x = (np.arange(columns) + (column + 0.5)) * step_m
        self._y = (np.arange(rows) + (row + 0.5)) * step_m
        self.values = np.empty((rows, columns, 4), np.float32)
        self.values[:] = base.colour

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Bounds in metres: xmin, ymin, xmax, ymax."""
        rows, columns = self.water.shape
        left, top = self.column * self.step_m, self.row * self.step_m
        return left, top, left + columns * self.step_m, top + rows * self.step_m

    def window(self, box: tuple[float, float, float, float]) -> Window | None:
        """Samples whose centres lie within xmin, ymin, xmax, ymax (metres), or None where there are none."""
        rows, columns = self.water.shape
        first_x = max(math.ceil(box[0] / self.step_m - 0.5) - self.column, 0)
        first_y = max(math.ceil(box[1] / self.step_m - 0.5) - self.row, 0)
        last_x = min(math.floor(box[2] / self.step_m - 0.5) - self.column, columns - 1)
        last_y = min(math.floor(box[3] / self.step_m - 0.5) - self.row, rows - 1)
        if last_x < first_x or last_y < first_y:
            return None
        rows, columns = slice(first_y, last_y + 1), slice(first_x, last_x + 1)
        return Window(rows, columns, self._x[columns], self._y[rows])

    def patch(self, outline: np.ndarray, paint: Paint) -> None:
        """Cover a polygon with a paint."""
        window = self.window(bounds(outline))
        if window is not None:
            mask = inside(outline, window.x, window.y)
            self._cover(window, mask, paint, _tone(paint, self.noise[window.at][mask]))

    def pool(self, pool: Pool, number: int) -> None:
        """Draw a pool's coping and water and mark the water with `number`."""
        self.patch(pool.coping, pool.rim)
        box = bounds(pool.outline)
        window = self.window(box)
        if window is None:
            return
        mask = inside(pool.outline, window.x, window.y)
        along = ((window.x - (box[0] + box[2]) / 2) * pool.deep[0])[None, :]
        along = along + ((window.y - (box[1] + box[3]) / 2) * pool.deep[1])[:, None]
        depth = (along / max(box[2] - box[0], box[3] - box[1])).astype(np.float32)[mask]
        self._cover(window, mask, pool.water, _tone(pool.water, self.noise[window.at][mask]) - 0.5 * depth)
        self.water[window.at][mask] = number

    def roof(self, roof: Roof, sun: Sun, roofed: np.ndarray) -> None:
        """Draw a roof: at each sample the highest wing shows, each face as bright as it faces the sun.

        Its samples are set in `roofed`, bool (rows, columns).
        """
        x, y = roof.origin
        window = self.window(roof.extent)
        if window is None:
            return
        c, s = math.cos(roof.angle), math.sin(roof.angle)
        dx, dy = window.x[None, :] - x, window.y[:, None] - y
        u, v = dx * c + dy * s, dy * c - dx * s
        light = (sun.x * c + sun.y * s, sun.y * c - sun.x * s, sun.z)
        height = np.full(u.shape, -1.0)
        tone = np.ones(u.shape, np.float32)
        for wing in roof.wings:
            wing_height, wing_tone = _wing(wing, roof, light, u, v)
            higher = wing_height > height
            height[higher], tone[higher] = wing_height[higher], wing_tone[higher]
        mask = height >= 0
        self._cover(window, mask, roof.paint, tone[mask] * _tone(roof.paint, self.noise[window.at][mask]))
        roofed[window.at] |= mask

    def tree(self, tree: Tree, sun: Sun) -> None:
        """Draw a crown: a dome lit from the sun's side, roughened by clumps of leaves."""
        window = self.window(bounds(tree.outline))
        if window is None:
            return
        mask = inside(tree.outline, window.x, window.y)
        dx = ((window.x - tree.x) / tree.radius).astype(np.float32)[None, :]
        dy = ((window.y - tree.y) / tree.radius).astype(np.float32)[:, None]
        up = np.sqrt(np.maximum(1.15 - dx * dx - dy * dy, 0.05))
        light = ((dx * sun.x + dy * sun.y + up * sun.z) / np.sqrt(dx * dx + dy * dy + up * up))[mask]
        tone = (0.36 + 0.84 * np.maximum(light, 0)) * _tone(tree.paint, self.noise[window.at][mask])
        self._cover(window, mask, tree.paint, tone)
        nir = self.values[window.at][..., 3]
        nir[mask] = tree.paint.colour[3] * (SOFT_NIR * tone + 1 - SOFT_NIR)

    def inside_any(self, outlines: Iterable[np.ndarray]) -> np.ndarray:
        """Samples inside any of the polygons, bool (rows, columns)."""
        found = np.zeros(self.water.shape, bool)
        for outline in outlines:
            window = self.window(bounds(outline))
            if window is not None:
                found[window.at] |= inside(outline, window.x, window.y)
        return found

    def darken(self, mask: np.ndarray) -> None:
        """Take the sun away from samples, bool (rows, columns)."""
        self.values[mask] *= SHADE

    def _cover(self, window: Window, mask: np.ndarray, paint: Paint, tone: np.ndarray) -> None:
        self.values[window.at][mask] = np.maximum(tone, 0.05)[:, None] * np.array(paint.colour, np.float32)
        self.water[window.at][mask] = 0


def inside(outline: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Samples inside a polygon by the even-odd rule: bool (len(y), len(x)).

    A sample at (x, y) is inside if a ray towards -x crosses the outline an odd number of times; edges are half open, so
    that polygons sharing an edge neither overlap nor leave a gap.
    """
    x0, y0 = outline.T
    x1, y1 = outline.take(range(1, len(outline) + 1), axis=0, mode="wrap").T
    edge, row = ((y0[:, None] <= y) != (y1[:, None] <= y)).nonzero()
    start = y0[edge]
    at = x0[edge] + (y[row] - start) * ((x1 - x0)[edge] / (y1[edge] - start))
    crossings = np.zeros((len(y), len(x) + 1), np.uint8)  # may wrap: only the parity counts
    np.add.at(crossings, (row, x.searchsorted(at)), 1)
    return (crossings[:, :-1].cumsum(axis=1, dtype=np.uint8) & 1).view(bool)


def _tone(paint: Paint, noise: np.ndarray) -> np.ndarray:
    weights = np.array([paint.mottle, paint.clump, paint.grain], np.float32)
    return 1 + noise @ weights


def _wing(
    wing: Wing, roof: Roof, light: tuple[float, float, float], u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Height above the eaves (negative outside) and brightness of one wing at (u, v) of the house's frame."""
    du, dv = u - wing.x, v - wing.y
    to_u, to_v = wing.half_x - np.abs(du), wing.half_y - np.abs(dv)
    within = np.minimum(to_u, to_v)
    if roof.style == "flat":
        return np.where(within >= 0, 1.0, -1.0), np.where(within < 0.35, 1.1, 1.0).astype(np.float32)
    faces_v = to_v < to_u
    if roof.style == "gable":
        faces_v = np.full(within.shape, wing.ridge_along_x)
    rise = math.tan(roof.pitch)
    slope = np.where(faces_v, to_v, to_u)
    lean = np.where(faces_v, np.sign(dv) * light[1], np.sign(du) * light[0])
    facing = lean * math.sin(roof.pitch) + light[2] * math.cos(roof.pitch)
    tone = 0.35 + 0.65 * np.maximum(facing, 0) / light[2]
    return np.where(within >= 0, slope * rise, -1.0), tone.astype(np.float32)
