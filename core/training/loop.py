"""The training loop, from top to bottom: crops, losses, weights, their average, a look at the validation images."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..detections.detections import Detections
from ..job.card import ModelCard
from ..job.errors import Cancelled, ModelError
from ..job.events import Report, progress
from ..retinanet.anchors import grid_anchors
from ..retinanet.device import Backend
from ..retinanet.losses import Truth, detection_losses
from ..retinanet.network import RetinaNetwork, flatten
from .optimisation import averaged, freeze_batch_norms, learning_rate_factor, make_optimiser
from .samples import Sampler

MOST_GRADIENT = 5.0  # norm to which gradients are clipped
FROZEN_SHARE = 0.2  # of the epochs, at the end, in which batch norms keep their statistics

Validate = Callable[[RetinaNetwork], dict[str, float]]


@dataclass(frozen=True)
class Recipe:
    """How to train. Epochs, steps an epoch, tiles a batch; learning rate at its highest."""

    epochs: int
    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    focal_alpha: float
    focal_gamma: float
    box_loss: str
    ema_decay: float
    choose_on: str


@dataclass
class Fitted:
    """What training gives: the weights of the best epoch, its number and figures, and the figures of every epoch."""

    state: dict[str, Tensor]
    best: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)


def fit(
    card: ModelCard,
    network: RetinaNetwork,
    sampler: Sampler,
    recipe: Recipe,
    backend: Backend,
    validate: Validate,
    report: Report,
    cancelled: Callable[[], bool],
) -> Fitted:
    """Train `network` in place; after each epoch `validate` looks at the averaged weights, and the best are kept.

    `validate` gives figures by name, among them `recipe.choose_on`. Raises Cancelled, and ModelError on divergence.
    """
    network = network.to(backend.device, memory_format=torch.channels_last)
    average = averaged(network, recipe.ema_decay)
    optimiser = make_optimiser(network, recipe.learning_rate, recipe.weight_decay)
    steps = recipe.epochs * recipe.steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, steps))
    step_losses = _StepLosses(card, recipe, backend)
    fitted, started = Fitted({}, {}), time.monotonic()
    for epoch in range(recipe.epochs):
        network.train()
        if epoch >= recipe.epochs * (1 - FROZEN_SHARE):
            freeze_batch_norms(network)
        sums = torch.zeros(2, device=backend.device)
        for step, batch in enumerate(sampler.batches(epoch, recipe.steps, recipe.batch_size)):
            if cancelled():
                raise Cancelled()
            focal, box = step_losses(network, batch.images, batch.truths)
            optimiser.zero_grad(set_to_none=True)
            (focal + box).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), MOST_GRADIENT)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            sums += torch.stack([focal.detach(), box.detach()])
            done = (epoch * recipe.steps + step + 1) / steps
            left = (time.monotonic() - started) * (1 / done - 1)
            report(progress(done, f"Epoch {epoch + 1} of {recipe.epochs}", left))
        if not torch.isfinite(sums).all():
            raise ModelError("The training diverged: the loss is no number any more. Try a lower learning rate.")
        focal_mean, box_mean = (sums / recipe.steps).tolist()
        figures = {"epoch": epoch + 1, "focal_loss": focal_mean, "box_loss": box_mean, **validate(average.module)}
        fitted.history.append(figures)
        report({"event": "epoch", **figures})
        if not fitted.best or figures[recipe.choose_on] >= fitted.best[recipe.choose_on]:
            fitted.best = figures
            fitted.state = {name: value.detach().clone() for name, value in average.module.state_dict().items()}
    return fitted


class _StepLosses:
    """Losses of one batch; autocast ends at the heads' outputs."""

    def __init__(self, card: ModelCard, recipe: Recipe, backend: Backend) -> None:
        self.card, self.recipe, self.backend = card, recipe, backend
        mean, std = ([getattr(band, key) for band in card.bands] for key in ("mean", "std"))
        self.mean = torch.tensor(mean, device=backend.device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, device=backend.device).reshape(1, -1, 1, 1)

    def __call__(self, network: RetinaNetwork, images: Tensor, truths: list[Detections]) -> tuple[Tensor, Tensor]:
        device, architecture = self.backend.device, self.card.architecture
        values = ((images.to(device).float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        low = self.backend.dtype == torch.bfloat16  # gradients of half precision would need their losses scaled
        with torch.autocast(device.type, self.backend.dtype) if low else nullcontext():
            logits, deltas = network(values)
        maps = [(level.shape[2], level.shape[3]) for level in logits]
        anchors = grid_anchors(architecture, maps, (images.shape[2], images.shape[3]), device)
        return detection_losses(
            flatten(logits, len(self.card.classes)),
            flatten(deltas, 4),
            anchors,
            [_truth(truth, device) for truth in truths],
            architecture.box_weights,
            self.recipe.focal_alpha,
            self.recipe.focal_gamma,
            self.recipe.box_loss,
        )


def _truth(truth: Detections, device: torch.device) -> Truth:
    ignore = torch.zeros(len(truth), dtype=torch.bool) if truth.ignore is None else torch.from_numpy(truth.ignore)
    boxes = torch.from_numpy(truth.boxes).float()
    return Truth(boxes.to(device), torch.from_numpy(truth.labels).to(device), ignore.to(device))
