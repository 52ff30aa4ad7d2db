"""The verb `evaluate`: a layer of detections against a layer of truth, to the field's metrics and a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from .accuracy.language import speaking, tr
from .accuracy.looks import Look, Read
from .accuracy.metrics import Assessment
from .accuracy.page import write_page
from .accuracy.report import evaluation_page
from .detections.detections import Detections
from .imagery.area import area_in_grid, layer_source
from .imagery.gdal import raster_name
from .imagery.grid import Grid
from .imagery.raster import Raster, open_raster
from .job.card import Band
from .job.errors import Cancelled, LabelError, RasterError
from .job.events import Report, notice, progress
from .job.label_jobs import EvaluateJob
from .training.labels import within

CLASS_FIELDS = ("class", "label", "category", "class_name", "classname")
SCORE_FIELDS = ("score", "confidence")
COLOURS = (Band("red"), Band("green"), Band("blue"))


@dataclass(frozen=True)
class Objects:
    """What a layer holds: geometries (N,), their CRS (WKT), class names (N,) and scores (N,), None where not told."""

    shapes: np.ndarray
    crs: str | None
    classes: np.ndarray | None
    scores: np.ndarray | None


def evaluate(job: EvaluateJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Match detections with truth and count; gives the values of the result event.

    Boxes are the bounds of the geometries in the raster's CRS, without a raster in the detections'. Where one side
    tells no classes, all count as one. Within an area, detections count whose centre lies in it; objects that its
    border cuts are not counted. Per class and overall: average precision (101 points), precision, recall, F1 and
    counts, at IoU `job.iou`. Raises LabelError, RasterError, OutputError, Cancelled.
    """
    job.validate()
    report(progress(0.0, "Reading the layers"))
    found = _read(job.detections, "detections", job.class_field, job.score_field)
    true = _read(job.truth, None, job.truth_class_field, None)
    names, found_labels, true_labels = _labels(found, true)
    scores = np.ones(len(found.shapes)) if found.scores is None else found.scores.astype(np.float64)
    with ExitStack() as stack:
        raster = None if job.raster is None else stack.enter_context(_open(job.raster))
        grid = _plain_grid(found, true) if raster is None else raster.grid
        detected = Detections(_boxes(found, grid, job.detections), scores, found_labels)
        truth = Detections.truth(_boxes(true, grid, job.truth), true_labels)
        if job.area is not None:
            detected, truth = _in_area(detected, truth, grid, job.area)
        if cancelled():
            raise Cancelled
        report(progress(0.3, "Comparing"))
        assessment = Assessment([(detected, truth)])
        best = assessment.best_threshold(job.iou)
        threshold = job.threshold if job.threshold is not None else best if math.isfinite(best) else 0.0
        if found.scores is None:
            report(notice("The detections have no field of scores: all count alike.", "warning"))
        values = {
            "output": job.output,
            "iou": job.iou,
            "threshold": round(threshold, 4),
            "threshold_is_best": job.threshold is None,
            "overall": _figures(assessment, threshold, job.iou, None),
            "classes": {name: _figures(assessment, threshold, job.iou, label) for label, name in enumerate(names)},
        }
        if job.output:
            report(progress(0.6, "Writing the report"))
            read = None if raster is None else _reader(raster)
            look = Look(_name(job.detections), detected, truth, (grid.width, grid.height), read)
            with speaking(job.language):
                write_page(job.output, evaluation_page(look, names, job.iou, threshold, _facts(job, values)))
    return values


def _figures(assessment: Assessment, threshold: float, iou: float, label: int | None) -> dict[str, Any]:
    counts = assessment.counts(threshold, iou, label)
    precision = assessment.average_precision(iou, label)
    return {
        "average_precision": round(precision, 4) if math.isfinite(precision) else None,
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "f1": round(counts.f1, 4),
        "true_positives": counts.true_positives,
        "false_positives": counts.false_positives,
        "false_negatives": counts.false_negatives,
    }


def _read(source: str, preferred_layer: str | None, class_field: str | None, score_field: str | None) -> Objects:
    path, options = layer_source(source)
    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        if "layer" not in options and layers:
            options["layer"] = preferred_layer if preferred_layer in layers else layers[0]
        meta, _, wkb, columns = pyogrio.raw.read(path, force_2d=True, **options)
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise LabelError(f"'{source}' cannot be read: {str(problem).rstrip('.')}.") from problem
    if wkb is None:
        raise LabelError(f"'{source}' holds no geometries.")
    shapes = shapely.from_wkb(wkb)
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    fields = {str(name).casefold(): column[drawn] for name, column in zip(meta["fields"], columns, strict=True)}
    for field in (class_field, score_field):
        if field is not None and field.casefold() not in fields:
            raise LabelError(f"'{source}' has no field '{field}'. It has {', '.join(meta['fields']) or 'none'}.")
    classes = _first(fields, CLASS_FIELDS if class_field is None else (class_field.casefold(),))
    scores = _first(fields, SCORE_FIELDS if score_field is None else (score_field.casefold(),))
    return Objects(shapes[drawn], meta["crs"], classes, scores)


