"""The verb `detect`: from a raster and a model to a layer of the objects on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .cluster import Cluster
from .detections.parts import Parts
from .detections.vectors import require_writable, write_detections
from .gathering import Gathering
from .here import Here, OpenDetector, load_detector
from .identity import identity
from .imagery.area import area_in_grid
from .imagery.tiles import TilePlan, plan_tiles
from .job.addresses import without_secrets
from .job.card import read_card
from .job.errors import Cancelled, Interrupted
from .job.events import Report
from .job.jobs import DetectJob
from .look import Looker, look
from .settings import Settings, open_for
from .watch import Watch


def detect(
    job: DetectJob, report: Report, cancelled: Callable[[], bool], open_detector: OpenDetector = load_detector
) -> dict[str, Any]:
    """Find objects on a raster and write them; gives the values of the result event.

    Raises TilehawkError, Cancelled among them. What stood at the output before still stands there then. Nothing else is
    left after Cancelled; after any other failure what was found so far is kept, for the same job to resume from, and so
    it is where `cancelled` raises Interrupted.
    """
    job.validate()
    card = read_card(job.model)
    settings = Settings.of(job, card)
    started = time.monotonic()
    watch = Watch(report, cancelled)
    watch.step("Opening the raster")
    with open_for(job, card) as raster:
        require_writable(job.output, raster.grid.crs_wkt)
        watch.tell(raster.notices)
        area = area_in_grid(raster.grid, extent=job.extent, mask_path=job.mask)
        stride = card.architecture.coarsest_stride
        plan = plan_tiles(raster.grid, settings.tile_px, settings.overlap_px, stride, area)
        watch.step("Opening the model")
        looker = Cluster(job) if job.cluster else Here(open_detector(job.model, job.device), job, plan.tile_px)
        parts = Parts(job.output, identity(job, settings, raster, area, plan, looker))
        with kept_on_failure(parts, watch):
            gathering = Gathering(plan, area, settings, len(card.classes), parts, job.resume)
            watch.tell(introduce(plan, looker, parts, gathering, job.resume))
            watch.begin(len(plan), gathering.looked_at_before)
            look(looker, raster, plan, area, settings, gathering, watch)
            seconds_looking = watch.seconds
            watch.step("Writing")
            result = {
                "output": job.output,
                "objects": {card.classes[label].name: int(gathering.counts[label]) for label in settings.labels},
                "above_floor": parts.total,
                "threshold": settings.threshold,
                "tiles": len(plan),
                "tiles_per_second": round(gathering.looked_at / max(seconds_looking, 1e-3), 3),
                **looker.told(),
                "augment": list(job.augment),
                "merge": job.merge,
                "notices": watch.notices,
                "model": job.model,
                "raster": without_secrets(job.raster),
            }
            names = [known.name for known in card.classes]
            gaps = gathering.examined.gaps(raster.grid, area)
            found = watch.writing(parts.row_by_row(), parts.total)
            written = write_detections(job.output, found, raster.grid, names, result, gaps, settings.threshold)
    watch.finish()
    return {**result, **written, "seconds": round(time.monotonic() - started, 3)}


def introduce(plan: TilePlan, looker: Looker, parts: Parts, gathering: Gathering, resume: bool) -> Iterator[str]:
    """Say what is about to be done, and what becomes of an earlier run."""
    tiles = "tile" if len(plan) == 1 else "tiles"
    yield f"Looking at {len(plan):,} {tiles} of {plan.tile_px} px on {looker.name} ({looker.key})."
    if parts.saved:
        yield f"Going on where it was broken off: {gathering.looked_at_before:,} of them were looked at before."
    elif resume:
        yield f"There is nothing to go on from at '{parts.folder}', so this is the beginning."
    elif parts.leftover:
        yield (
            f"An earlier run was broken off; what it left in '{parts.folder}' is replaced. "
            "To go on from there instead, resume the same job."
        )


@contextmanager
def kept_on_failure(parts: Parts, watch: Watch) -> Iterator[None]:
    """Delete the parts once the result is in place or the user has cancelled; after a failure say that they stay."""
    try:
        yield
    except BaseException as problem:
        if isinstance(problem, Cancelled) and not isinstance(problem, Interrupted):
            parts.clear()
        if parts.saved:
            kept = f"What was found so far is kept in '{parts.folder}'."
            watch.tell([f"{kept} Run again in QGIS, or with --resume, the same job goes on from there."], "warning")
        raise
    parts.clear()
