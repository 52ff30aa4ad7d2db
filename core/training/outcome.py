"""What a training ends with: figures on the test pictures, and the card that tells how the model was made."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pyproj import Transformer
from pyproj.exceptions import ProjError

from ..accuracy.bootstrap import Redrawn, draw, intervals
from ..detections.detections import Detections
from ..job.card import ModelCard
from ..job.codec import encode
from ..job.train_job import TrainJob
from ..retinanet.detector import Detector
from .earlier import to_record
from .labels import LabelledImage
from .pictures import Picture
from .preparation import Prepared
from .recipe import Fitted
from .setup import Setup
from .sources import Labelled
from .validation import look_at

# What a card does not repeat: paths of one computer, and what does not make the model.
LOCAL = ("data", "rasters", "labels", "area", "output", "start_from", "credits", "resume", "overwrite", "language")
MOST_AREAS = 50

Pairs = list[tuple[Detections, Detections]]


@dataclass(frozen=True)
class Outcome:
    """The finished card, and what its model finds on the pictures of `split`."""

    card: ModelCard
    found: list[tuple[Picture, Detections]]
    split: str


def conclude(job: TrainJob, prepared: Prepared, setup: Setup, fitted: Fitted) -> Outcome:
    """Test the best weights, which the network then has, and tell everything in the card."""
    network = setup.network
    network.load_state_dict(fitted.state)
    chosen = "val" if prepared.has_choice else "train"
    card = replace(setup.card, threshold=round(fitted.best["threshold"], 3))
    metrics: dict[str, Any] = {"split": chosen, "iou": prepared.iou, "images": len(setup.judge.pictures), **fitted.best}
    split, pictures = ("test", prepared.testing) if prepared.testing else (chosen, setup.judge.pictures)
    detector = Detector(card, network, setup.backend)
    found = [(picture, look_at(detector, picture, prepared.fill)) for picture in pictures]
    if split == "test":
        metrics["test"] = test_figures([(seen, picture.truth) for picture, seen in found], prepared.iou, card.threshold)
    training = {
        "objects": {name: count for name, count in prepared.counts.items() if prepared.pictures[name]},
        "images": {name: len(held) for name, held in prepared.pictures.items() if held},
        "labels": [{"name": known.source.name, "sha256": known.sha256} for known in prepared.labelled.sources],
        "sources": _sources(prepared.labelled) if job.tell_sources and prepared.labelled.sources else [],
        "areas": areas(prepared.pictures["train"]),
        "blocks": len(prepared.labelled.blocks),
        "seconds": round(fitted.seconds),
        "anchors": setup.anchors,
        "epochs": len(fitted.history),
        "steps": len(fitted.history) * setup.recipe.steps,
        "learning_rate": setup.recipe.learning_rate,
        "backend": setup.backend.key,
        "recipe": {name: value for name, value in encode(job).items() if name not in LOCAL},
        "history": fitted.history,
    }
    return Outcome(replace(card, metrics=metrics, training=training), found, split)


def _sources(labelled: Labelled) -> list[dict[str, Any]]:
    """What the card tells of the sources, so that their samples can be mixed in when the model is trained again."""
    images: list[list[LabelledImage]] = [[] for _ in labelled.sources]
    for image in labelled.images:
        images[image.source].append(image)
    return [to_record(known, held) for known, held in zip(labelled.sources, images, strict=True) if held]


def test_figures(pairs: Pairs, iou: float, threshold: float) -> dict[str, Any]:
    """Figures of test pictures, at a threshold chosen elsewhere, with 95 % intervals by drawing whole pictures anew.

    A picture is a block of ground. No intervals where a single picture tells nothing of others.
    """
    redrawn = Redrawn(pairs, iou, threshold)
    values = {name: round(value, 4) for name, value in redrawn.figures().items()}
    result: dict[str, Any] = {"images": len(pairs), "objects": sum(redrawn.counts()[::2]), "iou": iou, **values}
    bounds = intervals([figures for (figures,) in draw([redrawn], len(pairs))])
    return {**result, "intervals": bounds} if bounds else result


test_figures.__test__ = False  # no test of pytest's


def areas(pictures: list[Picture]) -> list[list[float]]:
    """West, south, east and north (degrees, WGS 84, to 0.001) of the ground that was learnt from, by image file."""
    found: dict[str, list[float]] = {}
    for picture in pictures:
        if picture.crs is None:
            continue
        height, width = picture.values.shape[1:]
        extent = picture.to_map(np.array([[0.0, 0.0, width, height]]))[0]
        try:
            box = Transformer.from_crs(picture.crs, "EPSG:4326", always_xy=True).transform_bounds(*extent)
        except ProjError:  # a local system: nothing says where on Earth it lies
            continue
        if np.isfinite(box).all():
            old = found.get(picture.path, [180.0, 90.0, -180.0, -90.0])
            found[picture.path] = [*np.minimum(old[:2], box[:2]).tolist(), *np.maximum(old[2:], box[2:]).tolist()]
    return [[round(value, 3) for value in box] for box in list(found.values())[:MOST_AREAS]]
