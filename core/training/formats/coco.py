"""Labels as COCO writes them: one JSON with images, categories and annotations (Lin et al. 2014)."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import TracebackType
from typing import Any

from ...detections.detections import Detections
from ...job.codec import parse
from ...job.errors import LabelError
from .records import Record, Records, read_text, split_of
from .repairs import Repairs

FILE = "annotations.json"


def is_coco(path: Path) -> bool:
    """Tell whether a JSON file holds COCO annotations."""
    try:
        data = parse(read_text(path))
    except (ValueError, LabelError):
        return False
    return isinstance(data, dict) and isinstance(data.get("annotations"), list) and "images" in data


def read_coco(path: Path, repairs: Repairs) -> Records:
    """Read a COCO file: crowds and objects to ignore are ignored, categories that no object has do not count.

    The split is an image's `split`, else the one that the file or its folder is named after. Raises LabelError.
    """
    try:
        data = parse(read_text(path))
        categories = {kind["id"]: str(kind["name"]) for kind in data["categories"]}
        names = {image["id"]: str(image["file_name"]) for image in data["images"]}
        splits = {image["id"]: split_of(str(image.get("split", ""))) for image in data["images"]}
        annotations = list(data["annotations"])
    except (ValueError, KeyError, TypeError) as problem:
        raise LabelError(f"'{path}' is no COCO file: {problem}.") from problem
    named = split_of(path.name) or split_of(path.parent.name)
    records = Records(path, path.parent, images={name: splits[key] or named for key, name in names.items()})
    for i, annotation in enumerate(annotations):
        where = f"annotation {annotation.get('id', i)} of '{path.name}'" if isinstance(annotation, dict) else str(i)
        try:
            image, label = names.get(annotation["image_id"]), categories.get(annotation["category_id"])
            box = _box(annotation)
        except (KeyError, TypeError, ValueError, AttributeError):
            repairs.add("Annotations without a box were left out", where)
            continue
        if image is None or label is None:
            repairs.add("Annotations of an image or a category that does not exist were left out", where)
            continue
        ignore = bool(annotation.get("iscrowd") or annotation.get("ignore"))
        records.add(Record(image, box, label, where, ignore))
    return records


class CocoWriter:
    """Writes a COCO file image by image: annotations go to disk at once, the much shorter list of images at the end."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(classes)]
        self._file = (folder / FILE).open("w", encoding="utf-8")
        self._file.write(f'{{"categories": {json.dumps(categories)},\n"annotations": [')
        self._images: list[dict[str, Any]] = []
        self._objects = 0

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image."""
        key = len(self._images) + 1
        self._images.append({"id": key, "file_name": image, "width": size[0], "height": size[1], "split": split})
        ignore = [False] * len(truth) if truth.ignore is None else truth.ignore.tolist()
        for (x0, y0, x1, y1), label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), ignore, strict=True):
            self._file.write("\n" if self._objects == 0 else ",\n")
            self._objects += 1
            width, height = x1 - x0, y1 - y0
            annotation = {
                "id": self._objects,
                "image_id": key,
                "category_id": label + 1,
                "bbox": [x0, y0, width, height],
                "area": width * height,
                "iscrowd": int(ignored),
            }
            self._file.write(json.dumps(annotation))

    def __enter__(self) -> CocoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.write(f'\n],\n"images": {json.dumps(self._images)}}}\n')
        self._file.close()


def _box(annotation: dict[str, Any]) -> tuple[float, float, float, float]:
    """Corners of an annotation: its `bbox`, else the bounds of its polygons or of its mask's run lengths."""
    if annotation.get("bbox"):
        x, y, width, height = (float(value) for value in annotation["bbox"])
        return x, y, x + width, y + height
    shape = annotation["segmentation"]
    if isinstance(shape, dict):
        return _bounds_of_runs(list(shape["counts"]), int(shape["size"][0]))
    x, y = ([float(value) for ring in shape for value in ring[axis::2]] for axis in (0, 1))
    return min(x), min(y), max(x), max(y)


def _bounds_of_runs(counts: list[int], height: int) -> tuple[float, float, float, float]:
    """Bounds of an uncompressed mask: lengths of runs of 0 and 1 in turn, column by column."""
    x0, y0, x1, y1 = math.inf, math.inf, -math.inf, -math.inf
    place = 0
    for i, length in enumerate(counts):
        if i % 2 and length:
            first, last = divmod(place, height), divmod(place + length - 1, height)
            x0, x1 = min(x0, first[0]), max(x1, last[0] + 1)
            whole = first[0] != last[0]
            y0, y1 = min(y0, 0 if whole else first[1]), max(y1, height if whole else last[1] + 1)
        place += length
    if x1 < x0:
        raise ValueError("an empty mask")
    return float(x0), float(y0), float(x1), float(y1)
