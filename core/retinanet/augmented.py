"""Test-time augmentation: look at every tile in several ways, and let suppression merge what is seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from ..detections.detections import Detections
from ..detections.suppression import nms
from .device import Backend


@dataclass(frozen=True)
class View:
    """A way to look at an image: scaled, then flipped left to right or not, then turned counter-clockwise."""

    scale: float = 1.0
    flipped: bool = False
    quarter_turns: int = 0


VIEWS = {  # of each augmentation, besides the image as it is
    "flips": (View(flipped=True), View(flipped=True, quarter_turns=2)),
    "turns": (View(quarter_turns=1), View(quarter_turns=2), View(quarter_turns=3)),
    "scales": (View(scale=0.8), View(scale=1.25)),
}


class PlainDetector(Protocol):
    """What finds objects on images as they are."""

    backend: Backend
    batch_limit: int

    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Images uint8 (N, C, H, W) to detections for each."""


class AugmentedDetector:
    """A detector that looks at every image as it is and in the views of some augmentations, one after another.

    Of the boxes of one class that overlap by more than the suppression's overlap, from whatever view, the best stays.
    """

    def __init__(self, detector: PlainDetector, augmentations: Sequence[str]) -> None:
        self.detector = detector
        self.views = (View(), *chain.from_iterable(VIEWS[name] for name in augmentations))

    @property
    def backend(self) -> Backend:
        """Where and how the network runs."""
        return self.detector.backend

    @property
    def batch_limit(self) -> int:
        """Images that the device has memory for at once."""
        return self.detector.batch_limit

    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        """As the detector itself: boxes in the frame of the images as they were given."""
        seen = [self._look(images, view, score_floor, nms_overlap) for view in self.views]
        merged = []
        for of_image in zip(*seen, strict=True):
            found = Detections.concatenate(of_image)
            merged.append(found.take(nms(found.boxes, found.scores, found.labels, nms_overlap)))
        return merged

    def _look(self, images: np.ndarray, view: View, score_floor: float, nms_overlap: float) -> list[Detections]:
        shown = show(images, view)
        size = (images.shape[3], images.shape[2])
        found = self.detector(shown, score_floor, nms_overlap)
        return [Detections(bring_back(one.boxes, view, size), one.scores, one.labels) for one in found]


def show(images: np.ndarray, view: View) -> np.ndarray:
    """Images uint8 (N, C, H, W) as a view shows them."""
    if view.scale != 1:
        height, width = _scaled((images.shape[3], images.shape[2]), view.scale)[::-1]
        values = torch.from_numpy(np.ascontiguousarray(images)).float()
        values = functional.interpolate(values, (height, width), mode="bilinear", antialias=True)
        images = values.round_().clamp_(0, 255).byte().numpy()
    if view.flipped:
        images = images[..., ::-1]
    return np.ascontiguousarray(np.rot90(images, view.quarter_turns, axes=(2, 3)))


def bring_back(boxes: np.ndarray, view: View, size: tuple[int, int]) -> np.ndarray:
    """Boxes (N, 4) xyxy of a view to the frame of the image it was made of, `size` its width and height, px."""
    width, height = _scaled(size, view.scale)
    x0, y0, x1, y1 = boxes.T
    for turn in reversed(range(view.quarter_turns)):
        before = height if turn % 2 else width  # width of the image before this turn
        x0, y0, x1, y1 = before - y1, x0, before - y0, x1
    if view.flipped:
        x0, x1 = width - x1, width - x0
    factors = np.array([size[0] / width, size[1] / height] * 2, boxes.dtype)
    return np.stack([x0, y0, x1, y1], axis=1) * factors


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
