"""Detections as vector files that every GIS opens, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from shapely.geometry.base import BaseGeometry

from ..job.errors import LabelError
from .detections import Detections
from .formats import GEOPACKAGE, Table, convert, format_of, write, write_in_portions
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


def require_writable(path: str | Path, crs_wkt: str | None) -> None:
    """Find out before the work whether a result can be written at all; raises OutputError with a sentence if not."""
    target = Path(path)
    format_of(target, crs_wkt)
    require_closed(target)
    with staged(target):
        pass


def write_detections(
    path: str | Path,
    found: Iterable[Detections],
    grid: MapGrid,
    class_names: Sequence[str],
    run: Mapping[str, Any],
    not_examined: Sequence[BaseGeometry],
    threshold: float,
) -> dict[str, Any]:
    """Write objects as polygons, and the ground that could not be examined; an existing result is replaced.

    `found`: portions in the order in which they are to be written, boxes in the grid's px; one is held at a time.
    `run`: what was done with what, recorded in the layers' metadata. `not_examined`: polygons in map coordinates. A
    GeoPackage takes all detections and both layers; other formats take those that score at least `threshold`, and put
    the other layer, if there is anything in it, into a file beside. Fields: `id` from 1; `class`; `score`, cut (not
    rounded, so that thresholds mean the same) to four decimals; `box_area_m2`, ellipsoidal, null where it cannot be
    known. Returns `layers`, the name or file of each layer, None where there is none, and `not_examined_m2`, None where
    it cannot be known. Raises OutputError.
    """
    target = Path(path)
    form = format_of(target, grid.crs_wkt)
    in_one_file = form.driver == GEOPACKAGE.driver
    beside = target.with_name(f"{target.stem}_{NOT_EXAMINED}{target.suffix}")
    gaps = shapely.get_parts(np.asarray(not_examined, object)) if len(not_examined) else np.zeros(0, object)
    reasons = {"reason": np.full(len(gaps), "no data", object)}
    texts = {layer: layer_metadata(layer.replace("_", " "), run) for layer in (DETECTIONS, NOT_EXAMINED)}
    stale = [] if in_one_file else [file.with_suffix(s) for file in (target, beside) for s in form.members] + [beside]
    with staged(target, stale) as scratch:
        file = scratch / target.name
        tables = _tabulate(found, grid, class_names, 0.0 if in_one_file else threshold)
        if in_one_file:
            write_in_portions(file, DETECTIONS, tables, grid.crs_wkt)
            write(file, NOT_EXAMINED, form, shapely.to_wkb(gaps), reasons, grid.crs_wkt)
            record_in_geopackage(file, texts)
        else:
            convert(tables, file, form, grid.crs_wkt)
            file.with_suffix(".qmd").write_text(texts[DETECTIONS], encoding="utf-8")
            if len(gaps):
                gaps_file = scratch / beside.name
                write(gaps_file, beside.stem, form, shapely.to_wkb(gaps), reasons, grid.crs_wkt)
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
        raise LabelError(f"'{path}' cannot be read: {str(problem).rstrip('.')}.") from problem
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


def _tabulate(
    found: Iterable[Detections], grid: MapGrid, class_names: Sequence[str], threshold: float
) -> Iterator[Table]:
    """Turn portions into WKB and columns; the first is empty, so that there is a layer where there are no objects."""
    names = np.array(class_names, object)
    written = 0
    for portion in chain([Detections.empty()], found):
        scores = np.floor(portion.scores.astype(np.float64) * SCORE_STEPS + 1e-6) / SCORE_STEPS
        kept = np.flatnonzero(scores >= threshold)
        extents = grid.to_map(portion.boxes[kept].astype(np.float64))
        yield (
            to_wkb(extents),
            {
                "id": np.arange(written + 1, written + 1 + len(kept), dtype=np.int32),
                "class": names[portion.labels[kept]],
                "score": scores[kept],
                "box_area_m2": np.round(box_areas_m2(extents, grid.crs_wkt), 2),
            },
        )
        written += len(kept)
