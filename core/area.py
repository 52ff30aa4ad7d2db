"""The area of a job: its extent and the polygons of its mask layer, in the pixels of the grid."""

from __future__ import annotations

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.enums import TransformDirection
from pyproj.exceptions import ProjError
from shapely.geometry.base import BaseGeometry

from .imagery.grid import Grid
from .job.errors import InvalidJob

SEGMENT_PARTS = 64  # straight edges are cut into so many before a change of CRS, which may bend them


def read_area(grid: Grid, extent: tuple[float, float, float, float] | None, mask: str | None) -> BaseGeometry | None:
    """Give the area to examine as polygons in px of the grid, within it; None for the whole raster.

    `extent`: xmin, ymin, xmax, ymax in the grid's CRS. `mask`: a vector file, or `file|layername=name|subset=SQL` as
    QGIS writes it; its polygons are brought to the grid's CRS. Raises InvalidJob where nothing is left.
    """
    if extent is None and mask is None:
        return None
    area = shapely.box(0, 0, grid.width, grid.height)
    if extent is not None:
        area = shapely.intersection(area, shapely.box(*grid.to_grid(np.array([extent]))[0]))
    if mask is not None:
        area = shapely.intersection(area, _in_pixels(_read_polygons(mask, grid), grid))
    if not shapely.area(area) > 0:
        what = "area layer" if extent is None else "extent" if mask is None else "extent and the area layer together"
        west, south, east, north = grid.to_map(np.array([[0, 0, grid.width, grid.height]]))[0]
        raise InvalidJob(
            f"Nothing is left to examine: the {what} and the raster do not overlap. The raster reaches from "
            f"{west:.10g}, {south:.10g} to {east:.10g}, {north:.10g} in its own coordinates."
        )
    return area


def _read_polygons(mask: str, grid: Grid) -> BaseGeometry:
    """Read what lies near the raster, in the grid's CRS; where a CRS is missing both are taken for the same."""
    path, *options = mask.split("|")
    given = dict(option.partition("=")[::2] for option in options)
    layer = given.get("layername") or (int(given["layerid"]) if given.get("layerid", "").isdigit() else None)
    try:
        source = pyogrio.read_info(path, layer=layer)["crs"]
        to_grid = _transformer(source, grid.crs_wkt)
        near = _bounds_in_layer(grid, to_grid)
        _, _, wkb, _ = pyogrio.raw.read(path, layer=layer, where=given.get("subset"), bbox=near, columns=[])
    except (DataSourceError, DataLayerError, ValueError, ProjError) as problem:
        raise InvalidJob(f"The area layer '{mask}' cannot be used: {problem}.") from problem
    shapes = shapely.make_valid(shapely.force_2d(shapely.from_wkb(wkb)))
    polygons = shapes[shapely.area(shapes) > 0]
    if len(shapes) and not len(polygons):
        raise InvalidJob(f"The area layer '{mask}' holds no polygons.")
    area = shapely.union_all(polygons)
    if to_grid is None:
        return area
    if near is not None:
        area = shapely.intersection(area, shapely.box(*near))
    xmin, ymin, xmax, ymax = area.bounds if area else (0, 0, 1, 1)
    dense = shapely.segmentize(area, max(xmax - xmin, ymax - ymin) / SEGMENT_PARTS)
    moved = shapely.transform(dense, lambda xy: np.column_stack(to_grid.transform(xy[:, 0], xy[:, 1])))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise InvalidJob(f"The area layer '{mask}' reaches beyond what the raster's CRS can describe.")
    return shapely.make_valid(moved)


def _transformer(source: str | None, target: str | None) -> Transformer | None:
    if source is None or target is None or CRS(source) == CRS(target):
        return None
    return Transformer.from_crs(source, target, always_xy=True)


def _bounds_in_layer(grid: Grid, to_grid: Transformer | None) -> tuple[float, float, float, float] | None:
    """Bounds of the raster, and some more, in the layer's CRS; None where they cross the date line or a pole."""
    margin = max(grid.width, grid.height) / 50
    box = np.array([[-margin, -margin, grid.width + margin, grid.height + margin]])
    bounds = tuple(map(float, grid.to_map(box)[0]))
    if to_grid is None:
        return bounds
    bounds = to_grid.transform_bounds(*bounds, direction=TransformDirection.INVERSE)
    return bounds if np.isfinite(bounds).all() and bounds[0] < bounds[2] and bounds[1] < bounds[3] else None


def _in_pixels(shape: BaseGeometry, grid: Grid) -> BaseGeometry:
    a, _, c, _, e, f = grid.transform
    return shapely.transform(shape, lambda xy: np.column_stack([(xy[:, 0] - c) / a, (xy[:, 1] - f) / e]))
