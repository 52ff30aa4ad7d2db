"""Labels in whatever format they are: found out by what lies in the folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ...job.errors import LabelError
from ..labels import LabelledImage
from .arcgis import DEFINITION, MAP, read_arcgis
from .checking import check
from .coco import is_coco, read_coco
from .kitti import is_kitti, read_kitti
from .records import Records, read_text
from .repairs import Repairs
from .tables import ANNOTATIONS, SPLIT, read_table
from .voc import read_voc
from .yolo import label_files, read_yolo

KNOWN = "annotations.csv, COCO, Pascal VOC, YOLO, KITTI and ArcGIS's exported chips"


def read_labels(
    path: Path, classes: tuple[str, ...] | None, repairs: Repairs
) -> tuple[list[LabelledImage], tuple[str, ...]]:
    """Read a folder of labelled images, or one file of labels (CSV or COCO) beside them.

    `classes` None takes those that occur, in alphabetical order. What was repaired or left out is counted in `repairs`.
    Raises LabelError where nothing can be used.
    """
    return check(read_records(path, repairs), classes, repairs)


def read_records(path: Path, repairs: Repairs) -> Records:
    """Read labels as they stand, in the first format that fits: the more particular ones are looked for first."""
    if path.is_file():
        return read_coco(path, repairs) if path.suffix.lower() == ".json" else read_table(path, repairs)
    if not path.is_dir():
        raise LabelError(f"The folder '{path}' of labels does not exist.")
    if (path / ANNOTATIONS).is_file():
        return read_table(path / ANNOTATIONS, repairs)
    if (path / DEFINITION).is_file() or ((path / MAP).is_file() and (path / "labels").is_dir()):
        return read_arcgis(path, repairs)
    return _read_by_suffix(path, repairs)


def _read_by_suffix(folder: Path, repairs: Repairs) -> Records:
    coco = [read_coco(file, repairs) for file in sorted(folder.rglob("*.json")) if is_coco(file)]
    tables = [read_table(file, repairs) for file in sorted(folder.glob("*.csv")) if not coco and file.name != SPLIT]
    if coco or tables:
        return _joined(folder, coco or tables)
    if any(not file.name.endswith(".aux.xml") for file in folder.rglob("*.xml")):
        return read_voc(folder, repairs)
    lines = (line for file in label_files(folder) for line in read_text(file).splitlines() if line.strip())
    first = next(lines, None)
    if first is None:
        raise LabelError(f"There are no labels in '{folder}' in a format that can be read: {KNOWN}.")
    return read_kitti(folder, repairs) if is_kitti(first) else read_yolo(folder, repairs)


def _joined(folder: Path, parts: list[Records]) -> Records:
    """Several files of labels as one; names stay relative to the folder of their file where they exist there."""
    joined = Records(folder if len(parts) > 1 else parts[0].source, folder)
    for part in parts:
        where = part.folder.relative_to(folder)
        names = {name: str(where / name) if (part.folder / name).is_file() else name for name in part.images}
        for name, split in part.images.items():
            joined.images[names[name]] = split or joined.images.get(names[name])
        for record in part.objects:
            joined.objects.append(replace(record, image=names[record.image]))
    return joined
