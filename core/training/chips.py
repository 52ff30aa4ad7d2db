"""Labelled images cut into chips and written, one by one, in the format of one's choice."""

import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError
from rasterio.windows import Window

from ..detections.detections import Detections
from ..job.errors import LabelError, OutputError
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
LEAST_VISIBLE = 0.4  # share of an object on a chip, below which it is one to ignore there


@dataclass(frozen=True)
class Exported:
    """What was written: chips, objects on them, and objects to ignore that the format has no way to tell."""

    chips: int
    objects: int
    left_out: int


def export_chips(
    images: list[LabelledImage],
    classes: tuple[str, ...],
    folder: Path,
    file_format: str,
    chip_px: int = 256,
    step_px: int | None = None,
    empty: bool = True,
) -> Exported:
    """Write images as GeoTIFF chips of `chip_px`, every `step_px` (the chip's side unless given), with their labels.

    `file_format`: csv, coco, voc, yolo, kitti or arcgis. `empty` keeps chips without objects. Values, bands and place
    on the ground are those of the image; a chip that reaches out of it is filled with 0. One chip is in memory at a
    time. The folder appears when all is written. Raises LabelError for another format or a folder that is not empty.
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
            for image in images:
                for values, transform, crs, truth in _chips(image, chip_px, step_px or chip_px):
                    if not len(truth) and not empty:
                        continue
                    name = (
                        f"images/{image.split}/{chips:09d}.tif" if file_format == "yolo" else f"images/{chips:09d}.tif"
                    )
                    _write(scratch / name, values, transform, crs)
                    writer.add(name, (chip_px, chip_px), truth, image.split)
                    chips, objects = chips + 1, objects + len(truth)
        if folder.exists():
            folder.rmdir()
        scratch.rename(folder)
    except OSError as problem:
        raise OutputError(f"The chips '{folder}' cannot be written: {problem.strerror or problem}.") from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Exported(chips, objects, getattr(writer, "left_out", 0))


def _chips(
    image: LabelledImage, size: int, step: int
) -> Iterator[tuple[np.ndarray, rasterio.Affine, rasterio.CRS | None, Detections]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            raster = rasterio.open(image.path)
        except RasterioIOError as problem:
            raise LabelError(f"The image '{image.path}' cannot be read: {problem}.") from problem
    with raster:
        for y in range(0, max(1, raster.height - size + step), step):
            for x in range(0, max(1, raster.width - size + step), step):
                window = Window(x, y, size, size)
                values = raster.read(window=window, boundless=True, fill_value=0)
                shown = visible(image.truth.moved(-x, -y), size, LEAST_VISIBLE)
                yield values, raster.transform @ rasterio.Affine.translation(x, y), raster.crs, shown


def _write(path: Path, values: np.ndarray, transform: rasterio.Affine, crs: rasterio.CRS | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", transform=transform, crs=crs, compress="deflate", **profile) as chip:
            chip.write(values)
