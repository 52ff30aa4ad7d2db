"""Anchors: the boxes that every cell of every pyramid level predicts from (Lin et al. 2017, section 4).

As torchvision's AnchorGenerator: ratio by ratio, scale by scale within, each centred on its cell's top left corner.
"""

import torch
from torch import Tensor

from ..job.card import Architecture


def cell_anchors(architecture: Architecture) -> list[Tensor]:
    """Anchors (A, 4) xyxy float32 of one cell at the origin, px, one tensor a level."""
    ratios = torch.tensor(architecture.anchor_ratios, dtype=torch.float32)
    tall = ratios.sqrt()
    levels = []
    for base in architecture.anchor_sizes:
        sizes = [base * scale for scale in architecture.anchor_scales]
        if architecture.integer_anchors:
            sizes = [int(size + 1e-6) for size in sizes]
        size = torch.tensor(sizes, dtype=torch.float32)
        widths = ((1 / tall)[:, None] * size).flatten()
        heights = (tall[:, None] * size).flatten()
        corners = torch.stack([-widths, -heights, widths, heights], dim=1) / 2
        levels.append(corners.round() if architecture.integer_anchors else corners)
    return levels


def grid_anchors(
    architecture: Architecture, shapes: list[tuple[int, int]], image_shape: tuple[int, int], device: torch.device | str
) -> Tensor:
    """Anchors (anchors, 4) xyxy float32 of all cells, px: level by level, row by row, cell by cell.

    `shapes`: (h, w) of each level's map. `image_shape`: (H, W) px; it matters only for torchvision's strides.
    """
    levels = []
    for level, cell, (rows, cols) in zip(architecture.levels, cell_anchors(architecture), shapes, strict=True):
        step_y = step_x = 2 ** int(level[1:])
        if architecture.strides == "torchvision":
            step_y, step_x = image_shape[0] // rows, image_shape[1] // cols
        y = torch.arange(rows, dtype=torch.float32, device=device) * step_y
        x = torch.arange(cols, dtype=torch.float32, device=device) * step_x
        y, x = torch.meshgrid(y, x, indexing="ij")
        shifts = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
        levels.append((shifts + cell.to(device)).reshape(-1, 4))
    return torch.cat(levels)
