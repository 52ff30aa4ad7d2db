"""How the weights move: optimisers, learning rate over time, weight averaging, and what is decayed and frozen."""

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

WARM_UP_STEPS = 100
LAST_SHARE = 0.01  # of the learning rate, at the end of the cosine
RISING_SHARE = 0.3  # of a cycle, in which the rate rises (Smith 2018, "A disciplined approach", as fastai)
FIRST_OF_CYCLE = 1 / 25  # of the learning rate
MOMENTUM = 0.9
WEIGHT_DECAY = {"adamw": 0.05, "sgd": 1e-4}  # AdamW's is decoupled from the gradient, SGD's added to it


def make_optimiser(
    network: nn.Module, learning_rate: float, weight_decay: float | None = None, kind: str = "adamw"
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) or SGD with Nesterov's momentum ("sgd") that decays convolution weights, and
    neither biases nor norms; `weight_decay` None: 0.05 and 0.0001."""
    decay = WEIGHT_DECAY[kind] if weight_decay is None else weight_decay
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=MOMENTUM, nesterov=True)
    return torch.optim.AdamW(groups, lr=learning_rate)


def learning_rate_factor(step: int, steps: int, schedule: str = "cosine", falls_from: int | None = None) -> float:
    """Share of the highest learning rate at a step of `steps`.

    "cosine": linear warm-up, then a cosine down to a hundredth. "one_cycle": up and down by cosines over all steps.
    "steady": linear warm-up, then constant, and from the step `falls_from` on a cosine down to a hundredth.
    """
    if schedule == "one_cycle":
        top = RISING_SHARE * steps
        if step < top:
            return FIRST_OF_CYCLE + (1 - FIRST_OF_CYCLE) * (1 - _cosine(step / top))
        return LAST_SHARE + (1 - LAST_SHARE) * _cosine((step - top) / max(1, steps - top))
    warm_up = min(WARM_UP_STEPS, max(1, steps // 5))
    if step < warm_up:
        return (step + 1) / warm_up
    first = warm_up if schedule == "cosine" else steps if falls_from is None else falls_from
    return LAST_SHARE + (1 - LAST_SHARE) * _cosine((step - first) / max(1, steps - first))


def _cosine(done: float) -> float:
    """From 1 to 0 while `done` goes from 0 to 1."""
    return (1 + math.cos(math.pi * min(max(done, 0.0), 1.0))) / 2


def set_learning_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Let all weights move at a rate from now on."""
    for group in optimiser.param_groups:
        group["lr"] = learning_rate


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """The exponential moving average of weights and of batch norms' statistics; it forgets faster in the first steps,
    so that the start's random weights do not linger."""

    def average(old: list[Tensor], new: list[Tensor], steps: Tensor) -> None:
        done = int(steps)
        now = min(decay, (1 + done) / (10 + done))
        for kept, coming in zip(old, new, strict=True):
            if kept.is_floating_point():
                kept.lerp_(coming, 1 - now)
            else:
                kept.copy_(coming)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)


def freeze_batch_norms(network: nn.Module) -> None:
    """Keep the batch norms' statistics as they are from now on, until the network's mode is set again."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def freeze(part: nn.Module, frozen: bool) -> None:
    """Let a part of the network keep its weights and statistics from now on, or learn again."""
    for parameter in part.parameters():
        parameter.requires_grad_(not frozen)
    if frozen:
        freeze_batch_norms(part)
