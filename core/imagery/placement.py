"""Where a raster lies, and the grid of the model's resolution over it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from affine import Affine

from ..job.errors import RasterError
from .grid import Grid, metres_per_unit

TOLERANCE = 1.1  # sizes within 10 % count as equal
ASKED_TOLERANCE = 1.01  # a resolution in metres is meant as it is given
TOO_COARSE = 8.0  # times the model's pixel: what the model knows is then smaller than a pixel or two
HOPELESS = 20.0  # times the pixel wanted: refining such a raster costs hours and shows nothing
MAX_UPSAMPLED_PX = 2_000_000_000
MAX_SIDE_PX = 2**31 - 1  # GDAL's


@dataclass(frozen=True)
class Placement:
    """A grid over a raster.

    `to_source`: affine from grid px to source px; None where the grid is the raster's own. `source_resolution_m`:
    ground metres a source pixel, None where unknown. `coarsening`: source px along one grid px.
    """

    grid: Grid
    to_source: Affine | None
    source_resolution_m: float | None
    coarsening: float
    notices: tuple[str, ...]


def place(
    name: str,
    width: int,
    height: int,
    transform: Affine,
    crs_wkt: str | None,
    model_resolution_m: float | None,
    resolution_m: float | str | None,
) -> Placement:
    """Lay the grid in which the network looks over a raster of `width` x `height` px.

    The raster's own grid where it is north-up and its ground pixels are square and of the wanted size, within 10 %
    (1 % of a size asked for in metres); else a north-up one over its bounds. `resolution_m`: "model" or None (the
    model's), "native" (the raster's own) or metres. Raises RasterError where the raster is far too coarse for it.
    """
    transform = _straightened(transform, width, height)
    a, b, _, d, e, _ = transform[:6]
    metres = metres_per_unit(crs_wkt, transform, width, height)
    mx, my = metres or (1.0, 1.0)
    column, row = math.hypot(a * mx, d * my), math.hypot(b * mx, e * my)
    if not (column > 0 and row > 0):
        raise RasterError(f"The georeference of '{name}' is broken: its pixels have no size.")
    own = math.sqrt(column * row)
    wanted, notices = _wanted(metres is not None, own, model_resolution_m, resolution_m)
    if wanted is None and resolution_m != "native" and metres and _ratio(column, row) > TOLERANCE:
        wanted = own
    tolerance = ASKED_TOLERANCE if isinstance(resolution_m, (int, float)) else TOLERANCE
    resample = wanted is not None and max(_ratio(column, wanted), _ratio(row, wanted)) > tolerance
    north_up = b == 0 and d == 0 and a > 0 > e
    source = own if metres else None
    if north_up and not resample:
        grid = Grid(width, height, transform[:6], crs_wkt, source)
        return Placement(grid, None, source, 1.0, tuple(notices))

    if not resample and b == 0 and d == 0:
        dx, dy = abs(a), abs(e)
    elif not resample and a == 0 and e == 0:
        dx, dy = abs(b), abs(d)
    else:
        dx, dy = (wanted or own) / mx, (wanted or own) / my
    cell = math.sqrt(dx * mx * dy * my)
    grid = _north_up_grid(width, height, transform, dx, dy, crs_wkt, cell if metres else None)
    _require_sensible(name, grid, own, cell)
    if not north_up:
        notices.append(f"'{name}' is not north-up; it has been turned.")
    if resample:
        notices.append(f"'{name}' has been resampled from {_metres(own)} to {_metres(cell)} a pixel.")
    return Placement(grid, ~transform @ Affine(*grid.transform), source, cell / own, tuple(notices))


def _wanted(
    known: bool, own: float, model_resolution_m: float | None, resolution_m: float | str | None
) -> tuple[float | None, list[str]]:
    """Choose the resolution to resample to (None: leave it) and say what the user should know of it."""
    number = float(resolution_m) if isinstance(resolution_m, (int, float)) else None
    if number is not None and not (0 < number < 1e5):
        raise RasterError("The resolution must be a positive number of metres.")
    if not known:
        if number is not None or (model_resolution_m and resolution_m != "native"):
            return None, ["The raster's pixel size on the ground is unknown, so it is used as it is."]
        return None, []
    notices = []
    if model_resolution_m and own > TOO_COARSE * model_resolution_m:
        notices.append(
            f"The raster's pixels of {_metres(own)} are {own / model_resolution_m:.0f} times coarser than the model's "
            f"{_metres(model_resolution_m)}: its objects can hardly be seen."
        )
    elif model_resolution_m and resolution_m == "native" and _ratio(own, model_resolution_m) > 1.5:
        notices.append(
            f"The raster is left at {_metres(own)} a pixel, though the model has learnt at "
            f"{_metres(model_resolution_m)}."
        )
    if resolution_m == "native":
        return None, notices
    return number or model_resolution_m, notices


def _straightened(transform: Affine, width: int, height: int) -> Affine:
    """Drop a rotation too small to move any pixel by a tenth of one: rounding in the file."""
    a, b, c, d, e, f = transform[:6]
    if abs(b) * height < 0.1 * abs(a) and abs(d) * width < 0.1 * abs(e):
        return Affine(a, 0.0, c, 0.0, e, f)
    return Affine(a, b, c, d, e, f)


def _north_up_grid(
    width: int, height: int, transform: Affine, dx: float, dy: float, crs_wkt: str | None, resolution_m: float | None
) -> Grid:
    corners = [transform @ corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    xs, ys = zip(*corners, strict=True)
    columns, rows = max(1, round((max(xs) - min(xs)) / dx)), max(1, round((max(ys) - min(ys)) / dy))
    return Grid(columns, rows, (dx, 0.0, min(xs), 0.0, -dy, max(ys)), crs_wkt, resolution_m)


def _require_sensible(name: str, grid: Grid, own: float, cell: float) -> None:
    upsampled = own > TOO_COARSE * cell and grid.width * grid.height > MAX_UPSAMPLED_PX
    if own > HOPELESS * cell or upsampled or max(grid.width, grid.height) > MAX_SIDE_PX:
        raise RasterError(
            f"'{name}' has pixels of {_metres(own)} and cannot be looked at with pixels of {_metres(cell)}: that would "
            f"be {grid.width} x {grid.height} of them. Choose a finer raster, or the resolution 'native'."
        )


def _ratio(one: float, other: float) -> float:
    return max(one / other, other / one)


def _metres(length: float) -> str:
    return f"{length:.3g} m" if length < 1000 else f"{length / 1000:.3g} km"
