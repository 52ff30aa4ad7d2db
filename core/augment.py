"""The verb `augment`: what a training changes about its samples, shown on one of them before anything is learnt."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from .accuracy.pictures import in_colour, png
from .detections.detections import Detections
from .job.errors import Cancelled
from .job.events import Report
from .job.train_job import AugmentJob
from .training.preparation import prepare
from .training.samples import Sampler


def augment(job: AugmentJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Draw one sample as it is, and versions of it as the training itself would draw them.

    Gives `plain` and `versions`, each with `png` (base64), and `boxes` (N, 4) xyxy px of it: those of what is to ignore
    left out; `tile_px`: their side. Raises the TilehawkError that the training itself would raise.
    """
    job.validate()
    training = job.training
    prepared = prepare(training, lambda event: None)
    if cancelled():
        raise Cancelled
    sampler = Sampler(prepared.pictures["train"], training.tile_px, prepared.fill, training.augmentation, training.seed)
    return {
        "tile_px": training.tile_px,
        "plain": _told(*sampler.plain(job.place), training.band_roles),
        "versions": [_told(*each, training.band_roles) for each in sampler.versions(job.place, job.versions)],
    }


def _told(image: Tensor, truth: Detections, roles: Sequence[str]) -> dict[str, Any]:
    kept = truth if truth.ignore is None else truth.take(~truth.ignore)
    data = base64.b64encode(png(in_colour(image.numpy(), roles))).decode("ascii")
    return {"png": data, "boxes": kept.boxes.round(2).tolist()}
