"""The losses of one batch."""

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..detections.detections import Detections
from ..job.card import ModelCard
from ..retinanet.anchors import grid_anchors
from ..retinanet.device import Backend
from ..retinanet.losses import Truth, detection_losses
from ..retinanet.network import flatten
from .samples import Batch


@dataclass(frozen=True)
class LossSettings:
    """Alpha and gamma of the focal loss; the box loss, "smooth_l1" or "giou"."""

    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    box_loss: str = "smooth_l1"


class StepLosses:
    """Focal loss and box loss of a batch on a device; autocast ends at the heads' outputs."""

    def __init__(self, card: ModelCard, settings: LossSettings, backend: Backend) -> None:
        self.card, self.settings, self.backend = card, settings, backend
        mean, std = ([getattr(band, key) for band in card.bands] for key in ("mean", "std"))
        self.mean = torch.tensor(mean, device=backend.device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, device=backend.device).reshape(1, -1, 1, 1)

    def __call__(self, network: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run the network on a batch and compare with its truth."""
        device, architecture, images = self.backend.device, self.card.architecture, batch.images
        values = ((images.to(device).float() - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        low = self.backend.dtype == torch.bfloat16  # gradients of half precision would need their losses scaled
        with torch.autocast(device.type, self.backend.dtype) if low else nullcontext():
            logits, deltas = network(values)
        maps = [(level.shape[2], level.shape[3]) for level in logits]
        anchors = grid_anchors(architecture, maps, (images.shape[2], images.shape[3]), device)
        return detection_losses(
            flatten(logits, len(self.card.classes)),
            flatten(deltas, 4),
            anchors,
            [_truth(truth, device) for truth in batch.truths],
            architecture.box_weights,
            self.settings.focal_alpha,
            self.settings.focal_gamma,
            self.settings.box_loss,
        )


def _truth(truth: Detections, device: torch.device) -> Truth:
    ignore = torch.zeros(len(truth), dtype=torch.bool) if truth.ignore is None else torch.from_numpy(truth.ignore)
    boxes = torch.from_numpy(truth.boxes).float()
    return Truth(boxes.to(device), torch.from_numpy(truth.labels).to(device), ignore.to(device))
