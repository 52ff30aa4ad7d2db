"""Training samples: random crops of labelled images, drawn from (seed, epoch, index) and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import shapely
import torch
from affine import Affine
from shapely.geometry.base import BaseGeometry
from torch import Tensor
from torchvision.transforms.v2 import functional

from ..detections.detections import Detections
from ..imagery.raster import open_raster
from ..job.augmentation import Augmentation
from ..job.card import Band
from ..job.errors import LabelError
from .areas import outside_boxes, outward, with_ignored
from .augmentation import change_colours, turn, visible
from .labels import LabelledImage

LEAST_VISIBLE = 0.4  # share of an object that a crop must show to ask for it; below, it is ignored
EMPTY_SHARE = 0.2  # of the crops of an epoch, drawn where no object is required


@dataclass(frozen=True)
class Picture:
    """An image as the model sees it: values uint8 (C, H, W) at the model's resolution, and the truth in its px."""

    values: np.ndarray
    truth: Detections
    name: str


def load_pictures(
    images: list[LabelledImage],
    bands: tuple[Band, ...],
    band_numbers: tuple[int, ...],
    resolution_m: float | None,
    classes: int = 1,
) -> list[Picture]:
    """Read images at the model's resolution, whole or as far as they are labelled; boxes follow, clipped to them.

    Within the bounds of a labelled area, ground outside of it is to ignore for each of `classes`.

    Raises LabelError where a box lies outside of its image, and RasterError.
    """
    pictures = []
    for image in images:
        numbers = band_numbers if image.path.suffix.lower() in (".tif", ".tiff", ".vrt") else None
        with open_raster(str(image.path), bands, resolution_m, bands=numbers) as raster:
            to_grid = None if raster.to_source is None else ~raster.to_source
            width, height = raster.grid.width, raster.grid.height
            area = None if image.area is None else _area_in_grid(image.area, to_grid, width, height)
            x0, y0, x1, y1 = (0, 0, width, height) if area is None else outward(area.bounds)
            values, _ = raster.read(x0, y0, x1 - x0, y1 - y0)
        boxes = image.truth.boxes if to_grid is None else _moved(image.truth.boxes, to_grid)
        boxes = (boxes - [x0, y0, x0, y0]).clip(0, np.tile(values.shape[:0:-1], 2))
        outside = np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(axis=1))
        if len(outside):
            corners = ", ".join(f"{value:g}" for value in image.truth.boxes[outside[0]])
            raise LabelError(f"The box {corners} lies outside of its image '{image.path}'.")
        truth = Detections.truth(boxes, image.truth.labels, image.truth.ignore)
        if area is not None:
            unknown = outside_boxes(shapely.transform(area, lambda xy, x=x0, y=y0: xy - [x, y]), x1 - x0, y1 - y0)
            truth = with_ignored(truth, unknown, classes)
        pictures.append(Picture(values, truth, image.path.name))
    return pictures


def _area_in_grid(area: BaseGeometry, to_grid: Affine | None, width: int, height: int) -> BaseGeometry:
    if to_grid is not None:
        area = shapely.transform(area, lambda xy: np.column_stack(to_grid @ (xy[:, 0], xy[:, 1])))
    return area.intersection(shapely.box(0, 0, width, height))


def _moved(boxes: np.ndarray, transform: Affine) -> np.ndarray:
    """Bounding boxes (N, 4) of boxes after an affine."""
    corners = [transform @ (boxes[:, i], boxes[:, j]) for i in (0, 2) for j in (1, 3)]
    x, y = (np.stack([corner[axis] for corner in corners]) for axis in (0, 1))
    return np.stack([x.min(axis=0), y.min(axis=0), x.max(axis=0), y.max(axis=0)], axis=1)


