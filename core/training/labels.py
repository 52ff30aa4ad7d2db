"""Labelled images: which file, which objects, and which split each belongs to."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..detections.detections import Detections
from ..job.errors import LabelError

ANNOTATIONS = "annotations.csv"
SPLIT = "split.csv"


@dataclass(frozen=True)
class LabelledImage:
    """One image file and the objects on it: boxes xyxy in px of the file, xmax and ymax exclusive; split "train",
    "val" or "test"."""

    path: Path
    truth: Detections
    split: str


def read_folder(folder: Path, classes: tuple[str, ...] | None) -> tuple[list[LabelledImage], tuple[str, ...]]:
    """Read `annotations.csv` (image,xmin,ymin,xmax,ymax,label) and `split.csv` (image,split) of a folder.

    Images named in `split.csv` alone have no objects; without that file every image is for training. `classes` None
    takes the labels in alphabetical order. Raises LabelError with the line that cannot be used.
    """
    rows = _rows(folder / ANNOTATIONS, ("image", "xmin", "ymin", "xmax", "ymax", "label"))
    splits = (
        {row["image"]: row["split"] for row in _rows(folder / SPLIT, ("image", "split"))}
        if (folder / SPLIT).exists()
        else {}
    )
    classes = classes or tuple(sorted({row["label"] for row in rows}))
    if not classes:
        raise LabelError(f"There is no object in '{folder / ANNOTATIONS}', and no class was given.")
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    labels: dict[str, list[int]] = defaultdict(list)
    for line, row in enumerate(rows, start=2):
        if row["label"] not in classes:
            continue
        try:
            box = [float(row[key]) for key in ("xmin", "ymin", "xmax", "ymax")]
        except ValueError as problem:
            raise LabelError(f"Line {line} of '{folder / ANNOTATIONS}' holds no numbers for its box.") from problem
        if not (box[2] > box[0] and box[3] > box[1]):
            raise LabelError(f"Line {line} of '{folder / ANNOTATIONS}' holds a box without width or height.")
        boxes[row["image"]].append(box)
        labels[row["image"]].append(classes.index(row["label"]))
    images = []
    for name in sorted({*boxes, *splits}):
        if not (folder / name).is_file():
            raise LabelError(f"The image '{folder / name}' of the labels does not exist.")
        truth = Detections.truth(np.array(boxes[name]), np.array(labels[name], np.int64))
        images.append(LabelledImage(folder / name, truth, splits.get(name, "train")))
    return images, classes


def _rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise LabelError(f"'{path}' lacks the column '{missing[0]}'.")
            return list(reader)
    except OSError as problem:
        raise LabelError(f"The labels '{path}' cannot be read: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise LabelError(f"The labels '{path}' are not written in UTF-8.") from problem
