"""The network of a model card: ResNet, feature pyramid, classification and box subnets, with torchvision's own keys.

State dicts of torchvision's RetinaNets and of DeepForest load unchanged. The forward pass means one thing in training
and in detection: raw logits and deltas.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from ..job.card import Architecture

GROUPS = 32  # of group norm (Wu & He 2018), as torchvision's retinanet_resnet50_fpn_v2, where channels divide by it
PRIOR = 0.01  # score of every anchor at the start (Lin et al. 2017, section 4.1)


class ExtraLevels(ExtraFPNBlock):
    """Pyramid levels beyond the backbone's last stage (Lin et al. 2017, section 4, footnote 2).

    `source`: "p" convolves the last pyramid map, "c" the last backbone map, "pool" takes every second cell.
    """

    def __init__(self, levels: tuple[str, ...], source: str, backbone_channels: int, channels: int) -> None:
        super().__init__()
        self.levels = tuple(level.lower() for level in levels)
        self.source = source
        if source != "pool":
            first = channels if source == "p" else backbone_channels
            for level in self.levels:
                convolution = nn.Conv2d(first, channels, 3, stride=2, padding=1)
                nn.init.kaiming_uniform_(convolution.weight, a=1)
                nn.init.zeros_(convolution.bias)
                self.add_module(level, convolution)
                first = channels

    def forward(self, results: list[Tensor], x: list[Tensor], names: list[str]) -> tuple[list[Tensor], list[str]]:
        """Append the extra maps to `results` and their names to `names`."""
        last = x[-1] if self.source == "c" else results[-1]
        for i, level in enumerate(self.levels):
            if self.source == "pool":
                last = nn.functional.max_pool2d(last, 1, stride=2)
            else:
                last = self.get_submodule(level)(last if i == 0 else nn.functional.relu(last))
            results.append(last)
            names.append(level)
        return results, names


class Backbone(nn.Module):
    """ResNet stages and the feature pyramid above them (Lin et al. 2017, "Feature Pyramid Networks")."""

    def __init__(self, architecture: Architecture, in_channels: int) -> None:
        super().__init__()
        norm = {
            "batch": lambda channels: nn.BatchNorm2d(channels, eps=architecture.backbone_norm_eps),
            "group": _group_norm,
        }[architecture.backbone_norm]
        body = getattr(resnet, architecture.backbone)(weights=None, norm_layer=norm)
        if in_channels != 3:
            body.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
            nn.init.kaiming_normal_(body.conv1.weight, mode="fan_out", nonlinearity="relu")
        first, last_stage = int(architecture.levels[0][1:]) - 1, architecture.backbone_stages
        stages = range(first, last_stage + 1)
        widths = [64 * 2 ** (stage - 1) * type(body.layer1[0]).expansion for stage in stages]
        self.body = IntermediateLayerGetter(body, {f"layer{stage}": str(i) for i, stage in enumerate(stages)})
        extra = tuple(level for level in architecture.levels if int(level[1:]) > last_stage + 1)
        block = ExtraLevels(extra, architecture.extra_levels, widths[-1], architecture.channels) if extra else None
        self.fpn = FeaturePyramidNetwork(widths, architecture.channels, block)
        self.levels = len(architecture.levels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, C, H, W) to one map (N, channels, h, w) a pyramid level, finest first."""
        return list(self.fpn(self.body(images)).values())[: self.levels]


class Subnet(nn.Module):
    """A head's tower of convolutions and its output convolution, shared by all levels (Lin et al. 2017, section 4)."""

    def __init__(self, architecture: Architecture, output: str, out_channels: int, bias: float) -> None:
        super().__init__()
        norm = _group_norm if architecture.head_norm == "group" else None
        widths = [architecture.channels] + [architecture.head_channels] * architecture.head_depth
        tower = [Conv2dNormActivation(a, b, norm_layer=norm) for a, b in pairwise(widths)]
        self.conv = nn.Sequential(*tower)
        self.output = output
        self.add_module(output, nn.Conv2d(widths[-1], out_channels, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.constant_(self.get_submodule(output).bias, bias)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """One raw map (N, out_channels, h, w) a level."""
        output = self.get_submodule(self.output)
        return [output(self.conv(feature)) for feature in features]


class Head(nn.Module):
    """Classification and box subnets, which share no weights."""

    def __init__(self, architecture: Architecture, classes: int) -> None:
        super().__init__()
        anchors = architecture.anchors_per_cell
        prior = -math.log((1 - PRIOR) / PRIOR)
        self.classification_head = Subnet(architecture, "cls_logits", anchors * classes, prior)
        self.regression_head = Subnet(architecture, "bbox_reg", anchors * 4, 0.0)


class RetinaNetwork(nn.Module):
    """Normalised images to raw logits and deltas."""

    def __init__(self, architecture: Architecture, classes: int, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.backbone = Backbone(architecture, in_channels)
        self.head = Head(architecture, classes)

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (N, C, H, W) to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w), one each a level."""
        features = self.backbone(images)
        return self.head.classification_head(features), self.head.regression_head(features)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def build_network(architecture: Architecture, classes: int, in_channels: int = 3) -> RetinaNetwork:
    """Build the network of an architecture with fresh weights (from torch's global generator)."""
    return RetinaNetwork(architecture, classes, in_channels)


def flatten(maps: list[Tensor], values: int) -> Tensor:
    """Bring maps (N, A * values, h, w) of all levels into (N, anchors, values) float32, in the order of the anchors."""
    flat = [m.unflatten(1, (-1, values)).permute(0, 3, 4, 1, 2).flatten(1, 3) for m in maps]
    return torch.cat(flat, dim=1).float()
