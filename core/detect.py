"""The verb `detect`: from a raster and a model to a layer of the objects on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from .detections.detections import Detections
from .detections.merging import Merger
from .detections.rules import rule_named
from .detections.vectors import require_writable, write_detections
from .imagery.area import area_in_grid
from .imagery.examined import Examined
from .imagery.raster import Raster, open_raster
from .imagery.reader import read_batches
from .imagery.tiles import TilePlan, plan_tiles
from .job.card import ModelCard, read_card
from .job.events import Report
from .job.jobs import DetectJob
from .watch import Watch

if TYPE_CHECKING:
    from .retinanet.augmented import AugmentedDetector
    from .retinanet.detector import Detector

BATCH_SIZES = {"cuda": 16, "mps": 4, "cpu": 1}
OpenDetector = Callable[[str, str], "Detector"]  # of a model's path and a device


def load_detector(path: str, device: str) -> Detector:
    """Load a model onto a device; torch is imported here, once all that can fail without it has not failed."""
    from .retinanet.detector import Detector
    from .retinanet.device import choose_backend
    from .retinanet.weights import load_model

    backend = choose_backend(device).for_detection()
    return Detector(*load_model(path), backend)


def augmented(detector: Detector, augmentations: tuple[str, ...]) -> Detector | AugmentedDetector:
    """The detector, with test-time augmentation where it is asked for."""
    if not augmentations:
        return detector
    from .retinanet.augmented import AugmentedDetector

    return AugmentedDetector(detector, augmentations)


@dataclass(frozen=True, eq=False)
class Settings:
    """A job's options where it has them, else the model card's. `labels` (n,) int64: the classes wanted."""

    threshold: float
    score_floor: float
    nms_overlap: float
    tile_px: int
    overlap_px: int
    labels: np.ndarray
    merge: str

    @staticmethod
    def of(job: DetectJob, card: ModelCard) -> Settings:
        """Settle what to do; raises ModelError for a class that the model does not know."""
        threshold = _either(job.threshold, card.threshold)
        tile_px = _either(job.tile_px, card.tile_px)
        labels = range(len(card.classes)) if job.classes is None else {card.label(name) for name in job.classes}
        return Settings(
            threshold=threshold,
            score_floor=_either(job.score_floor, min(card.score_floor, threshold)),
            nms_overlap=_either(job.nms_overlap, card.nms_overlap),
            tile_px=tile_px,
            overlap_px=_either(job.overlap_px, min(card.overlap_px, tile_px // 2)),
            labels=np.array(sorted(labels), np.int64),
            merge=job.merge,
        )


def detect(
    job: DetectJob, report: Report, cancelled: Callable[[], bool], open_detector: OpenDetector = load_detector
) -> dict[str, Any]:
    """Find objects on a raster and write them; gives the values of the result event.

    Raises TilehawkError, Cancelled among them; nothing is left behind then, and what stood at the output before still
    stands there.
    """
    job.validate()
    card = read_card(job.model)
    settings = Settings.of(job, card)
    started = time.monotonic()
    watch = Watch(report, cancelled)
    watch.step("Opening the raster")
    with open_raster(
        job.raster,
        card.bands,
        card.resolution_m,
        bands=job.bands,
        value_range=job.value_range,
        resolution_m=job.resolution_m,
    ) as raster:
        require_writable(job.output, raster.grid.crs_wkt)
        watch.tell(raster.notices)
        area = area_in_grid(raster.grid, extent=job.extent, mask_path=job.mask)
        stride = card.architecture.coarsest_stride
        plan = plan_tiles(raster.grid, settings.tile_px, settings.overlap_px, stride, area)
        examined = Examined(plan)
        watch.step("Opening the model")
        detector = augmented(open_detector(job.model, job.device), job.augment)
        backend = detector.backend
        tiles = "tile" if len(plan) == 1 else "tiles"
        watch.tell([f"Looking at {len(plan):,} {tiles} of {plan.tile_px} px on {backend.name} ({backend.key})."])
        watch.begin(len(plan))
        batch_size = job.batch_size or BATCH_SIZES[backend.device.type]
        found = look(raster, plan, examined, area, detector, batch_size, settings, watch)
        seconds_looking = watch.seconds
        gaps = examined.gaps(raster.grid, area)
    watch.step("Writing")
    result = {
        "output": job.output,
        "objects": count(found, settings, card),
        "above_floor": len(found),
        "threshold": settings.threshold,
        "tiles": len(plan),
        "tiles_per_second": round(len(plan) / max(seconds_looking, 1e-3), 3),
        "device": backend.name,
        "backend": backend.key,
        "batch_size": min(batch_size, detector.batch_limit),
        "augment": list(job.augment),
        "merge": job.merge,
        "notices": watch.notices,
        "model": job.model,
        "raster": job.raster,
    }
    names = [known.name for known in card.classes]
    written = write_detections(job.output, found, raster.grid, names, result, gaps, settings.threshold)
    watch.finish()
    return {**result, **written, "seconds": round(time.monotonic() - started, 3)}


def look(
    raster: Raster,
    plan: TilePlan,
    examined: Examined,
    area: BaseGeometry | None,
    detector: Detector | AugmentedDetector,
    batch_size: int,
    settings: Settings,
    watch: Watch,
) -> Detections:
    """Run the detector over all tiles and merge what they show: objects of the area, in the grid frame.

    `examined` takes note of the ground that was read. A batch that is too large for the device is told of.
    """
    limit = detector.batch_limit
    rule = rule_named(settings.merge, settings.nms_overlap)
    merger = Merger(plan.views(), plan.windows(), plan.cols, plan.active, rule)
    done = 0
    with closing(read_batches(raster, plan, batch_size, examined)) as batches:
        for indexes, images, valid in batches:
            seen = []
            tiles = detector(images, settings.score_floor, settings.nms_overlap)
            if detector.batch_limit < limit:
                limit = detector.batch_limit
                watch.tell([f"The device's memory was too small for so many tiles at once; from now on {limit}."])
            for index, tile, where_valid in zip(indexes.tolist(), tiles, valid, strict=True):
                kept = tile.take(np.isin(tile.labels, settings.labels) & on_ground(tile.boxes, where_valid))
                merger.add(index, kept)
                seen.append(kept.take(kept.scores >= settings.threshold).moved(*plan.window(index)[:2]))
            done += len(indexes)
            preview = Detections.concatenate(seen)
            watch.looked(done + len(examined.empty_tiles), preview.take(inside(preview.boxes, area)), raster.grid)
    found = merger.finish()
    return found.take(inside(found.boxes, area))


def count(found: Detections, settings: Settings, card: ModelCard) -> dict[str, int]:
    """Count by class, of those wanted, what scores at least the threshold."""
    labels = found.labels[found.scores >= settings.threshold]
    return {card.classes[label].name: int((labels == label).sum()) for label in settings.labels}


def on_ground(boxes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Tell which boxes (N, 4) of a tile have their centre on a valid pixel of it; `valid` bool (rows, columns)."""
    x = ((boxes[:, 0] + boxes[:, 2]) / 2).astype(np.int64).clip(0, valid.shape[1] - 1)
    y = ((boxes[:, 1] + boxes[:, 3]) / 2).astype(np.int64).clip(0, valid.shape[0] - 1)
    return valid[y, x]


def inside(boxes: np.ndarray, area: BaseGeometry | None) -> np.ndarray:
    """Tell which boxes (N, 4) have their centre in the area, or on its edge; both in one frame."""
    if area is None:
        return np.ones(len(boxes), bool)
    shapely.prepare(area)
    return shapely.intersects_xy(area, (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)


def _either(option: Any, default: Any) -> Any:
    return default if option is None else option
