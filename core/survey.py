"""What a training would learn from, told without training: objects, sizes, anchors, warnings, device and time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .job.errors import Cancelled
from .job.events import Event, Report
from .job.train_job import SurveyJob
from .retinanet.device import choose_backend
from .training.formats.records import SPLITS
from .training.preparation import Prepared, prepare
from .training.samples import Sampler
from .training.setup import Setup, set_up
from .training.step import StepLosses

PROBES = 4  # steps that are timed after the first, which warms up
LONGEST_PROBING = 8.0  # seconds, after which those done must do
LOOKING_SHARE = 0.25  # of the time of the steps, which looking at the pictures set aside takes in addition


def survey(job: SurveyJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Tell about a training: labels and anchors first, as the event `survey`; with device and time in the end.

    Gives `classes`: objects of each class by split; `images` by split; `resolution_m`; `anchors` as the event of that
    name; `notices`: what is mixed in of earlier samples; `warnings`; `device`, `seconds` and `epochs`. Raises the
    TilehawkError that the training itself would raise.
    """
    job.validate()
    warnings: list[str] = []
    anchors: dict[str, Any] = {}

    def listen(event: Event) -> None:
        if event["event"] == "anchors":
            anchors.update(event)
        elif event["event"] == "notice" and event["level"] == "warning":
            warnings.append(event["text"])

    prepared = prepare(job.training, listen)
    backend = choose_backend(job.training.device)
    setup = set_up(job.training, prepared, backend, listen)
    anchors.pop("event", None)
    notices = [text for text, level in prepared.labelled.notices if level == "info"]
    facts = {**_labels(prepared), "anchors": anchors, "notices": notices, "warnings": warnings}
    report({"event": "survey", **facts})
    if cancelled():
        raise Cancelled
    steps = setup.recipe.epochs * setup.recipe.steps
    seconds = steps * seconds_a_step(setup) * (1 + LOOKING_SHARE)
    return {**facts, "device": backend.name, "seconds": round(seconds), "epochs": setup.recipe.epochs}


def _labels(prepared: Prepared) -> dict[str, Any]:
    names = prepared.labelled.classes
    counts = {name: dict.fromkeys(SPLITS, 0) for name in names}
    for split, pictures in prepared.pictures.items():
        for truth in (picture.truth for picture in pictures):
            kept = truth.labels if truth.ignore is None else truth.labels[~truth.ignore]
            for label, count in zip(*np.unique(kept, return_counts=True), strict=True):
                counts[names[label]][split] += int(count)
    return {
        "classes": counts,
        "images": {split: len(pictures) for split, pictures in prepared.pictures.items()},
        "resolution_m": prepared.labelled.resolution_m,
    }


def seconds_a_step(setup: Setup) -> float:
    """Time a training step, once it is warm, as on a machine that has nothing else to do; gradients stay as they come.

    The least of several steps; on a processor, no more than the time that its cores have worked on it, shared out.
    """
    network = setup.network.to(setup.backend.device).train()
    losses = StepLosses(setup.card, setup.recipe.losses, setup.backend)
    sampler: Sampler = setup.sampler
    cores = torch.get_num_threads() if setup.backend.device.type == "cpu" else None
    began, taken = time.monotonic(), []
    for batch in sampler.batches(0, 1 + PROBES, setup.recipe.batch_size):
        started, worked = time.monotonic(), time.process_time()
        loss = sum(losses(network, batch))
        loss.backward()
        if cores is None:
            torch.cuda.synchronize() if setup.backend.device.type == "cuda" else float(loss.detach())
        wall, work = time.monotonic() - started, time.process_time() - worked
        taken.append(least_seconds(wall, work, cores))
        if len(taken) > 1 and time.monotonic() - began > LONGEST_PROBING:
            break
    return min(taken[1:])


def least_seconds(wall: float, work: float, cores: int | None) -> float:
    """Seconds that something takes on an idle machine: what passed on the clock, or less where `cores` were shared
    with other programs: `work`, the seconds that they worked on it together, by their number."""
    return wall if cores is None else min(wall, work / cores)
