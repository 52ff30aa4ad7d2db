"""The Detector: tiles in, detections out, without torchvision's `RetinaNet.forward`."""

import copy
import sys
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..detections.detections import Detections
from ..job.card import ModelCard
from .anchors import grid_anchors
from .decoding import Decoded, decode
from .device import Backend, choose_backend
from .folding import fold_batch_norms
from .forward import open_forward
from .network import RetinaNetwork, flatten

TORCHVISION_MULTIPLE_PX = 32  # size_divisible of its GeneralizedRCNNTransform


class Detector:
    """A network ready to detect on one device. Calls with images of one shape reuse their anchors.

    The network given is copied: batch norms are folded, weights take the backend's number format. Anchors, decoding
    and suppression are float32 whatever that format. `batch_limit`: images that the device has memory for at once, as
    far as is known.
    """

    def __init__(self, card: ModelCard, network: RetinaNetwork, backend: Backend | None = None) -> None:
        self.card = card
        self.backend = backend or choose_backend()
        self.batch_limit = sys.maxsize
        folded = copy.deepcopy(network).eval()
        fold_batch_norms(folded)
        self.forward = open_forward(folded, self.backend)
        mean, std = ([getattr(band, key) for band in card.bands] for key in ("mean", "std"))
        self.mean = torch.tensor(mean, device=self.backend.device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, device=self.backend.device).reshape(1, -1, 1, 1)
        self._anchors: dict[tuple[int, int], Tensor] = {}

    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Images uint8 (N, C, H, W), values 0-255, to detections for each.

        Boxes float32 (n, 4) xyxy px in the frame of their image, best first, suppressed per class. Where the device's
        memory runs out the batch is halved and repeated, down to single images.
        """
        found: list[Detections] = []
        while len(found) < len(images):
            part = images[len(found) : len(found) + self.batch_limit]
            try:
                found += _by_image(self.detect(torch.from_numpy(part), score_floor, nms_overlap), len(part))
                continue
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.batch_limit = len(part) // 2
            if self.backend.device.type == "cuda":  # only now: the error kept hold of what was on the device
                torch.cuda.empty_cache()
        return found

    @torch.inference_mode()
    def detect(self, images: Tensor, score_floor: float, nms_overlap: float) -> Decoded:
        """As calling it, with tensors on the device."""
        architecture = self.card.architecture
        values = self.normalise(images)
        logits, deltas = self.forward(values)
        shape = (values.shape[2], values.shape[3])
        if shape not in self._anchors:
            maps = [(level.shape[2], level.shape[3]) for level in logits]
            self._anchors[shape] = grid_anchors(architecture, maps, shape, self.backend.device)
        return decode(
            flatten(logits, len(self.card.classes)),
            flatten(deltas, 4),
            self._anchors[shape],
            (images.shape[2], images.shape[3]),
            architecture.box_weights,
            score_floor,
            nms_overlap,
            self.card.max_detections_per_tile,
        )

    def normalise(self, images: Tensor) -> Tensor:
        """Images uint8 (N, C, H, W) to zero mean and unit deviation by band, float32.

        Padded with zeros at the bottom and right to a multiple of the coarsest stride; with torchvision's strides to
        one of 32 px, as it does: it sees DeepForest's tiles of 400 px as 416.
        """
        architecture = self.card.architecture
        multiple = TORCHVISION_MULTIPLE_PX if architecture.strides == "torchvision" else architecture.coarsest_stride
        values = images.to(self.backend.device).float().sub_(self.mean).div_(self.std)
        right, bottom = -images.shape[3] % multiple, -images.shape[2] % multiple
        return functional.pad(values, (0, right, 0, bottom)) if right or bottom else values


def _by_image(found: Decoded, images: int) -> list[Detections]:
    image, boxes, scores, labels = (
        values.cpu().numpy() for values in (found.image, found.boxes, found.scores, found.labels)
    )
    ends = np.searchsorted(image, np.arange(images + 1))
    return [Detections(boxes[a:b], scores[a:b], labels[a:b].astype(np.int64)) for a, b in pairwise(ends)]
