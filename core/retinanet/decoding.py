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
    `max_per_image` after it. Boxes are clipped to the image; those wholly outside it go. Equal scores keep the order
    of their anchors, so that an image's detections are the same in every batch.
    """
    classes = logits.shape[2]
    row, place = _candidates(logits.flatten(1), _logit(score_floor), CANDIDATES * max_per_image)
    anchor, label = place // classes, place % classes
    boxes = decode_boxes(deltas[row, anchor], anchors[anchor], box_weights)
    height, width = image_shape
    boxes = torch.minimum(boxes.clamp(min=0), boxes.new_tensor([width, height, width, height]))
    columns = (row, boxes, logits[row, anchor, label], label)
    if boxes.device.type == "mps":  # Apple's graphics processors know no float64
        columns = tuple(column.cpu() for column in columns)
    row, boxes, logit, label = columns
    order = _suppress(row, boxes, logit.double(), label, nms_overlap)
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(row[order], row[order])
    kept = order[rank < max_per_image]
    return Decoded(row[kept], boxes[kept], torch.sigmoid(logit[kept].double()).float(), label[kept])


def _candidates(logits: Tensor, floor: float, most: int) -> tuple[Tensor, Tensor]:
    """Row and column of the logits (N, places) above `floor`, at most the `most` highest of a row, in rising order."""
    above = logits > floor
    row, place = torch.nonzero(above, as_tuple=True)
    if len(row) > most < logits.shape[1]:
        best = logits.topk(most, dim=1).indices.sort(dim=1).values
        row, place = torch.nonzero(above.gather(1, best), as_tuple=True)
        place = best[row, place]
    return row, place


def _suppress(row: Tensor, boxes: Tensor, logits: Tensor, labels: Tensor, overlap: float) -> Tensor:
    """Indexes of the boxes that suppression leaves within their image and class, image by image, best first.

    In float64, for `batched_nms` moves groups apart: in float32 the boxes of a batch's last image would lose 0.001 px,
    and what is suppressed would depend on the place in the batch.
    """
    solid = torch.nonzero((boxes[:, 2:] > boxes[:, :2]).all(dim=1)).flatten()
    groups = row * (labels.max() + 1 if len(labels) else 1) + labels
    kept = solid[batched_nms(boxes[solid].double(), logits[solid], groups[solid], overlap)].sort().values
    kept = kept[torch.argsort(logits[kept], descending=True, stable=True)]
    return kept[torch.argsort(row[kept], stable=True)]


def _logit(probability: float) -> float:
    """The logit of a score, so that scores are compared before the sigmoid."""
    if probability <= 0:
        return -math.inf
    return math.log(probability / (1 - probability)) if probability < 1 else math.inf
