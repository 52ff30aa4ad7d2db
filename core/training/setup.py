"""Everything that a training needs, put together: the network with its start, the samples, the recipe and the judge."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..job.card import ModelCard
from ..job.codec import encode
from ..job.events import Report, notice
from ..job.train_job import TrainJob
from ..retinanet.device import Backend
from ..retinanet.network import RetinaNetwork, build_network
from .checkpoint import Checkpoints
from .design import FEW_TILES, design
from .preparation import Prepared
from .recipe import Recipe
from .samples import Sampler
from .start import open_start
from .step import LossSettings
from .validation import Judge

LEAST_STEPS = 10  # an epoch
# What may differ where an interrupted training is taken up: words, and what does not change the weights.
FREE = (
    *("output", "name", "title", "description", "credits", "license", "tell_sources"),
    *("overwrite", "resume", "checkpoint_minutes", "device", "language"),
)


@dataclass(frozen=True)
class Setup:
    """A training that is ready to begin. `anchors`: how they fit, as the `anchors` event tells it."""

    card: ModelCard
    network: RetinaNetwork
    sampler: Sampler
    recipe: Recipe
    judge: Judge
    backend: Backend
    anchors: dict[str, Any]


def set_up(job: TrainJob, prepared: Prepared, backend: Backend, report: Report) -> Setup:
    """Build the network and all around it; a learning rate that is to be found is still 0 in the recipe.

    Raises InvalidJob and ModelError.
    """
    start = open_start(job.start_from, job.backbone, report)
    card, anchors = design(job, prepared, start, report)
    torch.manual_seed(job.seed)
    network = build_network(card.architecture, len(card.classes), len(card.bands))
    if start is not None:
        share = start.apply(network, card)
        what = "model" if start.ours else "file"
        report(notice(f"{share:.0%} of the weights start from the {what} '{start.name}'."))
    stride = card.architecture.coarsest_stride
    tile_px = -(-job.tile_px // stride) * stride
    pictures = prepared.pictures["train"]
    samples = max(prepared.counts["train"], len(pictures))
    recipe = Recipe(
        epochs=job.epochs,
        steps=job.steps_per_epoch or max(LEAST_STEPS, -(-samples // job.batch_size)),
        batch_size=job.batch_size,
        learning_rate=job.learning_rate or 0.0,
        optimiser=job.optimiser,
        weight_decay=job.weight_decay,
        schedule=job.schedule_in_use,
        patience=job.patience,
        freeze_backbone=job.freeze_backbone,
        freeze_norms=start is not None and job.batch_size < FEW_TILES,
        clip_gradient=job.clip_gradient,
        ema_decay=job.ema_decay,
        choose_on="ap30" if prepared.iou < 0.5 else "ap50",
        losses=LossSettings(job.focal_alpha, job.focal_gamma, job.box_loss),
    )
    sampler = Sampler(pictures, tile_px, prepared.fill, job.augmentation, job.seed)
    judge = Judge(card, backend, prepared.choosing, prepared.iou, prepared.fill, report)
    return Setup(card, network, sampler, recipe, judge, backend, anchors)


def with_rate(setup: Setup, learning_rate: float) -> Setup:
    """The same training at another learning rate."""
    return replace(setup, recipe=replace(setup.recipe, learning_rate=learning_rate))


def checkpoints_of(job: TrainJob, team_size: int = 1) -> Checkpoints:
    """Where a job's training is kept until it has ended."""
    about = {name: value for name, value in encode(job).items() if name not in FREE}
    return Checkpoints(Path(job.partial), Path(job.output), {**about, "processes": team_size})
