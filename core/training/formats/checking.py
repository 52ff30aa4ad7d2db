"""Labels against their images: repaired where that is certain, left out and counted where it is not."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
from shapely.geometry.base import BaseGeometry

from ...detections.detections import Detections
from ...job.errors import LabelError
from ..labels import LabelledImage, within
from .images import ImageFiles, image_size
from .records import ANY_CLASS, Record, Records
from .repairs import Repairs

Box = tuple[float, float, float, float]

EDGE_PX = 1.0  # by which a box may leave its image unsaid: tools round corners in their own ways
MISORDERED = 0.2  # share of impossible boxes from which another order of the columns is considered


def class_names(records: Records) -> tuple[str, ...]:
    """Names of the classes that objects have, in alphabetical order."""
    return tuple(sorted({record.label for record in records.objects} - {ANY_CLASS}))


def check(
    records: Records, classes: tuple[str, ...] | None, repairs: Repairs
) -> tuple[list[LabelledImage], tuple[str, ...]]:
    """Turn records into labelled images, in the order of their names, with the classes their labels number.

    `classes` None takes the classes of the records in alphabetical order; else other objects are left out, and counted.
    Raises LabelError where nothing can be used.
    """
    if classes is None:
        classes = class_names(records)
    if not classes:
        raise LabelError(f"There is no object in '{records.source}', and no class was given.")
    found = _find(records, repairs)
    sizes = {name: image_size(path) for name, path in found.items()}
    objects = [record for record in records.objects if record.image in found]
    order = _order(objects, sizes)
    if order != (0, 1, 2, 3):
        what = "Boxes with their columns in the order xmin, xmax, ymin, ymax were put right"
        repairs.add(what, objects[0].where, len(objects))
    labels = {name.strip().casefold(): label for label, name in enumerate(classes)}
    kept: dict[str, dict[tuple[Box, int, bool], None]] = defaultdict(dict)  # keys: a list would be searched through
    for record in objects:
        box = _box(record, order, sizes[record.image], repairs)
        for label in _labels(record, labels, repairs) if box else ():
            row = (box, label, record.ignore)
            if row in kept[record.image]:
                repairs.add("Boxes drawn twice were taken once", record.where)
            else:
                kept[record.image][row] = None
    images = [
        _image(found[name], list(kept[name]), records.images[name], records.areas.get(name), repairs)
        for name in sorted(found)
    ]
    return images, classes


def _image(
    path: Path, rows: list[tuple[Box, int, bool]], split: str | None, area: BaseGeometry | None, repairs: Repairs
) -> LabelledImage:
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    truth = Detections.truth(
        boxes, np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], bool)
    )
    if area is not None:
        truth = within(truth, area)
        if len(truth) < len(rows):
            repairs.add("Objects outside of the labelled area were left out", f"'{path.name}'", len(rows) - len(truth))
    truth = truth if truth.ignore is not None and truth.ignore.any() else Detections.truth(truth.boxes, truth.labels)
    return LabelledImage(path, truth, split or "train", area)


def _find(records: Records, repairs: Repairs) -> dict[str, Path]:
    files, found = ImageFiles(records.folder), {}
    for name in records.images:
        path, same = files.find(name)
        if path is None:
            repairs.add("Images of the labels that do not exist were left out with their objects", f"'{name}'")
        else:
            found[name] = path
            if not same:
                repairs.add("Images were found under another name than the labels'", f"'{name}'")
    if not found:
        first = next(iter(records.images), "")
        raise LabelError(f"None of the images of '{records.source}' exists, such as '{records.folder / first}'.")
    return found


def _labels(record: Record, labels: dict[str, int], repairs: Repairs) -> list[int]:
    """Label of a record; all labels for a region to ignore that is of no class."""
    if record.label == ANY_CLASS:
        return list(labels.values())
    label = labels.get(record.label.strip().casefold())
    if label is None:
        repairs.add("Objects of classes that are not asked for were left out", f"'{record.label}' in {record.where}")
        return []
    return [label]


def _order(objects: list[Record], sizes: dict[str, tuple[int, int]]) -> tuple[int, ...]:
    """Order in which the four numbers are xmin, ymin, xmax, ymax.

    It is certain to be another than it says where boxes are impossible as they stand and every one is possible in it.
    """

    def impossible(order: tuple[int, ...]) -> int:
        boxes = [(tuple(record.box[i] for i in order), sizes[record.image]) for record in objects]
        return sum(
            not (-EDGE_PX <= x0 < x1 <= width + EDGE_PX and -EDGE_PX <= y0 < y1 <= height + EDGE_PX)
            for (x0, y0, x1, y1), (width, height) in boxes
        )

    given, other = (0, 1, 2, 3), (0, 2, 1, 3)
    if len(objects) > 1 and impossible(given) >= MISORDERED * len(objects) and impossible(other) == 0:
        return other
    return given


def _box(record: Record, order: tuple[int, ...], size: tuple[int, int], repairs: Repairs) -> Box | None:
    x0, y0, x1, y1 = (record.box[i] for i in order)
    if not all(math.isfinite(value) for value in (x0, y0, x1, y1)):
        repairs.add("Boxes that are no finite numbers were left out", record.where)
        return None
    if x1 < x0 or y1 < y0:
        repairs.add("Boxes with swapped corners were turned round", record.where)
        x0, y0, x1, y1 = min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
    if x1 == x0 or y1 == y0:
        repairs.add("Boxes without width or height were left out", record.where)
        return None
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, float(size[0])), min(y1, float(size[1])))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        repairs.add("Boxes outside of their image were left out", record.where)
        return None
    if max(abs(a - b) for a, b in zip(clipped, (x0, y0, x1, y1), strict=True)) > EDGE_PX:
        repairs.add("Boxes that reach out of their image were cut at its edge", record.where)
    return clipped
