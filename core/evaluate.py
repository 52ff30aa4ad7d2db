"""The verb `evaluate`: a file of detections against a file of truth, to the field's metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from .accuracy.metrics import Assessment
from .detections.detections import Detections
from .job.errors import LabelError

CLASS_FIELDS = ("class", "label", "category", "class_name", "classname")
SCORE_FIELDS = ("score", "confidence")


@dataclass(frozen=True)
class Objects:
    """What a layer holds: geometries (N,), their CRS (WKT), class names (N,) and scores (N,), None where not told."""

    shapes: np.ndarray
    crs: str | None
    classes: np.ndarray | None
    scores: np.ndarray | None


def evaluate(detections_path: str, truth_path: str, iou: float, threshold: float | None) -> dict[str, Any]:
    """Match detections with truth and count.

    Paths may carry `|layername=…`. Boxes are the bounds of the geometries in the detections' CRS. Where one side tells
    no classes, all count as one. `threshold` None: the score of the highest F1. Per class and overall: average
    precision (101 points), precision, recall, F1 and counts, at IoU `iou`. Raises LabelError.
    """
    found, true = _read(detections_path, "detections"), _read(truth_path, None)
    names, found_labels, true_labels = _labels(found, true)
    scores = np.ones(len(found.shapes)) if found.scores is None else found.scores.astype(np.float64)
    detected = Detections(shapely.bounds(found.shapes).reshape(-1, 4), scores, found_labels)
    truth = Detections.truth(shapely.bounds(_moved(true, found.crs)), true_labels)
    assessment = Assessment([(detected, truth)])
    best = assessment.best_threshold(iou)
    cut = threshold if threshold is not None else best if math.isfinite(best) else 0.0
    return {
        "iou": iou,
        "threshold": round(cut, 4),
        "threshold_is_best": threshold is None,
        "overall": _figures(assessment, cut, iou, None),
        "classes": {name: _figures(assessment, cut, iou, label) for label, name in enumerate(names)},
    }


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


def _read(source: str, preferred_layer: str | None) -> Objects:
    path, *options = source.split("|")
    layer = dict(option.partition("=")[::2] for option in options).get("layername")
    try:
        layers = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
        if layer is None and preferred_layer in layers:
            layer = preferred_layer
        meta, _, wkb, columns = pyogrio.raw.read(path, layer=layer or (layers[0] if layers else None))
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise LabelError(f"'{source}' cannot be read: {problem}.") from problem
    if wkb is None:
        raise LabelError(f"'{source}' holds no geometries.")
    shapes = shapely.from_wkb(wkb)
    drawn = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    fields = {str(name).casefold(): column[drawn] for name, column in zip(meta["fields"], columns, strict=True)}
    return Objects(shapes[drawn], meta["crs"], _first(fields, CLASS_FIELDS), _first(fields, SCORE_FIELDS))


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


def _moved(objects: Objects, target: str | None) -> np.ndarray:
    if objects.crs is None or target is None or CRS(objects.crs) == CRS(target):
        return objects.shapes
    transformer = Transformer.from_crs(objects.crs, target, always_xy=True)
    return shapely.transform(objects.shapes, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1])))
