"""Batches through a detector, the next one's network started before this one's boxes are asked for."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..detections.detections import Detections

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]  # indexes, images and validity of tiles


class InTurn(Protocol):
    """A detector that is called with one batch after another."""

    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Images uint8 (N, C, H, W) to detections for each."""


@runtime_checkable
class Overlapping(InTurn, Protocol):
    """A detector that can have several batches in flight."""

    in_flight: int

    def start(self, images: np.ndarray) -> Any:
        """Start on images, without waiting for the device."""

    def finish(self, images: np.ndarray, started: Any, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Give the detections on images that were started."""


def stream(
    detector: InTurn, batches: Iterable[Batch], score_floor: float, nms_overlap: float
) -> Iterator[tuple[Batch, list[Detections]]]:
    """Give each batch with the detections on its images, in order.

    Where the detector can, the device works on the next batch while the caller works on this one.
    """
    if not isinstance(detector, Overlapping):
        for batch in batches:
            yield batch, detector(batch[1], score_floor, nms_overlap)
        return
    running: deque[tuple[Batch, Any]] = deque()
    for batch in batches:
        running.append((batch, detector.start(batch[1])))
        if len(running) == detector.in_flight:
            yield _finished(detector, *running.popleft(), score_floor, nms_overlap)
    while running:
        yield _finished(detector, *running.popleft(), score_floor, nms_overlap)


def _finished(
    detector: Overlapping, batch: Batch, started: Any, score_floor: float, nms_overlap: float
) -> tuple[Batch, list[Detections]]:
    return batch, detector.finish(batch[1], started, score_floor, nms_overlap)