def native_resolution(images: list[LabelledImage]) -> float | None:
    """Median ground resolution of the images, metres a px; None where none of them is georeferenced."""
    known = []
    for image in images[:: max(1, len(images) // 50)]:
        with open_raster(str(image.path), (Band("gray"),), None, bands=(1,), resolution_m="native") as raster:
            if raster.source_resolution_m is not None:
                known.append(raster.source_resolution_m)
    return round(float(np.median(known)), 4) if known else None


@dataclass(frozen=True)
class Batch:
    """Images uint8 (N, C, T, T) and the truth of each in its px."""

    images: Tensor
    truths: list[Detections]


class Sampler:
    """Crops of pictures: every object is met as often as every other, and empty ground is balanced in."""

    def __init__(
        self, pictures: list[Picture], tile_px: int, fill: np.ndarray, augmentation: Augmentation, seed: int
    ) -> None:
        self.pictures = pictures
        self.tile_px = tile_px
        self.fill = fill
        self.augmentation = augmentation
        self.seed = seed
        within = [np.flatnonzero(~_ignored(picture.truth)) for picture in pictures]
        self._objects = np.repeat(np.arange(len(pictures)), [len(objects) for objects in within])
        self._within = np.concatenate([*within, np.zeros(0, int)])

    def sample(self, epoch: int, index: int) -> tuple[Tensor, Detections]:
        """Crop number `index` of an epoch: uint8 (C, T, T) and its truth."""
        random = np.random.default_rng([self.seed, epoch, index])
        size = self.tile_px
        stretch = self.augmentation.scale ** random.uniform(-1, 1)
        side = size / stretch
        picture, anchor = self._place(random)
        height, width = picture.values.shape[1:]
        x, y = (
            _offset(random, side, extent, None if anchor is None else anchor[axis::2])
            for axis, extent in enumerate((width, height))
        )
        whole = int(np.ceil(side))
        image = crop(picture.values, x, y, whole, self.fill)
        boxes = picture.truth.boxes - np.array([x, y, x, y])
        if whole != size:
            image = functional.resize(torch.from_numpy(image), [size, size], antialias=True).numpy()
            boxes = boxes * (size / whole)
        if self.augmentation.turns:
            image, boxes = turn(image, boxes, int(random.integers(4)), bool(random.integers(2)))
        truth = Detections(boxes, picture.truth.scores, picture.truth.labels, picture.truth.ignore)
        tensor = change_colours(torch.from_numpy(np.ascontiguousarray(image)), self.augmentation, random)
        return tensor, visible(truth, size, LEAST_VISIBLE)

    def batches(self, epoch: int, steps: int, batch_size: int) -> Iterator[Batch]:
        """The batches of an epoch, each prepared in a thread while the one before it is used."""

        def prepare(step: int) -> Batch:
            drawn = [self.sample(epoch, step * batch_size + i) for i in range(batch_size)]
            return Batch(torch.stack([image for image, _ in drawn]), [truth for _, truth in drawn])

        # One core for the thread that prepares: two pools of spinning OpenMP threads take turns on the same cores,
        # which made a step three times longer. torch keeps this number by thread.
        with ThreadPoolExecutor(1, "samples", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            ahead = pool.submit(prepare, 0)
            for step in range(steps):
                batch = ahead.result()
                if step + 1 < steps:
                    ahead = pool.submit(prepare, step + 1)
                yield batch

    def _place(self, random: np.random.Generator) -> tuple[Picture, np.ndarray | None]:
        """A picture, and the box the crop must show, or None for a crop anywhere."""
        if len(self._objects) == 0 or random.uniform() < EMPTY_SHARE:
            return self.pictures[int(random.integers(len(self.pictures)))], None
        chosen = int(random.integers(len(self._objects)))
        picture = self.pictures[self._objects[chosen]]
        return picture, picture.truth.boxes[self._within[chosen]]


def _ignored(truth: Detections) -> np.ndarray:
    return np.zeros(len(truth), bool) if truth.ignore is None else truth.ignore


def crop(values: np.ndarray, x: int, y: int, size: int, fill: np.ndarray) -> np.ndarray:
    """Cut a square of `size` px at (x, y) out of (C, H, W); what lies outside is `fill` (C,)."""
    height, width = values.shape[1:]
    out = np.empty((len(values), size, size), values.dtype)
    out[:] = fill[:, None, None]
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + size, width), min(y + size, height)
    if x1 > x0 and y1 > y0:
        out[:, y0 - y : y1 - y, x0 - x : x1 - x] = values[:, y0:y1, x0:x1]
    return out


def _offset(random: np.random.Generator, side: float, extent: int, box: np.ndarray | None) -> int:
    """Where a crop begins along one axis: within the picture if it fits, and showing the box (low, high) if given."""
    low, high = (0.0, extent - side) if extent >= side else (extent - side, 0.0)
    slack = side / 8  # a crop may reach past the picture's edge, so that objects there are seen at other places
    low, high = low - slack, high + slack
    if box is not None:
        low, high = max(low, box[1] - side), min(high, box[0])
        if low > high:
            low = high = (box[0] + box[1] - side) / 2
    return round(random.uniform(low, high))
