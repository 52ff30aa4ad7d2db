"""What a file of labels says, before it is checked against the images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from ...job.errors import LabelError

ANY_CLASS = ""  # label of a region to ignore that is of no class (KITTI's DontCare)
SPLITS = ("train", "val", "test")
SPLIT_NAMES = {
    **{name: name for name in SPLITS},
    "training": "train",
    "valid": "val",
    "validation": "val",
    "choose": "val",
    "testing": "test",
}


@dataclass(frozen=True)
class Record:
    """One object: its image's name, corners xyxy in px of the file, class name, the place it was read from, and whether
    it is one to ignore."""

    image: str
    box: tuple[float, float, float, float]
    label: str
    where: str
    ignore: bool = False


@dataclass
class Records:
    """All that a file or a folder of labels says. Image names are relative to `folder`; `images` holds every image,
    also those without objects, with its split if one is told, and `areas` those in which all objects are labelled, px,
    where that is not the whole image."""

    source: Path
    folder: Path
    objects: list[Record] = field(default_factory=list)
    images: dict[str, str | None] = field(default_factory=dict)
    areas: dict[str, BaseGeometry] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Take an object, and its image if it is new."""
        self.objects.append(record)
        self.images.setdefault(record.image, None)


def split_of(name: str) -> str | None:
    """Split that a folder or a file is named after (`valid`, `instances_train2017.json`), None if there is none."""
    stem = name.casefold().split(".")[0].rstrip("0123456789")
    for part in (stem, stem.rpartition("_")[2]):
        if part in SPLIT_NAMES:
            return SPLIT_NAMES[part]
    return None


def read_text(path: Path) -> str:
    """Text of a file in UTF-8; raises LabelError."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as problem:
        raise LabelError(f"The labels '{path}' cannot be read: {problem.strerror}.") from problem
    except UnicodeDecodeError as problem:
        raise LabelError(f"The labels '{path}' are no text in UTF-8.") from problem
