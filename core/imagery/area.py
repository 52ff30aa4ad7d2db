"""The ground that is asked for: an extent and the polygons of a vector file, as one polygon in the grid frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from ..job.errors import InvalidJob
from .grid import Grid

SEGMENTS = 64  # an edge along the layer's bounds gets that many points, so that it may curve in the raster's CRS


def area_in_grid(
    grid: Grid,
    *,
    extent: tuple[float, float, float, float] | None = None,
    mask_path: str | None = None,
) -> BaseGeometry | None:
    """Turn what limits a job into one (multi)polygon in grid px, within the raster; None where nothing limits it.

    `extent`: xmin, ymin, xmax, ymax in the raster's CRS. `mask_path`: a vector file in any CRS, or `file|layername=x`
    as QGIS writes it; without a CRS it is taken to be in the raster's. Raises InvalidJob where the file cannot be
    read, holds no polygon, or nothing of the raster is left.
    """
    if extent is None and mask_path is None:
        return None
    area = shapely.box(0, 0, grid.width, grid.height)
    if extent is not None:
        area = area.intersection(shapely.box(*grid.to_grid([extent])[0]))
        if not area.area > 0:
            raise InvalidJob("The extent does not meet the raster. It must be given in the raster's CRS.")
    if mask_path is not None:
        name = PurePath(mask_path.split("|")[0]).name
        area = _polygons_only(area.intersection(_mask_in_grid(grid, mask_path, name)))
        if not area.area > 0:
            raise InvalidJob(f"The polygons of the area layer '{name}' do not meet the raster.")
    return area


def _mask_in_grid(grid: Grid, mask_path: str, name: str) -> BaseGeometry:
    path, options = layer_source(mask_path)
    try:
        meta, _, blobs, _ = pyogrio.raw.read(path, columns=[], force_2d=True, **options)
        polygons = shapely.from_wkb(blobs, on_invalid="ignore")
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise InvalidJob(f"The area layer '{name}' cannot be read: {str(problem).rstrip('.')}.") from problem
    polygons = np.atleast_1d(polygons)  # None where the layer is a table
    merged = _polygons_only(shapely.union_all(shapely.make_valid(polygons[shapely.get_dimensions(polygons) == 2])))
    if merged.is_empty:
        raise InvalidJob(f"The area layer '{name}' holds no polygons.")
    a, _, c, _, e, f = grid.transform
    to_map = _to_raster_crs(grid, meta["crs"], name)
    if to_map is not None:
        west, south, east, north = merged.bounds
        merged = shapely.segmentize(merged, max(east - west, north - south) / SEGMENTS)

    def to_grid(points: np.ndarray) -> np.ndarray:
        x, y = (points[:, 0], points[:, 1]) if to_map is None else to_map(points[:, 0], points[:, 1])
        return np.stack([(np.asarray(x) - c) / a, (np.asarray(y) - f) / e], axis=1)

    moved = shapely.transform(merged, to_grid)
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise InvalidJob(f"The area layer '{name}' reaches beyond what the raster's CRS can describe. Clip it first.")
    return _polygons_only(shapely.make_valid(moved))


def layer_source(mask_path: str) -> tuple[str, dict[str, str | int]]:
    """Split QGIS's `file|layername=x|layerid=0|subset=…`; a filter runs to the end, bars included."""
    head, _, subset = mask_path.partition("|subset=")
    path, *parts = head.split("|")
    options: dict[str, str | int] = {}
    for part in parts:
        key, _, value = part.partition("=")
        if key == "layername":
            options["layer"] = value
        elif key == "layerid" and value.isdigit():
            options["layer"] = int(value)
    if subset:
        options["where"] = subset
    return path, options


def _to_raster_crs(grid: Grid, layer_crs: str | None, name: str) -> Callable[..., tuple] | None:
    if layer_crs is None or grid.crs_wkt is None:
        return None
    try:
        source, target = CRS.from_user_input(layer_crs), CRS.from_wkt(grid.crs_wkt)
        if source == target:
            return None
        return Transformer.from_crs(source, target, always_xy=True).transform
    except ProjError as problem:
        raise InvalidJob(f"The area layer '{name}' cannot be brought into the raster's CRS.") from problem


def _polygons_only(geometry: BaseGeometry) -> BaseGeometry:
    """Drop the points and lines that making valid or cutting leaves behind."""
    parts = shapely.get_parts(geometry)
    nested = shapely.get_parts(parts)  # a collection may hold multipolygons
    return shapely.union_all(nested[shapely.get_dimensions(nested) == 2])
