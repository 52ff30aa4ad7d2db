"""Start a network from another model's weights: by the name of level, band and class, never by their place."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ..job.card import ModelCard
from .network import RetinaNetwork

FIRST_CONVOLUTION = "backbone.body.conv1.weight"
PYRAMID = re.compile(r"backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.(.*)")


def transfer_weights(
    source: Mapping[str, Tensor], source_card: ModelCard, target: RetinaNetwork, target_card: ModelCard
) -> float:
    """Copy into `target`, in place, the weights by name of `source` that mean the same in both; the others stay.

    The pyramid's convolutions are known by their level, the first convolution's kernels by the role of their band, the
    classifier's by the name of their class. Norms of another kind, extra levels of another source, and outputs for
    another number of anchors are left out. A band the source does not know gets the mean of the source's kernels.
    Returns the share of the target's weights that were copied.
    """
    theirs, ours = _by_meaning(source, source_card), _by_meaning(target.state_dict(), target_card)
    copied = 0
    with torch.no_grad():
        for name, value in ours.items():
            if name in theirs and theirs[name].shape == value.shape:
                value.copy_(theirs[name])
                copied += value.numel()
        _adapt_first_convolution(theirs, ours)
    return copied / sum(value.numel() for value in ours.values())


def _adapt_first_convolution(theirs: dict[str, Tensor], ours: dict[str, Tensor]) -> None:
    """Give new bands the mean of the known kernels; where all bands are new, so that together they weigh as much."""
    known = [value for name, value in theirs.items() if name.startswith(FIRST_CONVOLUTION)]
    kernels = [name for name in ours if name.startswith(FIRST_CONVOLUTION)]
    new = [name for name in kernels if name not in theirs]
    if known and known[0].shape == ours[kernels[0]].shape:
        weight = len(known) / len(new) if len(new) == len(kernels) else 1.0
        for name in new:
            ours[name].copy_(torch.stack(known).mean(dim=0) * weight)


def _by_meaning(weights: Mapping[str, Tensor], card: ModelCard) -> dict[str, Tensor]:
    """Views of a network's weights under names that say what they are for."""
    shape, found = card.architecture, {}
    for name, value in weights.items():
        pyramid = PYRAMID.fullmatch(name)
        if pyramid:
            level = int(shape.levels[0][1:]) + int(pyramid[2])
            found[f"{pyramid[1]} P{level} {pyramid[3]}"] = value
        elif "extra_blocks" in name:
            found[f"{shape.extra_levels} {name}"] = value
        elif name == FIRST_CONVOLUTION:
            roles = [band.role for band in card.bands]
            for i, role in enumerate(roles):
                found[f"{name} {role} {roles[:i].count(role)}"] = value[:, i]
        elif "cls_logits" in name:
            by_class = value.unflatten(0, (shape.anchors_per_cell, len(card.classes)))
            for label, known in enumerate(card.classes):
                found[f"{name} {known.name.strip().casefold()}"] = by_class[:, label]
        elif name.startswith("backbone.body") and value.ndim < 2:
            found[f"{shape.backbone_norm} {name}"] = value
        else:
            found[name] = value
    return found
