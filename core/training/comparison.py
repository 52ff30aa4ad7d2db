"""Old and new model on the same test images, paired, before the new one takes the old one's place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from ..accuracy.bootstrap import Redrawn, draw, intervals
from ..detections.detections import Detections
from ..job.card import Band, ModelCard, read_card
from ..job.comparison import in_words, is_worse
from ..job.errors import ModelError, TilehawkError
from ..job.events import Report, notice
from ..job.train_job import TrainJob
from ..retinanet.detector import Detector
from ..retinanet.device import Backend
from ..retinanet.weights import load_model
from .earlier import own_start
from .outcome import Outcome
from .pictures import Picture, load_pictures
from .preparation import Prepared
from .setup import Setup
from .validation import look_at

COMPARED = ("ap30", "ap50", "f1")  # those of Redrawn.main_figures
SAME_RESOLUTION = 0.01  # relative difference up to which pixels are the same

Found = Sequence[tuple[Picture, Detections]]


@dataclass(frozen=True)
class Side:
    """A model in a comparison: its classes by label, its threshold, and what it found on each test picture, in a frame
    of its own."""

    classes: tuple[str, ...]
    threshold: float
    found: Found


def compare_with_old(job: TrainJob, prepared: Prepared, setup: Setup, outcome: Outcome, report: Report) -> Outcome:
    """Test the model that the new one would replace, or that it starts from, beside it, and tell the card of it.

    The outcome stays as it is where there is no such model, no test picture, or nothing that both find; an old model
    that cannot be used is told of, and no more.
    """
    path = _old_model(job)
    if path is None or outcome.split != "test":
        return outcome
    try:
        old = _look_again(path, prepared, job, setup.backend)
    except TilehawkError as problem:
        report(notice(f"The old model '{path.name}' could not be tested beside the new one. {problem}", "warning"))
        return outcome
    if old is None:
        return outcome
    card = outcome.card
    new = Side(tuple(known.name for known in card.classes), card.threshold, outcome.found)
    compared = {"model": path.name, **compare(old, new, prepared.iou)}
    report(notice(in_words(compared), "warning" if is_worse(compared) else "info"))
    return replace(outcome, card=replace(card, metrics={**card.metrics, "compared": compared}))


def destination(job: TrainJob, outcome: Outcome, report: Report) -> str:
    """Where to write a new model: where it was to go, or beside a model there that is not known to be as good at most.

    Says so, and why.
    """
    path = Path(job.output)
    if job.overwrite or not path.exists():
        return job.output
    compared = outcome.card.metrics.get("compared")
    known = compared is not None and _old_model(job) == path
    if known and not is_worse(compared):
        return job.output
    free = next(beside for k in count(2) if not (beside := path.with_name(f"{path.stem}-{k}{path.suffix}")).exists())
    why = "is worse than" if known else "could not be compared with"
    report(notice(f"The new model {why} '{path.name}', which is kept: the new one is '{free.name}'.", "warning"))
    return str(free)


def _old_model(job: TrainJob) -> Path | None:
    """The model to compare with: the one that the new one would replace, else the one that it starts from."""
    try:
        read_card(job.output)
        return Path(job.output)
    except ModelError:
        return None if own_start(job) is None else Path(job.start_from)


def _look_again(path: Path, prepared: Prepared, job: TrainJob, backend: Backend) -> Side | None:
    """Let an old model look at the test pictures, at its own resolution and in its own ranges.

    None where it looks at other bands, or finds none of the objects. Raises ModelError and RasterError.
    """
    card, network = load_model(path)
    shared = {known.name.casefold() for known in card.classes} & {name.casefold() for name in prepared.labelled.classes}
    if not shared or tuple(band.role for band in card.bands) != job.band_roles:
        return None
    pictures = prepared.testing if _sees_alike(card, prepared) else _seen_by(card, prepared, job)
    fill = np.array([round(band.mean) for band in card.bands], np.uint8)
    detector = Detector(card, network, backend)
    found = [(picture, look_at(detector, picture, fill)) for picture in pictures]
    return Side(tuple(known.name for known in card.classes), card.threshold, found)


def compare(old: Side, new: Side, iou: float) -> dict[str, Any]:
    """Figures of two models on the same pictures, of the classes that both know; differences are new less old.

    Gives `images`, `objects`, `iou`; `old` and `new` with AP30, AP50, F1, precision, recall and the numbers `found` and
    `wrong` at each model's threshold; `difference` and its 95 % `intervals` (paired bootstrap by block); `decides`: the
    figure that says which is better.
    """
    sides = [
        Redrawn(_shared(side, other, new.classes), iou, side.threshold) for side, other in ((old, new), (new, old))
    ]
    figures = [_told(side) for side in sides]
    drawn = draw(sides, len(new.found), Redrawn.main_figures)
    bounds = intervals([{name: after[name] - before[name] for name in COMPARED} for before, after in drawn])
    return {
        "images": len(new.found),
        "objects": sum(sides[1].counts()[::2]),
        "iou": iou,
        "decides": "ap30" if iou < 0.5 else "ap50",
        "old": figures[0],
        "new": figures[1],
        "difference": {name: round(figures[1][name] - figures[0][name], 4) for name in COMPARED},
        "intervals": bounds,
    }


def _told(side: Redrawn) -> dict[str, Any]:
    hits, wrong, _ = side.counts()
    rounded = {name: round(value, 4) for name, value in side.figures().items() if name != "ap50_95"}
    return {**rounded, "found": hits, "wrong": wrong}


def _shared(side: Side, other: Side, truth: tuple[str, ...]) -> list[tuple[Detections, Detections]]:
    """What a side found and what is there, of the classes that both know, numbered alike; `truth`: classes of truth."""
    names = sorted({name.casefold() for name in side.classes} & {name.casefold() for name in other.classes})
    labels = {name: label for label, name in enumerate(names)}

    def renamed(objects: Detections, classes: tuple[str, ...]) -> Detections:
        new = np.array([labels.get(name.casefold(), -1) for name in classes], np.int64)[objects.labels]
        return replace(objects, labels=new).take(new >= 0)

    return [(renamed(found, side.classes), renamed(picture.truth, truth)) for picture, found in side.found]


def _sees_alike(card: ModelCard, prepared: Prepared) -> bool:
    ours, theirs = prepared.labelled.resolution_m, card.resolution_m
    if (ours is None) != (theirs is None) or (ours and abs(theirs / ours - 1) > SAME_RESOLUTION):
        return False
    return [_range(band) for band in card.bands] == [_range(band) for band in prepared.bands]


def _range(band: Band) -> tuple[str, float, float]:
    return band.role, band.low, band.high


def _seen_by(card: ModelCard, prepared: Prepared, job: TrainJob) -> list[Picture]:
    """The test pictures as another model sees them."""
    tested = {id(picture) for picture in prepared.testing}
    images = [image for image in prepared.labelled.images if image.split == "test"]
    chosen = [image for image, picture in zip(images, prepared.pictures["test"], strict=True) if id(picture) in tested]
    classes = len(prepared.labelled.classes)
    return load_pictures(chosen, card.bands, job.bands, card.resolution_m or prepared.labelled.resolution_m, classes)
