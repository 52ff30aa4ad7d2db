"""The pixel grid in which the network looks, and what its pixels measure on the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError


@dataclass(frozen=True)
class Grid:
    """A north-up pixel grid; origin at the top left corner, x along columns, y along rows.

    `transform`: affine a, b, c, d, e, f with x = a*col + b*row + c and y = d*col + e*row + f, b = d = 0, a > 0 > e.
    `crs_wkt`: None where the raster has none. `resolution_m`: ground metres a pixel (ellipsoidal, geometric mean of
    both axes at the centre), None where the ground cannot be known.
    """

    width: int
    height: int
    transform: tuple[float, float, float, float, float, float]
    crs_wkt: str | None = None
    resolution_m: float | None = None

    def to_map(self, boxes: np.ndarray) -> np.ndarray:
        """Turn boxes (N, 4) xyxy in px into (N, 4) xmin, ymin, xmax, ymax in map coordinates, float64."""
        a, _, c, _, e, f = self.transform
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        return np.stack(
            [c + a * boxes[:, 0], f + e * boxes[:, 3], c + a * boxes[:, 2], f + e * boxes[:, 1]],
            axis=1,
        )

    def to_grid(self, extents: np.ndarray) -> np.ndarray:
        """Turn extents (N, 4) xmin, ymin, xmax, ymax in map coordinates into boxes (N, 4) xyxy in px, float64."""
        a, _, c, _, e, f = self.transform
        extents = np.asarray(extents, np.float64).reshape(-1, 4)
        return np.stack(
            [(extents[:, 0] - c) / a, (extents[:, 3] - f) / e, (extents[:, 2] - c) / a, (extents[:, 1] - f) / e],
            axis=1,
        )


def metres_per_unit(crs_wkt: str | None, transform: Affine, width: int, height: int) -> tuple[float, float] | None:
    """Measure on the ellipsoid how many metres one map unit covers along x and along y at the centre of a raster.

    Works in projected, web-mercator and geographic systems and on other planets (the CRS names its ellipsoid). None
    where there is no CRS, it is a local one, or the centre lies outside of what it can describe.
    """
    a, b, _, d, e, _ = transform[:6]
    x, y = transform @ (width / 2, height / 2)
    half = max(math.hypot(a, d), math.hypot(b, e)) / 2  # one pixel: longer steps would cut corners on coarse rasters
    if crs_wkt is None or half == 0:
        return None
    try:
        crs = CRS.from_wkt(crs_wkt)
        geod, geodetic = crs.get_geod(), crs.geodetic_crs
        if geod is None or geodetic is None:
            return None
        to_geodetic = Transformer.from_crs(crs, geodetic, always_xy=True)
        lon, lat = to_geodetic.transform([x - half, x + half, x, x], [y, y, y - half, y + half])
    except ProjError:  # CRSError is one
        return None
    if not np.isfinite([lon, lat]).all():
        return None
    degrees = math.degrees(geodetic.axis_info[0].unit_conversion_factor)  # some systems count in gradians
    lon, lat = np.multiply(lon, degrees), np.multiply(lat, degrees)
    across = geod.inv(lon[0], lat[0], lon[1], lat[1])[2] / (2 * half)
    along = geod.inv(lon[2], lat[2], lon[3], lat[3])[2] / (2 * half)
    return (across, along) if across > 0 and along > 0 else None
