"""Training samples: random crops of labelled images, drawn from (seed, epoch, index) and nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ..detections.detections import Detections
from ..job.augmentation import Augmentation
from .augmentation import change_colours, turn, visible
from .pictures import Picture
from .pixels import RasterPixels

LEAST_VISIBLE = 0.4  # share of an object that a crop must show to ask for it; below, it is ignored
EMPTY_SHARE = 0.2  # of the crops of an epoch, drawn where no object is required


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
        areas = np.array([picture.values.shape[1] * picture.values.shape[2] for picture in pictures], float)
        self._ground = np.cumsum(areas) / areas.sum()

    def sample(self, epoch: int, index: int) -> tuple[Tensor, Detections]:
        """Crop number `index` of an epoch: uint8 (C, T, T) and its truth."""
        return self._drawn(np.random.default_rng([self.seed, epoch, index]))

    def versions(self, place: float, count: int) -> list[tuple[Tensor, Detections]]:
        """Crops that show one object, as training would draw them, to be looked at: each uint8 (C, T, T) and its truth.

        `place`: which of the objects, from 0 to 1. Where nothing is augmented they differ by their offset alone.
        """
        at = self._of_object(min(int(place * len(self._objects)), len(self._objects) - 1))
        return [self._drawn(np.random.default_rng([self.seed, index]), at) for index in range(count)]

    def plain(self, place: float) -> tuple[Tensor, Detections]:
        """The crop around one object as it is, not augmented: uint8 (C, T, T) and its truth."""
        picture, box = self._of_object(min(int(place * len(self._objects)), len(self._objects) - 1))
        room = np.maximum(np.array(picture.values.shape[:0:-1]) - self.tile_px, 0)  # stay on the picture where it fits
        x, y = ((box[:2] + box[2:] - self.tile_px) / 2).round().clip(0, room).astype(int).tolist()
        image, truth = crop(picture.values, x, y, self.tile_px, self.fill), picture.truth
        boxes = truth.boxes - np.array([x, y, x, y])
        shown = Detections(boxes, truth.scores, truth.labels, truth.ignore)
        return torch.from_numpy(image), visible(shown, self.tile_px, LEAST_VISIBLE)

    def _drawn(
        self, random: np.random.Generator, at: tuple[Picture, np.ndarray] | None = None
    ) -> tuple[Tensor, Detections]:
        if self.augmentation.mosaic and random.uniform() < self.augmentation.mosaic:
            image, truth = self._mosaic(random)
        else:
            image, truth = self._cut(random, self.tile_px, at)
        return change_colours(torch.from_numpy(np.ascontiguousarray(image)), self.augmentation, random), truth

    def _cut(
        self, random: np.random.Generator, size: int, at: tuple[Picture, np.ndarray] | None = None
    ) -> tuple[np.ndarray, Detections]:
        """A square of `size` px out of a picture, scaled and turned: uint8 (C, size, size) and what it shows.

        `at`: the picture, and the box it must show; None: drawn.
        """
        stretch = self.augmentation.scale ** random.uniform(-1, 1)
        side = size / stretch
        picture, anchor = at or self._place(random)
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
        return image, visible(truth, size, LEAST_VISIBLE)

    def _mosaic(self, random: np.random.Generator) -> tuple[np.ndarray, Detections]:
        """Four cuts of half the side, each at its own place, so that one sample shows more kinds of ground."""
        half = self.tile_px // 2
        image = np.empty((len(self.fill), self.tile_px, self.tile_px), np.uint8)
        image[:] = self.fill[:, None, None]
        truths = []
        for x, y in ((0, 0), (half, 0), (0, half), (half, half)):
            image[:, y : y + half, x : x + half], truth = self._cut(random, half)
            truths.append(truth.moved(x, y))
        return image, Detections.concatenate(truths)

    def batches(
        self, epoch: int, steps: int, batch_size: int, *, first: int = 0, rank: int = 0, team: int = 1
    ) -> Iterator[Batch]:
        """The batches of an epoch from step `first` on, each prepared in a thread while the one before it is used.

        Of a team of processes, `rank` names this one: they share out the samples of a step.
        """

        def prepare(step: int) -> Batch:
            start = (step * team + rank) * batch_size
            drawn = [self.sample(epoch, start + i) for i in range(batch_size)]
            return Batch(torch.stack([image for image, _ in drawn]), [truth for _, truth in drawn])

        # One core for the thread that prepares: two pools of spinning OpenMP threads take turns on the same cores,
        # which made a step three times longer. torch keeps this number by thread.
        with ThreadPoolExecutor(1, "samples", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            ahead = pool.submit(prepare, first)
            for step in range(first, steps):
                batch = ahead.result()
                if step + 1 < steps:
                    ahead = pool.submit(prepare, step + 1)
                yield batch

    def _place(self, random: np.random.Generator) -> tuple[Picture, np.ndarray | None]:
        """A picture, and the box the crop must show, or None for a crop anywhere."""
        if len(self._objects) == 0 or random.uniform() < EMPTY_SHARE:
            return self.pictures[int(np.searchsorted(self._ground, random.uniform(), side="right"))], None
        return self._of_object(int(random.integers(len(self._objects))))

    def _of_object(self, number: int) -> tuple[Picture, np.ndarray]:
        picture = self.pictures[self._objects[number]]
        return picture, picture.truth.boxes[self._within[number]]


def _ignored(truth: Detections) -> np.ndarray:
    return np.zeros(len(truth), bool) if truth.ignore is None else truth.ignore


def crop(values: np.ndarray | RasterPixels, x: int, y: int, size: int, fill: np.ndarray) -> np.ndarray:
    """Cut a square of `size` px at (x, y) out of (C, H, W); what lies outside is `fill` (C,)."""
    height, width = values.shape[1:]
    out = np.empty((values.shape[0], size, size), np.uint8)
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