def _first(fields: dict[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    return next((fields[name] for name in names if name in fields), None)


def _labels(found: Objects, true: Objects) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Number the classes of both by name, whatever the case; all are one class where a side tells none."""
    if found.classes is None or true.classes is None:
        return ["object"], np.zeros(len(found.shapes), np.int64), np.zeros(len(true.shapes), np.int64)
    sides = [[str(name).strip() for name in side.classes] for side in (true, found)]
    names = {name.casefold(): name for side in sides for name in side}
    place = {key: label for label, key in enumerate(sorted(names))}
    true_labels, found_labels = (np.array([place[name.casefold()] for name in side], np.int64) for side in sides)
    return [names[key] for key in sorted(names)], found_labels, true_labels


def _plain_grid(found: Objects, true: Objects) -> Grid:
    """A frame for comparing without a raster: map units of the detections, whose corner is that of all objects."""
    shapes = np.concatenate([found.shapes, _moved(true, found.crs, "truth")])
    crs = found.crs or true.crs
    wkt = None if crs is None else CRS.from_user_input(crs).to_wkt()
    if not len(shapes):
        return Grid(1, 1, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0), wkt)
    west, south, east, north = shapely.total_bounds(shapes).tolist()
    width, height = max(1, math.ceil(east - west)), max(1, math.ceil(north - south))
    return Grid(width, height, (1.0, 0.0, west, 0.0, -1.0, north), wkt)


def _boxes(objects: Objects, grid: Grid, source: str) -> np.ndarray:
    return grid.to_grid(shapely.bounds(_moved(objects, grid.crs_wkt, _name(source))).reshape(-1, 4))


def _moved(objects: Objects, target: str | None, name: str) -> np.ndarray:
    if objects.crs is None or target is None or CRS(objects.crs) == CRS(target):
        return objects.shapes
    try:
        transformer = Transformer.from_crs(objects.crs, target, always_xy=True)
        shapes = shapely.transform(
            objects.shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
        )
    except ProjError as problem:
        raise LabelError(f"The layer '{name}' cannot be brought into the other's CRS.") from problem
    if not np.isfinite(shapely.get_coordinates(shapes)).all():
        raise LabelError(f"The layer '{name}' reaches beyond what the other's CRS can describe. Clip it first.")
    return shapes


def _in_area(detected: Detections, truth: Detections, grid: Grid, source: str) -> tuple[Detections, Detections]:
    area = area_in_grid(grid, mask_path=source)
    shapely.prepare(area)
    centres = (detected.boxes[:, :2] + detected.boxes[:, 2:]) / 2
    return detected.take(shapely.intersects_xy(area, *centres.T)), within(truth, area)


def _open(path: str) -> Raster:
    """Open a raster to be shown: in colours, or in grey where it has none."""
    try:
        return open_raster(path, COLOURS, None, resolution_m="native")
    except RasterError:
        return open_raster(path, (Band("gray"),), None, resolution_m="native")


def _reader(raster: Raster) -> Read:
    def read(x: int, y: int, width: int, height: int) -> np.ndarray:
        values, _ = raster.read(x, y, width, height)
        return values if len(values) == len(COLOURS) else np.repeat(values[:1], len(COLOURS), axis=0)

    return read


def _facts(job: EvaluateJob, values: dict[str, Any]) -> dict[str, str]:
    best = values["threshold_is_best"]
    threshold = tr("{score:g}, the best for F1 on these objects") if best else tr("{score:g}, as given")
    return {
        tr("Detections"): _name(job.detections),
        tr("True objects"): _name(job.truth),
        tr("Raster"): "" if job.raster is None else raster_name(job.raster),
        tr("Area"): "" if job.area is None else _name(job.area),
        tr("Least overlap (IoU)"): f"{job.iou:g}",
        tr("Threshold"): threshold.format(score=values["threshold"]),
    }


def _name(source: str) -> str:
    """Name of a layer for a reader: its file, and the layer in it where that is told."""
    path, options = layer_source(source)
    layer = options.get("layer")
    return PurePath(path).name + (f", {layer}" if layer is not None else "")
