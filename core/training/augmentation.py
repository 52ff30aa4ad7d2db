"""What training changes about a sample so that the model learns the object and not the picture."""

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ..detections.detections import Detections
from ..job.augmentation import Augmentation


def turn(image: np.ndarray, boxes: np.ndarray, quarter_turns: int, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    """Turn an image (C, H, W) counter-clockwise by quarters, then mirror it left to right, with its boxes (N, 4)."""
    boxes = boxes.copy()
    for _ in range(quarter_turns % 4):
        width = image.shape[2]
        image = np.rot90(image, axes=(1, 2))
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], axis=1)
    if mirrored:
        image = image[:, :, ::-1]
        boxes = np.stack([image.shape[2] - boxes[:, 2], boxes[:, 1], image.shape[2] - boxes[:, 0], boxes[:, 3]], axis=1)
    return image, boxes


def change_colours(image: Tensor, ranges: Augmentation, random: np.random.Generator) -> Tensor:
    """Change the light on an image uint8 (C, H, W), values 0-255; saturation only where it has three bands."""
    values = image.float()
    share = random.uniform(0, 1) ** 2 * ranges.haze
    values = values * (1 - share) + share * random.uniform(150, 255)
    values = values * (1 + random.uniform(-ranges.brightness, ranges.brightness))
    centre = values.mean()
    values = centre + (values - centre) * (1 + random.uniform(-ranges.contrast, ranges.contrast))
    values = values * torch.from_numpy(random.uniform(1 - ranges.cast, 1 + ranges.cast, (len(image), 1, 1))).float()
    if len(image) == 3:
        grey = values.mean(dim=0, keepdim=True)
        values = grey + (values - grey) * (1 + random.uniform(-ranges.saturation, ranges.saturation))
    if random.uniform() < ranges.shadow:
        values = values * _shade(*values.shape[1:], random)
    if random.uniform() < ranges.blur:
        values = functional.gaussian_blur(values, [3, 3], [random.uniform(0.3, 0.9)])
    deviation = random.uniform(0, 1) ** 2 * ranges.noise
    if deviation > 0:
        values = values + torch.from_numpy(random.normal(0, deviation, values.shape)).float()
    return values.round().clamp(0, 255).to(torch.uint8)


def _shade(height: int, width: int, random: np.random.Generator) -> Tensor:
    """Light (height, width) under a shadow with a straight edge anywhere: 0.4 to 0.7 on its dark side, else 1."""
    angle, dark = random.uniform(0, 2 * np.pi), random.uniform(0.4, 0.7)
    x, y = np.meshgrid(np.arange(width) - random.uniform(0, width), np.arange(height) - random.uniform(0, height))
    beyond = (x * np.cos(angle) + y * np.sin(angle)).clip(0, 3) / 3  # the edge of a shadow is soft over some px
    return torch.from_numpy(1 - beyond * (1 - dark)).float()


def visible(truth: Detections, size_px: int, least_share: float) -> Detections:
    """Clip truth to a square of `size_px`: objects out of it go, those less visible than `least_share` are ignored."""
    area = (truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(axis=1)
    clipped = truth.boxes.clip(0, size_px)
    sides = clipped[:, 2:] - clipped[:, :2]
    keep = (sides > 0).all(axis=1)
    share = sides.prod(axis=1) / np.maximum(area, 1e-9)
    ignore = (share < least_share) | (sides < 2).any(axis=1)
    if truth.ignore is not None:
        ignore |= truth.ignore
    return Detections(clipped, truth.scores, truth.labels, ignore).take(keep)
