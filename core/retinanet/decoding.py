"""Raw logits and deltas to detections, batched over images and levels, in float32."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from .boxes import decode_boxes

CANDIDATES = 4  # before suppression, for each detection kept


@dataclass(frozen=True)
class Decoded:
    """Detections of a batch: image (N,), boxes (N, 4) xyxy px, scores (N,), labels (N,); image by image, best first."""

    image: Tensor
    boxes: Tensor
    scores: Tensor
    labels: Tensor


def decode(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    image_shape: tuple[int, int],
    box_weights: tuple[float, float, float, float],
    score_floor: float,
    nms_overlap: float,
    max_per_image: int,
) -> Decoded:
    """Decode logits (N, anchors, classes) and deltas (N, anchors, 4) of images of (H, W) px, suppressing per class.

    Scores above `score_floor` count, at most four times `max_per_image` of them before suppression and
    `max_per_image` after it. Boxes are clipped to the image.
    """
    classes = logits.shape[2]
    scores = logits.flatten(1)
    candidates = scores > _logit(score_floor)
    if scores.shape[1] > CANDIDATES * max_per_image:
        candidates &= scores >= scores.topk(CANDIDATES * max_per_image, dim=1).values[:, -1:]
    row, place = torch.nonzero(candidates, as_tuple=True)
    score = torch.sigmoid(scores[row, place])
    anchor, label = place // classes, place % classes
    boxes = decode_boxes(deltas[row, anchor], anchors[anchor], box_weights)
    height, width = image_shape
    boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
    kept = batched_nms(boxes, score, row * classes + label, nms_overlap)
    kept = kept[torch.argsort(row[kept], stable=True)]
    rank = torch.arange(len(kept), device=kept.device) - torch.searchsorted(row[kept], row[kept])
    kept = kept[rank < max_per_image]
    return Decoded(row[kept], boxes[kept], score[kept], label[kept])


def _logit(probability: float) -> float:
    """The logit of a score, so that scores are compared before the sigmoid."""
    if probability <= 0:
        return -math.inf
    return math.log(probability / (1 - probability)) if probability < 1 else math.inf
