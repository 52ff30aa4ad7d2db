"""Labels for anchors, and the losses on them (Lin et al. 2017, sections 3 and 4.1). Always float32."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from .boxes import decode_boxes, encode_boxes

FOREGROUND_IOU = 0.5
BACKGROUND_IOU = 0.4
SMOOTH_L1_BETA = 1 / 9  # as Detectron's RetinaNet
IGNORED_SHARE = 0.5  # of an anchor's area, above which a box to ignore takes it out of the loss


@dataclass(frozen=True)
class Truth:
    """The objects on one image: boxes (N, 4) xyxy px float32, labels (N,) from 0, ignore (N,) bool."""

    boxes: Tensor
    labels: Tensor
    ignore: Tensor


@dataclass(frozen=True)
class AnchorLabels:
    """What each anchor of one image should say: matched (anchors,) is the index of its object, or
    `BACKGROUND`, or `NEITHER` where it counts neither way."""

    BACKGROUND = -1
    NEITHER = -2
    matched: Tensor


def label_anchors(anchors: Tensor, truth: Truth) -> AnchorLabels:
    """Match anchors (anchors, 4) to objects: IoU of 0.5 or more is an object, under 0.4 background, between neither.

    The anchors of an object's highest IoU match too, however low it is, so that small objects are learnt; like every
    anchor they take the object that they fit best. Anchors that lie by half or more in a box to ignore, and match no
    other object, count neither way.
    """
    matched = torch.full((len(anchors),), AnchorLabels.BACKGROUND, device=anchors.device)
    objects = torch.nonzero(~truth.ignore).flatten()
    if len(truth.boxes) > len(objects):
        ignored = truth.boxes[truth.ignore]
        low = torch.maximum(anchors[:, None, :2], ignored[:, :2])
        high = torch.minimum(anchors[:, None, 2:], ignored[:, 2:])
        inside = (high - low).clamp(min=0).prod(dim=2).amax(dim=1)
        matched[inside >= IGNORED_SHARE * (anchors[:, 2:] - anchors[:, :2]).prod(dim=1)] = AnchorLabels.NEITHER
    if len(objects):
        iou = box_iou(truth.boxes[objects], anchors)
        best, index = iou.max(dim=0)
        matched[(best >= BACKGROUND_IOU) & (best < FOREGROUND_IOU)] = AnchorLabels.NEITHER
        highest = iou.amax(dim=1, keepdim=True)
        found = (best >= FOREGROUND_IOU) | ((iou == highest) & (highest > 0)).any(dim=0)
        matched[found] = objects[index[found]]
    return AnchorLabels(matched)


def detection_losses(
    logits: Tensor,
    deltas: Tensor,
    anchors: Tensor,
    truths: list[Truth],
    box_weights: tuple[float, float, float, float],
    alpha: float = 0.25,
    gamma: float = 2.0,
    box_loss: str = "smooth_l1",
) -> tuple[Tensor, Tensor]:
    """Focal loss and box loss of a batch, each summed over anchors and divided by the number of matched ones.

    logits (N, anchors, classes), deltas (N, anchors, 4), anchors (anchors, 4).
    """
    labels = torch.stack([label_anchors(anchors, truth).matched for truth in truths])
    positive, counted = labels >= 0, labels != AnchorLabels.NEITHER
    objects = max(1, int(positive.sum()))
    target = torch.zeros_like(logits)
    for row, truth in enumerate(truths):
        where = torch.nonzero(positive[row]).flatten()
        target[row, where, truth.labels[labels[row, where]]] = 1.0
    focal = sigmoid_focal_loss(logits[counted], target[counted], alpha=alpha, gamma=gamma, reduction="sum")
    wanted = torch.cat([truth.boxes[labels[row][positive[row]]] for row, truth in enumerate(truths)])
    from_anchors = torch.cat([anchors[positive[row]] for row in range(len(truths))])
    predicted = deltas[positive]
    if box_loss == "giou":
        box = generalized_box_iou_loss(decode_boxes(predicted, from_anchors, box_weights), wanted, reduction="sum")
    else:
        told = encode_boxes(wanted, from_anchors, box_weights)
        box = functional.smooth_l1_loss(predicted, told, beta=SMOOTH_L1_BETA, reduction="sum")
    return focal / objects, box / objects
