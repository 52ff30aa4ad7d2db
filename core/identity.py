"""What a detection depends on, so that a run is never continued from the parts of another one."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
import shapely
from shapely.geometry.base import BaseGeometry

from .imagery.gdal import gdal_session
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .job.addresses import without_secrets
from .job.jobs import DetectJob
from .look import Looker
from .settings import Settings

FORMAT = 2  # of the parts, and of what they mean: raised when either changes


def identity(
    job: DetectJob,
    settings: Settings,
    raster: Raster,
    area: BaseGeometry | None,
    plan: TilePlan,
    looker: Looker,
) -> dict[str, Any]:
    """Name all that decides which boxes a job finds, as JSON; the names are words of sentences for the user."""
    status = Path(job.model).stat()
    grid = raster.grid
    return {
        "version of Tilehawk": FORMAT,
        "model": _digest_of(job.model, status.st_size, status.st_mtime_ns),
        "raster": [_files_of(raster), grid.width, grid.height, grid.transform, grid.crs_wkt],
        "bands and value range": [raster.band_indexes, _plain(raster.ranges)],
        "area": None if area is None else hashlib.sha256(shapely.to_wkb(area)).hexdigest(),
        "tiles": [plan.x0, plan.y0, plan.width, plan.height, plan.tile_px, plan.overlap_px],
        "classes": settings.labels.tolist(),
        "scores and overlap": [settings.threshold, settings.score_floor, settings.nms_overlap],
        "augmentation": job.augment,
        "merging": settings.merge,
        "backend": looker.key,
        "batch size": looker.batch_size,
    }


@lru_cache(maxsize=4)
def _digest_of(path: str, _size: int, _changed: int) -> str:
    """SHA-256 of a file; size and time are there to notice a change."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def _files_of(raster: Raster) -> list[list[Any]]:
    """Name the files a raster consists of, with size and time where they can be known.

    Not GDAL's own `.aux.xml`: QGIS writes one when it shows a raster. What it may change is compared by itself.
    """
    with gdal_session(raster.name), rasterio.open(raster.source) as dataset:
        names = sorted(name for name in dataset.files or [raster.source] if not name.endswith(".aux.xml"))
    files = []
    for name in names:
        public = without_secrets(name)  # keys change, too
        try:
            status = Path(name).stat()
            files.append([public, status.st_size, status.st_mtime_ns])
        except (OSError, ValueError):
            files.append([public, None, None])
    return files


def _plain(ranges: Any) -> list[list[float]]:
    return [[float(value) for value in pair] for pair in ranges]
