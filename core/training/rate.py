"""The learning rate, found by trial: it rises step by step until the loss does too (Smith 2017, section 3.3)."""

import copy
import math
from collections.abc import Callable

import numpy as np
import torch

from ..job.errors import Cancelled
from ..job.events import Report, notice, progress
from .optimisation import freeze, make_optimiser, set_learning_rate
from .setup import Setup
from .step import StepLosses

STEPS = 80
LOWEST = 1e-6
HIGHEST = {"adamw": 0.1, "sgd": 1.0}
EPOCH = 2**31  # of the samples that are drawn for it, and for nothing else
SMOOTHING = 0.9  # of the losses
BEYOND = 3.0  # times the least loss, at which the trial ends
SHARE = {"adamw": 0.4, "sgd": 0.25}  # of the rate at which the loss is least; it diverged at five times that rate


def find_learning_rate(
    setup: Setup, report: Report, cancelled: Callable[[], bool], steps: int = STEPS
) -> tuple[float, list[dict[str, float]]]:
    """Find the highest learning rate for a training; gives it and the curve: rates and smoothed losses.

    The network is tried on a copy and stays as it is. The same setup gives the same rate. Raises Cancelled.
    """
    recipe = setup.recipe
    network = copy.deepcopy(setup.network).to(setup.backend.device, memory_format=torch.channels_last).train()
    freeze(network.backbone.body, recipe.freeze_backbone > 0)
    optimiser = make_optimiser(network, LOWEST, recipe.weight_decay, recipe.optimiser)
    losses = StepLosses(setup.card, recipe.losses, setup.backend)
    rates = np.geomspace(LOWEST, HIGHEST[recipe.optimiser], steps)
    curve: list[dict[str, float]] = []
    mean = 0.0
    for step, batch in enumerate(setup.sampler.batches(EPOCH, steps, recipe.batch_size)):
        if cancelled():
            raise Cancelled
        set_learning_rate(optimiser, float(rates[step]))
        loss = sum(losses(network, batch))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_gradient)
        optimiser.step()
        mean = SMOOTHING * mean + (1 - SMOOTHING) * float(loss.detach())
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(smooth):
            break
        curve.append({"learning_rate": float(rates[step]), "loss": smooth})
        report(progress((step + 1) / steps, "Looking for the learning rate"))
        if smooth > BEYOND * min(point["loss"] for point in curve):
            break
    found = suggestion(curve, recipe.optimiser)
    report({"event": "learning_rate", "learning_rate": found, "curve": curve})
    report(notice(f"The learning rate found by trial is {found:.2g}."))
    return found, curve


def suggestion(curve: list[dict[str, float]], optimiser: str = "adamw") -> float:
    """The rate to train with: a share of the one at which the loss of a trial is least, to two digits."""
    if not curve:
        return LOWEST
    least = min(curve, key=lambda point: point["loss"])
    return float(f"{least['learning_rate'] * SHARE[optimiser]:.2g}")
