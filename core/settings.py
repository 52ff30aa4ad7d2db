"""What a detection is to do, and on what, settled from the job and the model's card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .imagery.raster import Raster, open_raster
from .job.card import ModelCard
from .job.jobs import DetectJob


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


def open_for(job: DetectJob, card: ModelCard) -> Raster:
    """Open a job's raster as its model wants it, or as the job says; raises RasterError."""
    return open_raster(
        job.raster,
        card.bands,
        card.resolution_m,
        bands=job.bands,
        value_range=job.value_range,
        resolution_m=job.resolution_m,
    )


def _either(option: Any, default: Any) -> Any:
    return default if option is None else option
