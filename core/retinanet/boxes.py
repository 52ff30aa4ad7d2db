"""The box coder: how a box is told as deltas from an anchor (Girshick et al. 2014, appendix C). Always float32."""

import math

import torch
from torch import Tensor

LARGEST_GROWTH = math.log(1000.0 / 16)  # as torchvision: a box is at most 62.5 times its anchor


def encode_boxes(boxes: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Boxes and anchors (N, 4) xyxy to deltas (N, 4): shift of the centre in anchor sizes, log of the size's ratio."""
    boxes, anchors = boxes.float(), anchors.float()
    size, anchor_size = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    centre, anchor_centre = boxes[:, :2] + size / 2, anchors[:, :2] + anchor_size / 2
    deltas = torch.cat([(centre - anchor_centre) / anchor_size, torch.log(size / anchor_size)], dim=1)
    return deltas * deltas.new_tensor(weights)


def decode_boxes(deltas: Tensor, anchors: Tensor, weights: tuple[float, float, float, float]) -> Tensor:
    """Deltas and anchors (N, 4) to boxes (N, 4) xyxy float32; the inverse of `encode_boxes`."""
    deltas, anchors = deltas.float() / torch.tensor(weights, device=deltas.device), anchors.float()
    anchor_size = anchors[:, 2:] - anchors[:, :2]
    centre = anchors[:, :2] + anchor_size / 2 + deltas[:, :2] * anchor_size
    size = anchor_size * torch.exp(deltas[:, 2:].clamp(max=LARGEST_GROWTH))
    return torch.cat([centre - size / 2, centre + size / 2], dim=1)
