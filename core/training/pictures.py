"""Labelled images as the model sees them: at its resolution, in its bands, with the truth in their px."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections
from ..imagery.raster import Raster, open_raster
from ..job.card import HISTOGRAM_BINS, Band
from ..job.errors import LabelError
from .areas import outside_boxes, outward, with_ignored
from .labels import LabelledImage
from .pixels import RasterPixels, RasterStore

MEMORY_BYTES = 1_500_000_000  # of pictures held whole; what is beyond is read where it is needed
FIND_BY_ROLE = (".png", ".jpg", ".jpeg", ".bmp", ".webp")  # their bands say what they are
STATISTICS_PX = 2_000_000  # looked at in each picture that is not in memory
LOOKED_AT = 50  # images, for what holds of all of them


@dataclass(frozen=True)
class Picture:
    """An image as the model sees it: values uint8 (C, H, W) at the model's resolution, and the truth in its px.

    `transform`: affine from its px to the map of `crs` (WKT), a to f; rows run downwards from 0 where the file has
    none, as QGIS draws it.
    """

    values: np.ndarray | RasterPixels
    truth: Detections
    name: str
    split: str = "train"
    path: str = ""
    transform: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    crs: str | None = None

    def to_map(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) xyxy px as xmin, ymin, xmax, ymax in map coordinates."""
        a, _, c, _, e, f = self.transform
        return np.stack([c + a * boxes[:, 0], f + e * boxes[:, 3], c + a * boxes[:, 2], f + e * boxes[:, 1]], axis=1)


def load_pictures(
    images: list[LabelledImage],
    bands: tuple[Band, ...],
    band_numbers: tuple[int, ...],
    resolution_m: float | None,
    classes: int = 1,
    memory_bytes: int | None = None,
) -> list[Picture]:
    """Open images at the model's resolution, whole or as far as they are labelled; boxes follow, clipped to them.

    Within the bounds of a labelled area, ground outside of it is to ignore for each of `classes`. Pictures beyond
    `memory_bytes` (None: 1.5 GB) are read window by window as they are needed. Raises LabelError where a box lies
    outside of its image, and RasterError.
    """
    store = RasterStore(lambda path: open_raster(path, bands, resolution_m, bands=numbers_for(path, band_numbers)))
    pictures, held = [], 0
    for image in images:
        raster = store.raster(str(image.path))
        picture = _picture(image, raster, store, classes)
        size = int(np.prod(picture.values.shape))
        if held + size <= (MEMORY_BYTES if memory_bytes is None else memory_bytes):
            held += size
            values, window = picture.values, raster.read
            picture = replace(picture, values=window(values.x0, values.y0, *values.shape[:0:-1])[0])
        pictures.append(picture)
    if all(isinstance(picture.values, np.ndarray) for picture in pictures):
        store.close()
    return pictures


def numbers_for(path: str, band_numbers: tuple[int, ...]) -> tuple[int, ...] | None:
    """Bands to read of a file: those given, except where it is a picture whose bands are red, green and blue."""
    return None if Path(path).suffix.lower() in FIND_BY_ROLE else band_numbers


