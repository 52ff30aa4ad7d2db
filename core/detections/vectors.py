"""Detections as vector files that every GIS opens, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.geometry.base import BaseGeometry

from ..job.errors import LabelError, OutputError
from .detections import Detections
from .ground import box_areas_m2, polygon_area_m2, to_wkb
from .metadata import layer_metadata, record_in_geopackage
from .target import require_closed, staged

DETECTIONS, NOT_EXAMINED = "detections", "not_examined"
SCORE_STEPS = 10_000  # scores keep four decimals


class MapGrid(Protocol):
    """What of a pixel grid is needed here."""

    crs_wkt: str | None

    def to_map(self, boxes: np.ndarray) -> np.ndarray:
        """Turn boxes (N, 4) in px into (N, 4) xmin, ymin, xmax, ymax in map coordinates."""


@dataclass(frozen=True)
class VectorFormat:
    """How GDAL writes one format; `members`: suffixes of the files it may consist of besides its own."""

    driver: str
    dataset_options: Mapping[str, str] = field(default_factory=dict)
    layer_options: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = (".qmd",)
    names: Mapping[str, str] = field(default_factory=dict)


FORMATS = {
    # QGIS 3.40 comes with a GDAL that warns about GeoPackage 1.4, the default of newer ones.
    ".gpkg": VectorFormat("GPKG", {"VERSION": "1.2"}, {"SPATIAL_INDEX": "YES"}, members=()),
    ".shp": VectorFormat(
        "ESRI Shapefile",
        layer_options={"SPATIAL_INDEX": "YES"},
        members=(".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qmd"),
        names={"box_area_m2": "area_m2"},  # at most ten characters
    ),
    ".geojson": VectorFormat("GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "8"}),
    ".fgb": VectorFormat("FlatGeobuf"),
    ".parquet": VectorFormat("Parquet"),
}


def require_writable(path: str | Path, crs_wkt: str | None) -> None:
    """Find out before the work whether a result can be written at all; raises OutputError with a sentence if not."""
    target = Path(path)
    _format(target, crs_wkt)
    require_closed(target)
    with staged(target):
        pass


def write_detections(
    path: str | Path,
    detections: Detections,
    grid: MapGrid,
    class_names: Sequence[str],
    run: Mapping[str, Any],
    not_examined: Sequence[BaseGeometry],
    threshold: float,
) -> dict[str, Any]:
    """Write objects as polygons, and the ground that could not be examined; an existing result is replaced.

    `detections`: boxes in the grid's px. `run`: what was done with what, recorded in the layers' metadata.
    `not_examined`: polygons in map coordinates. A GeoPackage takes all detections and both layers; other formats take
    those that score at least `threshold`, and put the other layer, if there is anything in it, into a file beside.
    Fields: `id` from 1, row by row of the box centres; `class`; `score`, cut (not rounded, so that thresholds mean the
    same) to four decimals; `box_area_m2`, ellipsoidal, null where it cannot be known. Returns `layers`, the name or
    file of each layer, None where there is none, and `not_examined_m2`, None where it cannot be known. Raises
    OutputError.
    """
    target = Path(path)
    form = _format(target, grid.crs_wkt)
    in_one_file = form.driver == "GPKG"
    beside = target.with_name(f"{target.stem}_{NOT_EXAMINED}{target.suffix}")
    columns, geometry = _tabulate(detections, grid, class_names, 0.0 if in_one_file else threshold)
    gaps = shapely.get_parts(np.asarray(not_examined, object)) if len(not_examined) else np.zeros(0, object)
    reasons = {"reason": np.full(len(gaps), "no data", object)}
    texts = {layer: layer_metadata(layer.replace("_", " "), run) for layer in (DETECTIONS, NOT_EXAMINED)}
    stale = [] if in_one_file else [file.with_suffix(s) for file in (target, beside) for s in form.members] + [beside]
    with staged(target, stale) as scratch:
        file = scratch / target.name
        _write(file, DETECTIONS if in_one_file else target.stem, form, geometry, columns, grid.crs_wkt)
        gaps_file = file if in_one_file else scratch / beside.name
        if in_one_file or len(gaps):
            name = NOT_EXAMINED if in_one_file else beside.stem
            _write(gaps_file, name, form, shapely.to_wkb(gaps), reasons, grid.crs_wkt)
        if in_one_file:
            record_in_geopackage(file, texts)
        else:
            file.with_suffix(".qmd").write_text(texts[DETECTIONS], encoding="utf-8")
            if len(gaps):
                gaps_file.with_suffix(".qmd").write_text(texts[NOT_EXAMINED], encoding="utf-8")
    area = polygon_area_m2(list(gaps), grid.crs_wkt)
    layers = {DETECTIONS: DETECTIONS, NOT_EXAMINED: NOT_EXAMINED} if in_one_file else {DETECTIONS: str(target)}
    if not in_one_file:
        layers[NOT_EXAMINED] = str(beside) if len(gaps) else None
    return {"layers": layers, "not_examined_m2": None if area is None else round(area, 2)}


def read_boxes(
    path: str | Path, layer: str | None = None, class_field: str = "class", score_field: str = "score"
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, str | None]:
    """Read any layer of polygons as boxes, for evaluation.

    Field names in any case. Returns bounds (N, 4) in the layer's CRS, scores (N,) and class names (N,), None where
    there is no such field, and the CRS. Geometries that are missing or empty are left out. Raises LabelError.
    """
    try:
        meta, _, wkb, values = pyogrio.raw.read(path, layer=layer)
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise LabelError(f"'{path}' cannot be read: {problem}.") from problem
    if wkb is None:
        raise LabelError(f"'{path}' holds no geometries.")
    shapes = shapely.from_wkb(wkb)
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    columns = {str(name).casefold(): value[drawn] for name, value in zip(meta["fields"], values, strict=True)}
    scores = columns.get(score_field.casefold())
    return (
        shapely.bounds(shapes[drawn]).reshape(-1, 4),
        None if scores is None else scores.astype(np.float64),
        columns.get(class_field.casefold()),
        meta["crs"],
    )


def _format(target: Path, crs_wkt: str | None) -> VectorFormat:
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        raise OutputError(f"Results are written as {', '.join(FORMATS)}, not as '{target.name}'.")
    if form.driver not in pyogrio.list_drivers(write=True):
        raise OutputError(f"The GDAL at hand cannot write {form.driver} files. Save '{target.stem}' as .gpkg instead.")
    if form.driver == "GeoJSON" and crs_wkt is None:
        raise OutputError("GeoJSON is in longitude and latitude, but the raster has no CRS. Save it as .gpkg instead.")
    return form


def _tabulate(
    detections: Detections, grid: MapGrid, class_names: Sequence[str], threshold: float
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Order detections and turn them into columns and WKB."""
    scores = np.floor(detections.scores.astype(np.float64) * SCORE_STEPS + 1e-6) / SCORE_STEPS
    kept = np.flatnonzero(scores >= threshold)
    boxes, scores, labels = detections.boxes[kept].astype(np.float64), scores[kept], detections.labels[kept]
    order = np.lexsort((labels, -scores, boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3]))
    extents = grid.to_map(boxes[order])
    columns = {
        "id": np.arange(1, len(order) + 1, dtype=np.int32),
        "class": np.array(class_names, object)[labels[order]],
        "score": scores[order],
        "box_area_m2": np.round(box_areas_m2(extents, grid.crs_wkt), 2),
    }
    return columns, to_wkb(extents)


def _write(
    file: Path, layer: str, form: VectorFormat, wkb: np.ndarray, columns: Mapping[str, np.ndarray], crs_wkt: str | None
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.raw.write(
            file,
            geometry=wkb,
            field_data=list(columns.values()),
            fields=[form.names.get(name, name) for name in columns],
            layer=layer,
            driver=form.driver,
            geometry_type="Polygon",
            crs=crs_wkt,
            encoding="UTF-8",
            dataset_options=dict(form.dataset_options),
            layer_options=dict(form.layer_options),
        )
