"""Boxes and polygons on the ground: their geometry for a vector file, and the area they cover on the ellipsoid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import LambertAzimuthalEqualAreaConversion
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

ToMetres = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

WKB_BOX = np.dtype([("order", "u1"), ("kind", "<u4"), ("rings", "<u4"), ("points", "<u4"), ("xy", "<f8", (5, 2))])
EDGES = 64  # a polygon's long edges are cut, for they are curved on the ground: pieces a 64th of the whole extent


def rings(extents: np.ndarray) -> np.ndarray:
    """Corners (N, 5, 2) of extents (N, 4) xmin, ymin, xmax, ymax: closed and counter-clockwise, as RFC 7946 asks."""
    return extents[:, [[2, 1], [2, 3], [0, 3], [0, 1], [2, 1]]]


def to_wkb(extents: np.ndarray) -> np.ndarray:
    """Encode extents (N, 4) as polygons in well-known binary, an array (N,) of bytes."""
    records = np.zeros(len(extents), WKB_BOX)
    records["order"], records["kind"], records["rings"], records["points"] = 1, 3, 1, 5
    records["xy"] = rings(extents)
    encoded = np.empty(len(extents), object)
    encoded[:] = records.view(f"V{WKB_BOX.itemsize}").tolist()
    return encoded


def box_areas_m2(extents: np.ndarray, crs_wkt: str | None) -> np.ndarray:
    """Ellipsoidal area (N,) in square metres of extents (N, 4) in map coordinates.

    NaN where there is no CRS with a known unit, or the place is none on the ground.
    """
    if not len(extents):
        return np.zeros(0)
    corners = rings(extents)
    to_metres = _equal_area(crs_wkt, extents)
    if to_metres is None:
        return np.full(len(extents), np.nan)
    x, y = to_metres(corners[..., 0].ravel(), corners[..., 1].ravel())
    x, y = x.reshape(-1, 5), y.reshape(-1, 5)
    x, y = x - x[:, :1], y - y[:, :1]  # the shoelace formula loses digits far from the origin
    with np.errstate(invalid="ignore"):
        areas = np.abs((x[:, :-1] * y[:, 1:] - x[:, 1:] * y[:, :-1]).sum(axis=1)) / 2
    return np.where(np.isfinite(areas), areas, np.nan)


def polygon_area_m2(polygons: Sequence[BaseGeometry], crs_wkt: str | None) -> float | None:
    """Ellipsoidal area in square metres of all polygons together; None where it cannot be known."""
    if not len(polygons):
        return 0.0
    extent = shapely.total_bounds(polygons)
    to_metres = _equal_area(crs_wkt, extent[None])
    if to_metres is None:
        return None
    pieces = shapely.segmentize(polygons, max(extent[2] - extent[0], extent[3] - extent[1]) / EDGES)
    moved = shapely.transform(pieces, lambda xy: np.column_stack(to_metres(xy[:, 0], xy[:, 1])))
    area = float(shapely.area(moved).sum())
    return area if math.isfinite(area) else None


def _equal_area(crs_wkt: str | None, extents: np.ndarray) -> ToMetres | None:
    """Find what turns map coordinates x, y into metres of a plane that keeps areas, near the centre of the extents."""
    if crs_wkt is None:
        return None
    try:
        to_geodetic = _to_geodetic(crs_wkt)
        if to_geodetic is None:
            return _plane(CRS.from_wkt(crs_wkt).to_2d())
        centre = (extents[:, :2].min(axis=0) + extents[:, 2:].max(axis=0)) / 2
        lon, lat = to_geodetic.transform(*centre)
        # Whole degrees: portions of a layer share a plane, which takes 0.3 s to set up.
        return _equal_area_at(crs_wkt, round(lon), round(lat)) if np.isfinite([lon, lat]).all() else None
    except ProjError:  # CRSError is one
        return None


@lru_cache(maxsize=8)
def _to_geodetic(crs_wkt: str) -> Transformer | None:
    """From map coordinates to longitude and latitude in the unit of the CRS; None for a local system."""
    crs = CRS.from_wkt(crs_wkt).to_2d()
    return None if crs.geodetic_crs is None else Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)


@lru_cache(maxsize=8)
def _equal_area_at(crs_wkt: str, lon: int, lat: int) -> ToMetres:
    crs = CRS.from_wkt(crs_wkt).to_2d()
    geodetic = crs.geodetic_crs
    degrees = math.degrees(geodetic.axis_info[0].unit_conversion_factor)  # some systems count in gradians
    plane = ProjectedCRS(LambertAzimuthalEqualAreaConversion(lat * degrees, lon * degrees), geodetic_crs=geodetic)
    return Transformer.from_crs(crs, plane, always_xy=True).transform


def _plane(local: CRS) -> ToMetres | None:
    """Take a local system for a plane, where its unit is one of length."""
    axis = local.axis_info[0]
    factor = axis.unit_conversion_factor
    return None if axis.unit_name == "unknown" else lambda x, y: (x * factor, y * factor)
