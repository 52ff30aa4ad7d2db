"""What a network costs to run, counted without running it."""

from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..job.card import Architecture
from .network import build_network

TILE_PX = 512


@lru_cache(maxsize=256)
def operations(architecture: Architecture, classes: int = 1, in_channels: int = 3) -> int:
    """Floating-point operations of one forward pass over a tile of 512 px."""
    with torch.device("meta"):
        network = build_network(architecture, classes, in_channels).eval()
        image = torch.empty(1, in_channels, TILE_PX, TILE_PX)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return counter.get_total_flops()
