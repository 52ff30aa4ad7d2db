"""Find the shape of a foreign RetinaNet in the names and sizes of its weights, and give these our names."""

import re

import torch
from torch import Tensor

from ..job.card import Architecture
from ..job.errors import ModelError
from .network import build_network
from .weights import misfit

BLOCKS = {  # of the four stages of each ResNet (He et al. 2015, table 1)
    (1, (2, 2, 2, 2)): "resnet18",
    (1, (3, 4, 6, 3)): "resnet34",
    (4, (3, 4, 6, 3)): "resnet50",
    (4, (3, 4, 23, 3)): "resnet101",
    (4, (3, 8, 36, 3)): "resnet152",
}
FIRST_WIDTH = 64  # channels of the first stage, times the expansion: 1 for basic blocks, 4 for bottlenecks
ANCHORS_PER_CELL = 9
ANCHOR_SIZES = (32.0, 64.0, 128.0, 256.0, 512.0)  # of torchvision's RetinaNet whatever its levels
INNER = "backbone.fpn.inner_blocks.{}.0.weight"
EXTRA = "backbone.fpn.extra_blocks.{}.weight"
LOGITS = "head.classification_head.cls_logits"
TOWER = "head.classification_head.conv.{}.0.weight"
PYRAMID = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks)\.(\d+)(\..*)")


def recognise(weights: dict[str, Tensor], batch_norm_eps: float) -> Architecture:
    """Tell the architecture of weights named as torchvision does; raises ModelError where it is another network.

    Backbone, levels, channels, head and the source of P6 are found by shape. A pyramid without weights of extra levels
    ends in a pooled one, as `resnet_fpn_backbone` adds it. Anchors and strides have no weights: they are torchvision's.
    """
    expansion = 4 if "backbone.body.layer1.0.conv3.weight" in weights else 1
    levels = [f"P{level}" for level in sorted(_pyramid_levels(weights, expansion).values())]
    stages = int(levels[-1][1:]) - 1 if levels else 0
    last = _require(weights, f"backbone.fpn.layer_blocks.{len(levels) - 1}.0.weight")
    extra, source = [level for level in ("P6", "P7") if EXTRA.format(level.lower()) in weights], "pool"
    if extra:
        width = weights[EXTRA.format(extra[0].lower())].shape[1]
        source = "p" if width == last.shape[0] else "c"
    elif levels:
        extra = [f"P{int(levels[-1][1:]) + 1}"]
    architecture = Architecture(
        backbone=_backbone(weights, expansion, stages),
        backbone_stages=stages,
        backbone_norm_eps=batch_norm_eps,
        levels=(*levels, *extra),
        extra_levels=source,
        channels=last.shape[0],
        head_channels=_require(weights, f"{LOGITS}.weight").shape[1],
        head_depth=next(depth for depth in range(100) if TOWER.format(depth) not in weights),
        head_norm="group" if "head.classification_head.conv.0.1.weight" in weights else "none",
        anchor_sizes=ANCHOR_SIZES,
        integer_anchors=True,
        strides="torchvision",
    )
    outputs = _require(weights, "head.regression_head.bbox_reg.bias").shape[0]
    if outputs != 4 * ANCHORS_PER_CELL or len(architecture.levels) != len(ANCHOR_SIZES):
        raise ModelError(
            f"The network has {len(architecture.levels)} pyramid levels and {outputs // 4} anchors a cell. Only "
            f"torchvision's own {len(ANCHOR_SIZES)} levels with {ANCHORS_PER_CELL} anchors can be brought in: the "
            "sizes of other anchors are not in the file."
        )
    if problems := architecture.problems():
        raise ModelError(f"The network has another shape than Tilehawk's. {problems[0]}")
    return architecture


def count_classes(weights: dict[str, Tensor]) -> int:
    """Count the labels that the classifier scores."""
    return _require(weights, f"{LOGITS}.bias").shape[0] // ANCHORS_PER_CELL


def has_frozen_norms(weights: dict[str, Tensor]) -> bool:
    """Tell torchvision's FrozenBatchNorm2d from BatchNorm2d: it does not count the batches it has seen."""
    return "backbone.body.bn1.num_batches_tracked" not in weights


def adopt(weights: dict[str, Tensor], architecture: Architecture, labels: list[int]) -> dict[str, Tensor]:
    """Weights for `build_network(architecture, len(labels), 3)`: the outputs of `labels`, in this order.

    Pyramid weights go to their level by its name. Raises ModelError where anything is missing, left over or of another
    shape.
    """
    expansion = 4 if "backbone.body.layer1.0.conv3.weight" in weights else 1
    first, level_of = int(architecture.levels[0][1:]), _pyramid_levels(weights, expansion)
    classes, found = count_classes(weights), {}
    for name, value in weights.items():
        if pyramid := PYRAMID.fullmatch(name):
            found[f"{pyramid[1]}.{level_of[int(pyramid[2])] - first}{pyramid[3]}"] = value
        elif name.startswith(LOGITS):
            by_class = value.unflatten(0, (ANCHORS_PER_CELL, classes))
            found[name] = by_class[:, labels].flatten(0, 1).contiguous()
        else:
            found[name] = value
    with torch.device("meta"):
        network = build_network(architecture, len(labels))
    problem = misfit(network.state_dict(), found)
    if problem:
        raise ModelError(f"The weights are not those of a RetinaNet on {architecture.backbone}: {problem}.")
    return found


def _pyramid_levels(weights: dict[str, Tensor], expansion: int) -> dict[int, int]:
    """Level of each of the pyramid's blocks, by the width of the backbone's stage it takes."""
    level_of_width = {FIRST_WIDTH * expansion * 2 ** (level - 2): level for level in range(2, 6)}
    found: dict[int, int] = {}
    while (name := INNER.format(len(found))) in weights:
        width = weights[name].shape[1]
        if width not in level_of_width:
            raise ModelError(f"'{name}' takes {width} channels, which no stage of a ResNet has.")
        found[len(found)] = level_of_width[width]
    return found


def _backbone(weights: dict[str, Tensor], expansion: int, stages: int) -> str:
    blocks = tuple(
        next(i for i in range(100) if f"backbone.body.layer{stage}.{i}.conv1.weight" not in weights)
        for stage in range(1, stages + 1)
    )
    for (known, counts), name in BLOCKS.items():
        if known == expansion and counts[:stages] == blocks:
            return name
    raise ModelError(f"The backbone is no ResNet of torchvision's: its stages have {blocks} blocks.")


def _require(weights: dict[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ModelError(f"This is no RetinaNet of torchvision's: '{name}' is missing.")
    return weights[name]
