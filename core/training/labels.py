"""Labelled images: which file, which objects, and which split each belongs to."""

import csv
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..detections.detections import Detections
from ..job.errors import LabelError

ANNOTATIONS = "annotations.csv"
SPLIT = "split.csv"
SPLITS = ("train", "val", "test")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


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
    annotations, split = folder / ANNOTATIONS, folder / SPLIT
    rows = _rows(annotations, ("image", *CORNERS, "label"))
    splits = _splits(split) if split.exists() else {}
    classes = classes or tuple(sorted({row["label"] for _, row in rows}))
    if not classes:
        raise LabelError(f"There is no object in '{annotations}', and no class was given.")
    boxes: dict[str, list[list[float]]] = defaultdict(list)
    labels: dict[str, list[int]] = defaultdict(list)
    for line, row in rows:
        if row["label"] in classes:
            boxes[row["image"]].append(_box(row, f"Line {line} of '{annotations}'"))
            labels[row["image"]].append(classes.index(row["label"]))
    images = []
    for name in sorted({row["image"] for _, row in rows} | set(splits)):
        if not (folder / name).is_file():
            raise LabelError(f"The image '{folder / name}' of the labels does not exist.")
        truth = Detections.truth(np.array(boxes[name]), np.array(labels[name], np.int64))
        images.append(LabelledImage(folder / name, truth, splits.get(name, "train")))
    return images, classes


def _splits(path: Path) -> dict[str, str]:
    """Split of each image named in a `split.csv`."""
    found = {}
    for line, row in _rows(path, ("image", "split")):
        if row["split"] not in SPLITS:
            raise LabelError(
                f"Line {line} of '{path}' names the split '{row['split']}'; known are {', '.join(SPLITS)}."
            )
        found[row["image"]] = row["split"]
    return found


def _box(row: dict[str, str], where: str) -> list[float]:
    try:
        box = [float(row[key]) for key in CORNERS]
    except ValueError as problem:
        raise LabelError(f"{where} holds no numbers for its box.") from problem
    if not (all(math.isfinite(value) for value in box) and box[2] > box[0] and box[3] > box[1]):
        raise LabelError(f"{where} holds a box without width or height.")
    return box


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and the named columns of a CSV file; columns may stand in any order, among others."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise LabelError(f"'{path}' lacks the column '{missing[0]}'.")
            rows = []
            for row in reader:
                values = {column: row[column].strip() for column in columns}
                empty = [column for column in columns if not values[column]]
                if empty:
                    raise LabelError(f"Line {reader.line_num} of '{path}' has no value for '{empty[0]}'.")
                rows.append((reader.line_num, values))
            return rows
    except OSError as problem:
        raise LabelError(f"The labels '{path}' cannot be read: {problem.strerror}.") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise LabelError(f"The labels '{path}' are no CSV file in UTF-8.") from problem