def _picture(image: LabelledImage, raster: Raster, store: RasterStore, classes: int) -> Picture:
    to_grid = None if raster.to_source is None else ~raster.to_source
    width, height = raster.grid.width, raster.grid.height
    area = None if image.area is None else _area_in_grid(image.area, to_grid, width, height)
    x0, y0, x1, y1 = (0, 0, width, height) if area is None else outward(area.bounds)
    boxes = image.truth.boxes if to_grid is None else _moved(image.truth.boxes, to_grid)
    boxes = (boxes - [x0, y0, x0, y0]).clip(0, [x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    outside = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
    if len(outside):
        corners = ", ".join(f"{value:g}" for value in image.truth.boxes[outside[0]])
        raise LabelError(f"The box {corners} lies outside of its image '{image.path}'.")
    truth = Detections.truth(boxes, image.truth.labels, image.truth.ignore)
    if area is not None:
        unknown = outside_boxes(shapely.transform(area, lambda xy: xy - [x0, y0]), x1 - x0, y1 - y0)
        truth = with_ignored(truth, unknown, classes)
    return Picture(
        RasterPixels(store, str(image.path), x0, y0, x1 - x0, y1 - y0),
        truth,
        image.path.name,
        image.split,
        str(image.path),
        tuple(Affine(*raster.grid.transform) @ Affine.translation(x0, y0))[:6],
        raster.grid.crs_wkt,
    )


def _area_in_grid(area: BaseGeometry, to_grid: Affine | None, width: int, height: int) -> BaseGeometry:
    if to_grid is not None:
        area = shapely.transform(area, lambda xy: np.column_stack(to_grid @ (xy[:, 0], xy[:, 1])))
    return area.intersection(shapely.box(0, 0, width, height))


def _moved(boxes: np.ndarray, transform: Affine) -> np.ndarray:
    """Bounding boxes (N, 4) of boxes after an affine."""
    corners = [transform @ (boxes[:, i], boxes[:, j]) for i in (0, 2) for j in (1, 3)]
    x, y = (np.stack([corner[axis] for corner in corners]) for axis in (0, 1))
    return np.stack([x.min(axis=0), y.min(axis=0), x.max(axis=0), y.max(axis=0)], axis=1)


def ground_resolution(path: Path) -> float | None:
    """Ground metres a px of an image, None where it is not georeferenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(str(path), (Band("gray"),), None, bands=(1,), resolution_m="native") as raster:
            return raster.source_resolution_m


def native_resolution(images: list[LabelledImage]) -> float | None:
    """Median ground resolution of the images, metres a px; None where none of them is georeferenced."""
    known = [ground_resolution(path) for path in _some(images)]
    found = [value for value in known if value is not None]
    return round(float(np.median(found)), 4) if found else None


def with_ranges(
    bands: tuple[Band, ...], images: list[LabelledImage], band_numbers: tuple[int, ...], resolution_m: float | None
) -> tuple[Band, ...]:
    """Bands with the source values that become 0 and 255: the median over the images of those each is opened with."""
    ranges = []
    for path in _some(images):
        with open_raster(str(path), bands, resolution_m, bands=numbers_for(str(path), band_numbers)) as raster:
            ranges.append(raster.ranges)
    medians = np.median(np.array(ranges, float), axis=0)
    return tuple(
        replace(band, low=float(low), high=float(high))
        for band, (low, high) in zip(bands, medians.tolist(), strict=True)
    )


def with_statistics(bands: tuple[Band, ...], pictures: list[Picture]) -> tuple[Band, ...]:
    """Bands with mean, deviation and histogram of the pictures' values; of large ones not in memory, of a part."""
    counts = np.zeros((len(bands), 256), np.int64)
    for picture in pictures:
        counts += [np.bincount(values.ravel(), minlength=256) for values in _looked_at(picture)]
    values = np.arange(256)
    mean = (counts * values).sum(axis=1) / counts.sum(axis=1)
    std = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / counts.sum(axis=1))
    histograms = counts.reshape(len(bands), HISTOGRAM_BINS, -1).sum(axis=2)
    return tuple(
        replace(band, mean=round(float(m), 3), std=round(float(max(s, 1.0)), 3), histogram=tuple(h.tolist()))
        for band, m, s, h in zip(bands, mean, std, histograms, strict=True)
    )


def _looked_at(picture: Picture) -> np.ndarray:
    if isinstance(picture.values, np.ndarray):
        return picture.values
    _, height, width = picture.values.shape
    side = min(1.0, (STATISTICS_PX / (height * width)) ** 0.5)
    y, x = round(height * (1 - side) / 2), round(width * (1 - side) / 2)
    return picture.values[:, y : height - y, x : width - x]


def _some(images: list[LabelledImage]) -> list[Path]:
    paths = list(dict.fromkeys(image.path for image in images))
    return paths[:: max(1, len(paths) // LOOKED_AT)]
