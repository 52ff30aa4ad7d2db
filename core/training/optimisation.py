"""How the weights move: learning rate over time, weight averaging, and what is decayed."""

import math

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

WARM_UP_STEPS = 100
LAST_SHARE = 0.01  # of the learning rate, at the end of the cosine


def make_optimiser(network: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) that decays convolution weights, and neither biases nor norms."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate)


def learning_rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    warm_up = min(WARM_UP_STEPS, max(1, steps // 5))
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * done)) / 2


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
