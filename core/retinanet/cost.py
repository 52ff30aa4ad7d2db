"""What a network costs to run, counted from its card: nothing is built."""

from itertools import pairwise

from ..job.card import Architecture

TILE_PX = 512
BLOCKS = {  # of each stage (He et al. 2016, table 1)
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
BASIC = ("resnet18", "resnet34")  # two convolutions a block and no expansion; the others have bottlenecks


def operations(architecture: Architecture, classes: int = 1, in_channels: int = 3) -> int:
    """Floating-point operations of the convolutions of one forward pass over a tile of 512 px; an addition and a
    multiplication are two. Nothing else in the network weighs."""
    levels = [int(level[1:]) for level in architecture.levels]
    return (
        _backbone(architecture, in_channels)
        + _pyramid(architecture, levels)
        + sum(_heads(architecture, level, classes) for level in levels)
    )


def _convolution(inputs: int, outputs: int, kernel: int, level: int) -> int:
    """Operations of a convolution whose map has a cell every 2^`level` px."""
    return 2 * inputs * outputs * kernel**2 * (TILE_PX // 2**level) ** 2


def _backbone(architecture: Architecture, in_channels: int) -> int:
    total, inputs = _convolution(in_channels, 64, 7, 1), 64
    expansion = 1 if architecture.backbone in BASIC else 4
    for stage in range(1, architecture.backbone_stages + 1):
        width, level = 64 * 2 ** (stage - 1), stage + 1
        before = max(2, level - 1)  # the level that a stage comes from; the first comes after a pooling
        for block in range(BLOCKS[architecture.backbone][stage - 1]):
            came = before if block == 0 else level
            if expansion == 1:
                total += _convolution(inputs, width, 3, level) + _convolution(width, width, 3, level)
            else:
                total += _convolution(inputs, width, 1, came) + _convolution(width, width, 3, level)
                total += _convolution(width, 4 * width, 1, level)
            if came != level or inputs != expansion * width:
                total += _convolution(inputs, expansion * width, 1, level)
            inputs = expansion * width
    return total


def _pyramid(architecture: Architecture, levels: list[int]) -> int:
    """Lateral and output convolutions of all backbone maps from the finest level on, and the levels beyond them."""
    channels, last = architecture.channels, architecture.backbone_stages + 1
    expansion = 1 if architecture.backbone in BASIC else 4
    total = 0
    for level in range(levels[0], last + 1):
        total += _convolution(expansion * 64 * 2 ** (level - 2), channels, 1, level)
        total += _convolution(channels, channels, 3, level)
    if architecture.extra_levels != "pool":
        inputs = channels if architecture.extra_levels == "p" else expansion * 64 * 2 ** (last - 2)
        for level in levels:
            if level > last:
                total += _convolution(inputs, channels, 3, level)
                inputs = channels
    return total


def _heads(architecture: Architecture, level: int, classes: int) -> int:
    widths = [architecture.channels] + [architecture.head_channels] * architecture.head_depth
    towers = 2 * sum(_convolution(inputs, outputs, 3, level) for inputs, outputs in pairwise(widths))
    return towers + _convolution(widths[-1], architecture.anchors_per_cell * (classes + 4), 3, level)
