"""The verb `train`: from folders of labelled images to one model file."""

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .job.card import Architecture, Band, ModelCard, ObjectClass, read_card
from .job.codec import encode
from .job.errors import InvalidJob, LabelError
from .job.events import Report, notice
from .job.jobs import TrainJob
from .retinanet.cost import operations
from .retinanet.detector import Detector
from .retinanet.device import choose_backend
from .retinanet.network import RetinaNetwork, build_network
from .retinanet.transfer import transfer_weights
from .retinanet.weights import load_model, save_model
from .training.anchor_fit import RATIOS, AnchorFit, coverage, fit_anchors, summary, told
from .training.blocks import small_samples
from .training.formats.checking import check, class_names
from .training.formats.reading import read_records
from .training.formats.repairs import Repairs
from .training.labels import LabelledImage
from .training.loop import Recipe, fit
from .training.pictures import load_pictures, native_resolution, with_statistics
from .training.report import write_report
from .training.samples import Sampler
from .training.validation import decisive_iou, figures, look_at, median_side, object_sizes

# what a card does not repeat: paths of one computer
LOCAL = ("data", "rasters", "labels", "area", "output", "start_from", "credits", "resume")
FEW = 0.7  # share of the objects that anchors reach, below which training is expected to suffer
PALETTE = ("#00e5ff", "#ff3d9a", "#ffd400", "#7cff4f", "#ff7a1a", "#b388ff", "#ff5252", "#f4f4f4")


