"""The Detector: tiles in, detections out, without torchvision's `RetinaNet.forward`."""

import copy
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ..detections.detections import Detections
from ..job.card import ModelCard
from .anchors import grid_anchors
from .decoding import Decoded, decode
from .device import Backend, choose_backend
from .folding import fold_batch_norms
from .network import RetinaNetwork, flatten


class Detector:
    """A network ready to detect on one device. Calls with images of one shape reuse their anchors.

    The network given is copied: batch norms are folded, weights take the backend's number format. Anchors, decoding
    and suppression are float32 whatever that format.
    """

    def __init__(self, card: ModelCard, network: RetinaNetwork, backend: Backend | None = None) -> None:
        self.card = card
        self.backend = backend or choose_backend()
        folded = copy.deepcopy(network).eval()
        fold_batch_norms(folded)
        self.network = folded.to(self.backend.device, self.backend.dtype, memory_format=torch.channels_last)
        mean, std = ([getattr(band, key) for band in card.bands] for key in ("mean", "std"))
        self.mean = torch.tensor(mean, device=self.backend.device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, device=self.backend.device).reshape(1, -1, 1, 1)
        self._anchors: dict[tuple[int, int], Tensor] = {}

    @torch.inference_mode()
    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Images uint8 (N, C, H, W), values 0-255, H and W multiples of the coarsest stride, to detections for each.

        Boxes float32 (n, 4) xyxy px in the frame of their image, best first, suppressed per class.
        """
        found = self.detect(torch.from_numpy(images), score_floor, nms_overlap)
        image, boxes, scores, labels = (
            values.cpu().numpy() for values in (found.image, found.boxes, found.scores, found.labels)
        )
        ends = np.searchsorted(image, np.arange(len(images) + 1))
        return [Detections(boxes[a:b], scores[a:b], labels[a:b].astype(np.int64)) for a, b in pairwise(ends)]

    def detect(self, images: Tensor, score_floor: float, nms_overlap: float) -> Decoded:
        """As calling it, with tensors on the device."""
        shape = (images.shape[2], images.shape[3])
        logits, deltas = self.network(self.normalise(images))
        if shape not in self._anchors:
            maps = [(level.shape[2], level.shape[3]) for level in logits]
            self._anchors[shape] = grid_anchors(self.card.architecture, maps, shape, self.backend.device)
        architecture = self.card.architecture
        return decode(
            flatten(logits, len(self.card.classes)),
            flatten(deltas, 4),
            self._anchors[shape],
            shape,
            architecture.box_weights,
            score_floor,
            nms_overlap,
            self.card.max_detections_per_tile,
        )

    def normalise(self, images: Tensor) -> Tensor:
        """Images uint8 (N, C, H, W) to zero mean and unit deviation by band, in the network's number format."""
        values = images.to(self.backend.device).float()
        values = ((values - self.mean) / self.std).to(self.backend.dtype)
        return values.contiguous(memory_format=torch.channels_last)
