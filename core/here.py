"""Looking at tiles on this machine, with a detector on its best device or the one that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from .detections.detections import Detections
from .imagery.examined import Examined
from .imagery.grid import Grid
from .imagery.raster import Raster
from .imagery.reader import read_batches
from .imagery.tiles import TilePlan
from .job.jobs import DetectJob
from .look import Sight
from .settings import Settings

if TYPE_CHECKING:
    from .retinanet.augmented import AugmentedDetector
    from .retinanet.detector import Detector
    from .retinanet.device import Backend

OpenDetector = Callable[[str, str], "Detector"]  # of a model's path and a device


def load_detector(path: str, device: str) -> Detector:
    """Load a model onto a device; torch is imported here, once all that can fail without it has not failed."""
    from .retinanet.detector import Detector
    from .retinanet.device import choose_backend
    from .retinanet.weights import load_model

    backend = choose_backend(device).for_detection()
    return Detector(*load_model(path), backend)


def usual_batch(backend: Backend, tile_px: int) -> int:
    """How many tiles to look at together where the job leaves it open."""
    from .retinanet import device

    return device.usual_batch(backend.device, tile_px)


def augmented(detector: Detector, augmentations: tuple[str, ...]) -> Detector | AugmentedDetector:
    """The detector, with test-time augmentation where it is asked for."""
    if not augmentations:
        return detector
    from .retinanet.augmented import AugmentedDetector

    return AugmentedDetector(detector, augmentations)


class Here:
    """Looks at tiles with a detector in this process."""

    def __init__(self, detector: Detector, job: DetectJob, tile_px: int) -> None:
        """`job`: how to look, and how many tiles together where it says so."""
        self._detector = augmented(detector, job.augment)
        backend = self._detector.backend
        self.name, self.key = backend.name, backend.key
        self.batch_size = job.batch_size or usual_batch(backend, tile_px)

    def told(self) -> dict[str, Any]:
        """As `Looker.told`; the batch at most as large as the device has turned out to have memory for."""
        batch_size = min(self.batch_size, self._detector.batch_limit)
        return {"device": self.name, "backend": self.key, "batch_size": batch_size}

    def sights(
        self,
        raster: Raster,
        plan: TilePlan,
        settings: Settings,
        examined: Examined,
        done: np.ndarray,
        tell: Callable[[str], None],
    ) -> Iterator[list[Sight]]:
        """As `Looker.sights`, batch by batch in the order in which the raster is read."""
        from .retinanet.pipeline import stream

        detector = self._detector
        limit = detector.batch_limit
        with closing(read_batches(raster, plan, self.batch_size, examined, done)) as batches:
            for (indexes, _, valid), tiles in stream(detector, batches, settings.score_floor, settings.nms_overlap):
                if detector.batch_limit < limit:
                    limit = detector.batch_limit
                    tell(f"The device's memory was too small for so many tiles at once; from now on {limit}.")
                seen = []
                for index, shown, where_valid in zip(indexes.tolist(), tiles, valid, strict=True):
                    tile = within(shown, *plan.window(index)[:2], raster.grid)
                    counts = np.isin(tile.labels, settings.labels) & on_ground(tile.boxes, where_valid)
                    seen.append((index, tile.take(counts)))
                yield seen


def within(tile: Detections, left: int, top: int, grid: Grid) -> Detections:
    """Clip boxes of a tile at (left, top) of the grid to the grid; those beyond it are left out."""
    low, high = np.array([-left, -top] * 2), np.array([grid.width - left, grid.height - top] * 2)
    boxes = tile.boxes.clip(low, high).astype(tile.boxes.dtype)
    clipped = Detections(boxes, tile.scores, tile.labels)
    return clipped.take((boxes[:, :2] < boxes[:, 2:]).all(axis=1))


def on_ground(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Tell which boxes (N, 4) of a tile have their centre on a valid pixel of it; `valid` bool (rows, columns)."""
    x = ((boxes[:, 0] + boxes[:, 2]) / 2).astype(np.int64).clip(0, valid.shape[1] - 1)
    y = ((boxes[:, 1] + boxes[:, 3]) / 2).astype(np.int64).clip(0, valid.shape[0] - 1)
    return valid[y, x]