def train(job: TrainJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Train a model and write it; gives the values of the result event."""
    job.validate()
    started = time.monotonic()
    images, classes = _read_labels(job, report)
    resolution = job.resolution_m or native_resolution(images)
    bands = tuple(Band(role) for role in job.band_roles)
    pictures = {
        split: load_pictures([i for i in images if i.split == split], bands, job.bands, resolution, len(classes))
        for split in ("train", "val")
    }
    counts = {split: len(object_sizes(found)) for split, found in pictures.items()}
    if not counts["train"]:
        raise LabelError("There is no object to train on: the split 'train' is empty.")
    aside = counts["val"] > 0
    if not aside:
        report(
            notice(
                "No images with objects are set aside to choose the best epoch: figures are those of the training "
                "images and flatter the model.",
                "warning",
            )
        )
    chosen = pictures["val"] if aside else pictures["train"]
    iou = decisive_iou(median_side(pictures["train"]))
    shape, anchors = _architecture(job, object_sizes([*pictures["train"], *pictures["val"]]), report)
    card = _card(job, classes, with_statistics(bands, pictures["train"]), resolution, shape)
    torch.manual_seed(job.seed)
    network = _start(job, card, report)
    backend = choose_backend(job.device)
    fill = np.array([round(band.mean) for band in card.bands], np.uint8)
    objects = counts["train"]
    recipe = Recipe(
        epochs=job.epochs,
        steps=job.steps_per_epoch or max(10, -(-max(objects, len(pictures["train"])) // job.batch_size)),
        batch_size=job.batch_size,
        learning_rate=job.learning_rate,
        weight_decay=job.weight_decay,
        focal_alpha=job.focal_alpha,
        focal_gamma=job.focal_gamma,
        box_loss=job.box_loss,
        ema_decay=job.ema_decay,
        choose_on="ap30" if iou < 0.5 else "ap50",
    )

    def validate(network: RetinaNetwork) -> dict[str, float]:
        detector = Detector(card, network, backend)
        return figures([(look_at(detector, picture, fill), picture.truth) for picture in chosen], iou)

    report(
        notice(
            f"Training on {objects} objects in {len(pictures['train'])} images, choosing on {len(chosen)} images, "
            f"on {backend.name} ({backend.key})."
        )
    )
    for sentence in small_samples(counts):
        report(notice(sentence, "warning"))
    stride = card.architecture.coarsest_stride
    tile_px = -(-job.tile_px // stride) * stride
    sampler = Sampler(pictures["train"], tile_px, fill, job.augmentation, job.seed)
    fitted = fit(card, network, sampler, recipe, backend, validate, report, cancelled)
    metrics = {"split": "val" if aside else "train", "iou": iou, "images": len(chosen), **fitted.best}
    training = {
        "objects": counts,
        "images": {split: len(found) for split, found in pictures.items()},
        "seconds": round(time.monotonic() - started),
        "anchors": anchors,
        "steps": recipe.epochs * recipe.steps,
        "backend": backend.key,
        "recipe": {name: value for name, value in encode(job).items() if name not in LOCAL},
    }
    card = replace(card, threshold=round(fitted.best["threshold"], 3), metrics=metrics, training=training)
    save_model(job.output, card, fitted.state)
    network.load_state_dict(fitted.state)
    detector = Detector(card, network, backend)
    found = [(picture, look_at(detector, picture, fill)) for picture in chosen]
    page = write_report(job.output, card, fitted.history, found, metrics["split"])
    return {
        "output": job.output,
        "report": page,
        "metrics": metrics,
        "history": fitted.history,
        "seconds": training["seconds"],
    }


def _read_labels(job: TrainJob, report: Report) -> tuple[list[LabelledImage], tuple[str, ...]]:
    repairs = Repairs()
    parts = [read_records(Path(folder), repairs) for folder in job.data]
    classes = job.classes or tuple(sorted({name for part in parts for name in class_names(part)}))
    images = [image for part in parts for image in check(part, classes, repairs)[0]]
    for sentence in repairs.sentences():
        report(notice(sentence, "warning"))
    return images, classes


def _architecture(job: TrainJob, sizes: np.ndarray, report: Report) -> tuple[Architecture, dict[str, Any]]:
    """The network's shape, with anchors as given, as the start's, or fitted to the objects; and how they fit."""
    start = read_card(job.start_from).architecture if job.start_from else Architecture()
    default = Architecture(
        backbone=job.backbone,
        backbone_stages=job.backbone_stages,
        backbone_norm_eps=start.backbone_norm_eps or Architecture().backbone_norm_eps,  # torch trains none with 0
        extra_levels="pool" if job.backbone_stages < 4 else "p",
        channels=job.channels,
        head_channels=job.head_channels,
        head_depth=job.head_depth,
        head_norm=job.head_norm,
        anchor_scales=job.anchor_scales,
        anchor_ratios=job.anchor_ratios or start.anchor_ratios,
        integer_anchors=False,
    )
    levels, base_sizes = job.levels, job.anchor_sizes
    if job.start_from and levels is None:
        levels, base_sizes = start.levels, start.anchor_sizes
    if levels is not None and base_sizes is not None:
        shape = replace(default, levels=levels, anchor_sizes=base_sizes)
        _check(shape.problems())
        fit = AnchorFit(shape, coverage(sizes, shape), operations(shape) / operations(default))
    else:
        if levels is not None:
            _check(replace(default, levels=levels, anchor_sizes=(1.0,) * len(levels)).problems())
        fit = fit_anchors(sizes, default, levels, () if job.anchor_ratios else RATIOS)
    values = summary(sizes, fit, default)
    report({"event": "anchors", **values})
    report(notice(told(values)))
    if fit.coverage.reached < FEW:
        text = (
            f"Anchors reach only {fit.coverage.reached:.0%} of the objects: many of the others will be missed. A finer "
            "resolution, or levels from P2 on, would help."
        )
        report(notice(text, "warning"))
    return fit.architecture, values


def _check(problems: list[str]) -> None:
    if problems:
        raise InvalidJob(f"This model cannot be made. {problems[0]}")


def _card(
    job: TrainJob, classes: tuple[str, ...], bands: tuple[Band, ...], resolution: float | None, shape: Architecture
) -> ModelCard:
    name = job.name or Path(job.output).stem
    card = ModelCard(
        name=name,
        title=job.title or name,
        description=job.description,
        classes=tuple(ObjectClass(c, PALETTE[i % len(PALETTE)]) for i, c in enumerate(classes)),
        bands=bands,
        resolution_m=resolution,
        architecture=shape,
        credits=job.credits,
        license=job.license,
        versions={"python": platform.python_version(), "torch": torch.__version__},
    )
    _check(card.problems())
    return card


def _start(job: TrainJob, card: ModelCard, report: Report) -> RetinaNetwork:
    network = build_network(card.architecture, len(card.classes), len(card.bands))
    if job.start_from:
        other_card, other = load_model(job.start_from)
        share = transfer_weights(other, other_card, network, card)
        report(notice(f"{share:.0%} of the weights start from the model '{other_card.name}'."))
    return network
