"""What a detection would be like, told without doing it: the raster as the model would see it, tiles, device, time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .cluster import Cluster
from .here import OpenDetector, augmented, usual_batch
from .imagery.area import area_in_grid
from .imagery.domain import unlike_the_model
from .imagery.gdal import raster_name
from .imagery.tiles import plan_tiles
from .job.card import ModelCard, read_card
from .job.checks import is_gdal_name
from .job.errors import Cancelled
from .job.events import Report
from .job.jobs import DetectJob
from .settings import Settings, open_for

BYTES_PER_TILE = 20_000  # of a GeoPackage, where objects stand close
LEAST_FREE_BYTES = 200_000_000
SOFT, COARSE = 1.5, 3.0  # times the model's pixel: some, then most of its objects blur away


class Preflight:
    """Answers one pre-flight after another, keeping what is costly: the raster's looks, and the network's pace."""

    def __init__(self, open_detector: OpenDetector) -> None:
        self._open_detector = open_detector
        self._looks: tuple[Any, dict[str, Any]] | None = None
        self._pace: tuple[Any, float] | None = None
        self._loading_seconds = 0.0

    def __call__(self, job: DetectJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Tell about a job: its raster, tiles and disk first, as the event `preflight`; device and time in the end.

        A cluster is not asked: its machines may be started only on demand, and no time can be told.

        Raises the TilehawkError that the detection itself would raise.
        """
        job.validate()
        card = read_card(job.model)
        facts = {**self._look(job, card), **_disk(job)}
        facts["warnings"] = [*facts["warnings"], *_disk_warnings(facts)]
        report({"event": "preflight", **facts})
        if cancelled():
            raise Cancelled
        if job.cluster:
            cluster = Cluster(job)
            return {**facts, "device": cluster.name, "backend": cluster.key}
        started = time.monotonic()
        detector = self._open_detector(job.model, job.device)
        self._loading_seconds = max(self._loading_seconds, time.monotonic() - started)
        backend = detector.backend
        batch = job.batch_size or usual_batch(backend, facts["tile_px"])
        key = (*_identity(job.model), backend.key, facts["tile_px"], batch, job.augment)
        if self._pace is None or self._pace[0] != key:
            self._pace = (key, _seconds_a_tile(augmented(detector, job.augment), facts["tile_px"], batch, job, card))
        seconds = self._loading_seconds + facts["tiles"] * self._pace[1]
        return {**facts, "device": backend.name, "backend": backend.key, "seconds": round(seconds, 2)}

    def _look(self, job: DetectJob, card: ModelCard) -> dict[str, Any]:
        """Open the raster and plan; the comparison with the model's imagery is kept from job to job."""
        settings = Settings.of(job, card)
        with open_for(job, card) as raster:
            area = area_in_grid(raster.grid, extent=job.extent, mask_path=job.mask)
            stride = card.architecture.coarsest_stride
            plan = plan_tiles(raster.grid, settings.tile_px, settings.overlap_px, stride, area)
            key = (*_identity(job.raster), *_identity(job.model), job.bands, job.value_range, job.resolution_m)
            if self._looks is None or self._looks[0] != key:
                unlike = unlike_the_model(raster, card.bands)
                self._looks = (key, [{"text": each.text, "remedy": each.remedy} for each in unlike])
            return {
                "raster": raster_name(job.raster),
                "width": raster.grid.width,
                "height": raster.grid.height,
                "source_resolution_m": raster.source_resolution_m,
                "resolution_m": raster.grid.resolution_m,
                "model_resolution_m": card.resolution_m,
                "resampled": raster.to_source is not None,
                "dtype": raster.dtype,
                "nodata": _finite(raster.nodata),
                "bands": dict(zip([band.role for band in card.bands], raster.band_indexes, strict=True)),
                "notices": list(raster.notices),
                "warnings": [*_resolution_warnings(raster.source_resolution_m, card), *self._looks[1]],
                "tiles": len(plan),
                "tile_px": plan.tile_px,
            }


def _resolution_warnings(own: float | None, card: ModelCard) -> list[dict[str, str]]:
    if card.resolution_m is None:
        return []
    if own is None:
        return [
            _warning(
                "The raster does not say how large its pixels are on the ground.",
                "Give the layer its coordinate reference system, or choose the pixel size 'native' under Advanced.",
            )
        ]
    times = own / card.resolution_m
    if times < SOFT:
        return []
    much = "Most" if times >= COARSE else "Small"
    return [
        _warning(
            f"The raster's pixels are {times:.1f} times coarser than the model's. {much} objects will be missed.",
            "Use a finer raster, or a model for this pixel size.",
        )
    ]


def _disk(job: DetectJob) -> dict[str, int]:
    return {"free_bytes": shutil.disk_usage(Path(job.output).parent).free}


def _disk_warnings(facts: dict[str, Any]) -> list[dict[str, str]]:
    needed = LEAST_FREE_BYTES + BYTES_PER_TILE * facts["tiles"]
    if facts["free_bytes"] >= needed:
        return []
    free, wanted = (f"{size / 1e6:,.0f} MB" for size in (facts["free_bytes"], needed))
    return [
        _warning(
            f"Only {free} are free where the result is written; {wanted} may be needed.",
            "Make room there, or choose another folder for the result.",
        )
    ]


def _warning(text: str, remedy: str) -> dict[str, str]:
    return {"text": text, "remedy": remedy}


def _seconds_a_tile(detector: Any, tile_px: int, batch: int, job: DetectJob, card: ModelCard) -> float:
    """Time the network on grey noise, once it is warm."""
    noise = np.random.default_rng(0).integers(90, 150, (batch, len(card.bands), tile_px, tile_px), np.uint8)
    settings = Settings.of(job, card)
    detector(noise, settings.score_floor, settings.nms_overlap)
    started = time.monotonic()
    detector(noise, settings.score_floor, settings.nms_overlap)
    return (time.monotonic() - started) / batch


def _identity(path: str) -> tuple[Any, ...]:
    if is_gdal_name(path):
        return (path,)
    status = Path(path).stat()
    return (path, status.st_mtime_ns, status.st_size)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
