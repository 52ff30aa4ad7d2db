"""Start a network from another model's weights: by the name of level, band and class, never by their place."""

import re

import torch
from torch import Tensor

from ..job.card import ModelCard
from .network import RetinaNetwork

PYRAMID = re.compile(r"backbone\.fpn\.(inner|layer)_blocks\.(\d+)\.(.*)")


def transfer_weights(
    source: RetinaNetwork, source_card: ModelCard, target: RetinaNetwork, target_card: ModelCard
) -> float:
    """Copy into `target`, in place, the weights of `source` that mean the same in both; the others stay.

    The pyramid's convolutions are known by their level, the first convolution's kernels by the role of their band, the
    classifier's by the name of their class. Norms of another kind, extra levels of another source, and outputs for
    another number of anchors are left out. Returns the share of the target's weights that were copied.
    """
    theirs, ours = _by_meaning(source, source_card), _by_meaning(target, target_card)
    copied = 0
    with torch.no_grad():
        for name, value in ours.items():
            if name in theirs and theirs[name].shape == value.shape:
                value.copy_(theirs[name])
                copied += value.numel()
    return copied / sum(value.numel() for value in ours.values())


def _by_meaning(network: RetinaNetwork, card: ModelCard) -> dict[str, Tensor]:
    """Views of a network's weights under names that say what they are for."""
    shape, found = card.architecture, {}
    for name, value in network.state_dict().items():
        pyramid = PYRAMID.fullmatch(name)
        if pyramid:
            level = int(shape.levels[0][1:]) + int(pyramid[2])
            found[f"{pyramid[1]} P{level} {pyramid[3]}"] = value
        elif "extra_blocks" in name:
            found[f"{shape.extra_levels} {name}"] = value
        elif name == "backbone.body.conv1.weight":
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
