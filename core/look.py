"""Run the detector over all tiles of a plan."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from shapely.geometry.base import BaseGeometry

from .detections.detections import Detections
from .gathering import Gathering, inside
from .imagery.grid import Grid
from .imagery.raster import Raster
from .imagery.reader import read_batches
from .imagery.tiles import TilePlan
from .retinanet.pipeline import stream
from .settings import Settings
from .watch import Watch

if TYPE_CHECKING:
    from .retinanet.augmented import AugmentedDetector
    from .retinanet.detector import Detector


def look(
    raster: Raster,
    plan: TilePlan,
    area: BaseGeometry | None,
    detector: Detector | AugmentedDetector,
    batch_size: int,
    settings: Settings,
    gathering: Gathering,
    watch: Watch,
) -> None:
    """Run the detector over the tiles that are not done yet and gather what they show.

    A batch that is too large for the device is told of.
    """
    limit = detector.batch_limit
    examined = gathering.examined
    looked = gathering.looked_at_before - len(examined.empty_tiles)
    with closing(read_batches(raster, plan, batch_size, examined, gathering.done)) as batches:
        for (indexes, _, valid), tiles in stream(detector, batches, settings.score_floor, settings.nms_overlap):
            seen = []
            if detector.batch_limit < limit:
                limit = detector.batch_limit
                watch.tell([f"The device's memory was too small for so many tiles at once; from now on {limit}."])
            for index, shown, where_valid in zip(indexes.tolist(), tiles, valid, strict=True):
                left, top = plan.window(index)[:2]
                tile = within(shown, left, top, raster.grid)
                kept = tile.take(np.isin(tile.labels, settings.labels) & on_ground(tile.boxes, where_valid))
                gathering.add(index, kept)
                seen.append(kept.take(kept.scores >= settings.threshold).moved(left, top))
            looked += len(indexes)
            preview = Detections.concatenate(seen)
            watch.looked(looked + len(examined.empty_tiles), preview.take(inside(preview.boxes, area)), raster.grid)
            gathering.save_now_and_then()
    watch.step("Merging")
    gathering.finish()


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
