"""Labels as layers over a raster: polygons, lines or points, and the area in which all objects are labelled."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import pyogrio
import pyogrio.raw
import rasterio
import shapely
from affine import Affine
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from shapely.geometry.base import BaseGeometry

from ...imagery.area import layer_source
from ...imagery.grid import metres_per_unit
from ...job.errors import LabelError
from .records import Record, Records
from .repairs import Repairs
from .tables import TRUE

EDGE_POINTS = 64  # along the area's bounds, so that its edges may curve in the raster's CRS


@dataclass(frozen=True)
class Layer:
    """A layer of labels, `file` or `file|layername=x`. `class_field` None: all objects are of the class `class_name`.

    `size_m`: side of a point's box, ground metres; `size_field` holds it by object and goes before. `ignore_field`:
    true where an object is doubtful. `area`: a polygon layer in which all objects are labelled; `extent`: the same as
    xmin, ymin, xmax, ymax in the CRS `extent_crs` (WKT; None: the raster's); both None: the whole raster.
    """

    path: str
    class_field: Optional[str] = None
    class_name: str = "object"
    size_m: Optional[float] = None
    size_field: Optional[str] = None
    ignore_field: Optional[str] = None
    area: Optional[str] = None
    extent: Optional[tuple[float, float, float, float]] = None
    extent_crs: Optional[str] = None


@dataclass(frozen=True)
class _Ground:
    """Where a raster lies: px to map, its CRS, and ground metres a px."""

    to_map: Affine
    crs: CRS | None
    metres: float | None
    width: int
    height: int


def read_layer(layer: Layer, raster: Path, repairs: Repairs) -> Records:
    """Read the objects of a layer that lie on a raster, their bounds in px of its file, with the labelled area.

    Layers in another CRS are brought into the raster's. Raises LabelError where a layer cannot be used.
    """
    ground = _ground(raster)
    wanted = [name for name in (layer.class_field, layer.size_field, layer.ignore_field) if name]
    shapes, columns = _read(layer.path, wanted, ground, repairs)
    name = Path(layer.path.split("|")[0]).name
    records = Records(raster, raster.parent, images={raster.name: None})
    frame = shapely.box(0, 0, ground.width, ground.height)
    if layer.area is not None or layer.extent is not None:
        records.areas[raster.name] = _labelled_area(layer, raster.name, ground, repairs)
    for i in np.flatnonzero(shapely.intersects(shapes, frame)).tolist():
        where = f"object {i + 1} of '{name}'"
        label = str(columns[layer.class_field][i] if layer.class_field else layer.class_name).strip()
        if not label or label in ("None", "nan"):
            repairs.add("Objects without a class were left out", where)
            continue
        ignore = bool(layer.ignore_field) and _is_true(columns[layer.ignore_field][i])
        half = _half_side(layer, columns, i, ground)
        for part in shapely.get_parts(shapes[i]) if shapely.get_dimensions(shapes[i]) == 0 else (shapes[i],):
            x0, y0, x1, y1 = shapely.bounds(part).tolist()
            if shapely.get_dimensions(part) == 0:
                if not half > 0:
                    repairs.add("Points without a size were left out", where)
                    continue
                x0, y0, x1, y1 = x0 - half, y0 - half, x1 + half, y1 + half
            records.add(Record(raster.name, (x0, y0, x1, y1), label, where, ignore))
    return records


def _half_side(layer: Layer, columns: dict[str, np.ndarray], i: int, ground: _Ground) -> float:
    """Half a point's box, px; 0 where nothing tells it."""
    size = layer.size_m
    if layer.size_field:
        try:
            size = float(columns[layer.size_field][i])
        except (TypeError, ValueError):
            size = layer.size_m
    if size is None or not np.isfinite(size):
        return 0.0
    if ground.metres is None:
        raise LabelError("Points need a size on the ground, but the raster's CRS is unknown.")
    return size / ground.metres / 2


def _ground(raster: Path) -> _Ground:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(raster) as opened:
                transform, crs, width, height = opened.transform, opened.crs, opened.width, opened.height
    except RasterioIOError as problem:
        raise LabelError(f"The raster '{raster}' cannot be read: {problem}.") from problem
    if transform.is_identity:
        raise LabelError(f"The raster '{raster.name}' has no place on the map, so that no layer can lie over it.")
    wkt = crs.to_wkt() if crs else None
    metres = metres_per_unit(wkt, transform, width, height)
    side = None if metres is None else float(np.sqrt(abs(transform.determinant) * metres[0] * metres[1]))
    return _Ground(transform, CRS.from_wkt(wkt) if wkt else None, side, width, height)


def _labelled_area(layer: Layer, raster: str, ground: _Ground, repairs: Repairs) -> BaseGeometry:
    area: BaseGeometry = shapely.box(0, 0, ground.width, ground.height)
    if layer.area is not None:
        shapes, _ = _read(layer.area, [], ground, repairs)
        area = area.intersection(shapely.union_all(shapes[shapely.get_dimensions(shapes) == 2]))
        if not area.area > 0:
            raise LabelError(f"No polygon of the area layer '{layer.area}' lies on the raster '{raster}'.")
    if layer.extent is not None:
        drawn = np.array([shapely.box(*layer.extent)])
        area = area.intersection(_in_px(drawn, layer.extent_crs, ground, "extent", Repairs())[0])
        if not area.area > 0:
            raise LabelError(f"The extent does not meet the labelled ground of the raster '{raster}'.")
    return area


def _read(
    source: str, columns: list[str], ground: _Ground, repairs: Repairs
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Geometries in px of the raster, and columns, of all features that have a geometry."""
    path, options = layer_source(source)
    name = Path(path).name
    try:
        meta, _, blobs, values = pyogrio.raw.read(path, force_2d=True, **options)
        shapes = np.atleast_1d(shapely.from_wkb(blobs, on_invalid="ignore"))
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise LabelError(f"The layer '{name}' cannot be read: {str(problem).rstrip('.')}.") from problem
    fields = dict(zip((str(field) for field in meta["fields"]), values, strict=True))
    missing = [column for column in columns if column not in fields]
    if missing:
        raise LabelError(f"The layer '{name}' has no field '{missing[0]}'. It has {', '.join(fields) or 'none'}.")
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if not drawn.all():
        repairs.add("Objects without a geometry were left out", f"'{name}'", int((~drawn).sum()))
    shapes = shapes[drawn]
    broken = ~shapely.is_valid(shapes)
    if broken.any():
        repairs.add("Invalid geometries were made valid", f"'{name}'", int(broken.sum()))
        shapes[broken] = shapely.make_valid(shapes[broken])
    shapes = _in_px(shapes, meta["crs"], ground, name, repairs)
    placed = np.isfinite(shapely.bounds(shapes)).reshape(-1, 4).all(axis=1)
    if not placed.all():
        repairs.add("Objects that the raster's CRS cannot describe were left out", f"'{name}'", int((~placed).sum()))
    return shapes[placed], {column: fields[column][drawn][placed] for column in columns}


def _in_px(shapes: np.ndarray, crs: str | None, ground: _Ground, name: str, repairs: Repairs) -> np.ndarray:
    """Geometries of a CRS in px of the raster."""
    to_raster = _to_raster(crs, ground, name, len(shapes), repairs)
    if to_raster is not None and len(shapes) and (shapely.get_dimensions(shapes) > 0).any():
        longest = max(np.ptp(shapely.total_bounds(shapes).reshape(2, 2), axis=0))
        shapes = shapely.segmentize(shapes, longest / EDGE_POINTS) if longest > 0 else shapes
    to_px = ~ground.to_map

    def moved(points: np.ndarray) -> np.ndarray:
        x, y = points.T if to_raster is None else to_raster(*points.T)
        return np.column_stack(to_px @ (np.asarray(x), np.asarray(y)))

    return shapely.transform(shapes, moved)


def _to_raster(
    layer_crs: str | None, ground: _Ground, name: str, count: int, repairs: Repairs
) -> Callable[..., tuple] | None:
    if layer_crs is None or ground.crs is None:
        repairs.add("Objects without a known CRS were taken to be in the raster's", f"'{name}'", count)
        return None
    try:
        source = CRS.from_user_input(layer_crs)
        if source == ground.crs:
            return None
        repairs.add(f"Objects in another CRS ({source.name}) were brought into the raster's", f"'{name}'", count)
        return Transformer.from_crs(source, ground.crs, always_xy=True).transform
    except ProjError as problem:
        raise LabelError(f"The layer '{name}' cannot be brought into the raster's CRS.") from problem


def _is_true(value: object) -> bool:
    return str(value).strip().casefold() in (*TRUE, "1.0")
