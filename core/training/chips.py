"""Labelled images cut into chips and written, one by one, in the format of one's choice."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.features import geometry_mask
from rasterio.io import DatasetReader
from rasterio.windows import Window
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections
from ..job.errors import Cancelled, LabelError, OutputError
from ..job.events import Report, progress
from ..job.unfinished import unfinished_path
from .augmentation import visible
from .formats.arcgis import ArcgisWriter
from .formats.coco import CocoWriter
from .formats.kitti import KittiWriter
from .formats.tables import TableWriter
from .formats.voc import VocWriter
from .formats.yolo import YoloWriter
from .labels import LabelledImage

WRITERS = {
    "csv": TableWriter,
    "coco": CocoWriter,
    "voc": VocWriter,
    "yolo": YoloWriter,
    "kitti": KittiWriter,
    "arcgis": ArcgisWriter,
}


@dataclass(frozen=True)
class Chipping:
    """How images are cut: side of a chip and distance between chips, px of the image; whether chips without objects are
    kept; share of an object that a chip must show, below which it is one to ignore there."""

    chip_px: int = 256
    step_px: int = 256
    empty: bool = True
    least_visible: float = 0.4


@dataclass(frozen=True)
class Exported:
    """What was written: chips, objects on them, and objects to ignore that the format has no way to tell."""

    chips: int
    objects: int
    left_out: int


@dataclass(frozen=True, eq=False)
class _Chip:
    values: np.ndarray
    transform: rasterio.Affine
    crs: rasterio.CRS | None
    truth: Detections
    split: str


def export_chips(
    images: list[LabelledImage],
    classes: tuple[str, ...],
    folder: Path,
    file_format: str,
    chipping: Chipping,
    report: Report = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Exported:
    """Write images as GeoTIFF chips with their labels.

    `file_format`: csv, coco, voc, yolo, kitti or arcgis. Values, bands and place on the ground are those of the image;
    what a chip shows beyond it, or beyond its labelled area, is 0. One chip is in memory at a time. The folder appears
    when all is written. Raises LabelError for another format or a folder that is not empty, OutputError, and Cancelled.
    """
    if file_format not in WRITERS:
        raise LabelError(f"Chips are written as {', '.join(WRITERS)}, not as '{file_format}'.")
    if folder.exists() and any(folder.iterdir()):
        raise LabelError(f"The folder '{folder}' is not empty. Choose a new one for the chips.")
    scratch = unfinished_path(folder, os.getpid())
    chips = objects = 0
    try:
        scratch.mkdir()
        with WRITERS[file_format](scratch, classes) as writer:
            for chip in _all_chips(images, chipping, report, cancelled):
                part = f"{chip.split}/" if file_format == "yolo" else ""
                name = f"images/{part}{chips:09d}.tif"
                _write(scratch / name, chip.values, chip.transform, chip.crs)
                writer.add(name, (chipping.chip_px, chipping.chip_px), chip.truth, chip.split)
                chips, objects = chips + 1, objects + len(chip.truth)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except OSError as problem:
        raise OutputError(f"The chips '{folder}' cannot be written: {problem.strerror or problem}.") from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exported(chips, objects, getattr(writer, "left_out", 0))


def _all_chips(
    images: list[LabelledImage], chipping: Chipping, report: Report, cancelled: Callable[[], bool]
) -> Iterator[_Chip]:
    for number, image in enumerate(images):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            try:
                raster = rasterio.open(image.path)
            except RasterioIOError as problem:
                raise LabelError(f"The image '{image.path}' cannot be read: {problem}.") from problem
        with raster:
            rows = _starts(raster.height, chipping)
            tree = shapely.STRtree(shapely.box(*image.truth.boxes.T))
            for i, y in enumerate(rows):
                report(progress((number + i / len(rows)) / len(images), f"Chips of {image.path.name}"))
                for x in _starts(raster.width, chipping):
                    if cancelled():
                        raise Cancelled
                    near = np.sort(tree.query(shapely.box(x, y, x + chipping.chip_px, y + chipping.chip_px)))
                    truth = image.truth.take(near).moved(-x, -y)
                    shown = visible(truth, chipping.chip_px, chipping.least_visible)
                    if len(shown) or chipping.empty:
                        yield from _chip(raster, image, x, y, chipping.chip_px, shown)


def _starts(length: int, chipping: Chipping) -> range:
    return range(0, max(1, length - chipping.chip_px + chipping.step_px), chipping.step_px)


def _chip(raster: DatasetReader, image: LabelledImage, x: int, y: int, size: int, truth: Detections) -> Iterator[_Chip]:
    """The chip at (x, y) as one item; none where nothing of it is labelled ground."""
    outside = None if image.area is None else _outside(image.area, x, y, size)
    if outside is not None and outside.all():
        return
    try:
        values = raster.read(window=Window(x, y, size, size), boundless=True, fill_value=0)
    except RasterioIOError as problem:
        raise LabelError(f"The image '{image.path}' cannot be read: {problem}.") from problem
    if outside is not None:
        values[:, outside] = 0
    transform = raster.transform @ rasterio.Affine.translation(x, y)
    yield _Chip(values, transform, raster.crs, truth, image.split)


def _outside(area: BaseGeometry, x: int, y: int, size: int) -> np.ndarray:
    """Where a chip shows ground that is not labelled, bool (size, size)."""
    inside = area.intersection(shapely.box(x, y, x + size, y + size))
    if not inside.area > 0:
        return np.ones((size, size), bool)
    return geometry_mask([inside], (size, size), rasterio.Affine.translation(x, y))


def _write(path: Path, values: np.ndarray, transform: rasterio.Affine, crs: rasterio.CRS | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", transform=transform, crs=crs, compress="deflate", **profile) as chip:
            chip.write(values)
