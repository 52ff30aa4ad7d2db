"""The Detector: tiles in, detections out, without torchvision's `RetinaNet.forward`."""

import copy
import sys
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Started:
    """A batch whose network has been started: flat logits and deltas, and on CUDA when they will be there."""

    logits: Tensor
    deltas: Tensor
    anchors: Tensor
    image_shape: tuple[int, int]
    ready: torch.cuda.Event | None


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
        self.in_flight = 2 if self.backend.device.type == "cuda" else 1
        folded = copy.deepcopy(network).eval()
        fold_batch_norms(folded)
        self.forward = open_forward(folded, self.backend)
        mean, std = ([getattr(band, key) for band in card.bands] for key in ("mean", "std"))
        self.mean = torch.tensor(mean, device=self.backend.device).reshape(1, -1, 1, 1)
        self.std = torch.tensor(std, device=self.backend.device).reshape(1, -1, 1, 1)
        if self.backend.device.type == "cuda":
            torch.cuda.set_device(self.backend.device)  # recorded and replayed on the current card
            self._decoding = torch.cuda.Stream(self.backend.device, priority=-1)
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
                found += self._boxes(self._network(part), score_floor, nms_overlap)
                continue
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.batch_limit = len(part) // 2
            self.forward.forget()
            if self.backend.device.type == "cuda":  # only now: the error kept hold of what was on the device
                torch.cuda.empty_cache()
        return found

    def start(self, images: np.ndarray) -> Started | None:
        """Start the network on images, of which `finish` gives the detections; None where there is no memory for it.

        On CUDA this does not wait: up to `in_flight` batches may be started before the first is finished.
        """
        if len(images) > self.batch_limit:
            return None
        try:
            return self._network(images)
        except torch.OutOfMemoryError:
            return None

    def finish(
        self, images: np.ndarray, started: Started | None, score_floor: float, nms_overlap: float
    ) -> list[Detections]:
        """Give what calling the detector on the images gives, once they were started."""
        if started is not None:
            try:
                return self._boxes(started, score_floor, nms_overlap)
            except torch.OutOfMemoryError:
                started = None  # lets go of its memory
        return self(images, score_floor, nms_overlap)

    @torch.inference_mode()
    def _network(self, images: np.ndarray) -> Started:
        device, tensor = self.backend.device, torch.from_numpy(images)
        values = self.normalise(tensor.pin_memory() if device.type == "cuda" else tensor)
        logits, deltas = self.forward(values)
        shape = (values.shape[2], values.shape[3])
        if shape not in self._anchors:
            maps = [(level.shape[2], level.shape[3]) for level in logits]
            self._anchors[shape] = grid_anchors(self.card.architecture, maps, shape, device)
        return Started(
            flatten(logits, len(self.card.classes)),
            flatten(deltas, 4),
            self._anchors[shape],
            images.shape[2:],
            torch.cuda.current_stream(device).record_event() if device.type == "cuda" else None,
        )

    @torch.inference_mode()
    def _boxes(self, started: Started, score_floor: float, nms_overlap: float) -> list[Detections]:
        """Decode what the network has said; on CUDA in a stream of its own, beside the next batch's network.

        The memory of `started` may be handed out again once it is let go of: by then the copy back has waited for all.
        """
        if started.ready is None:
            return _by_image(self._decode(started, score_floor, nms_overlap), len(started.logits))
        with torch.cuda.stream(self._decoding):
            self._decoding.wait_event(started.ready)
            try:
                return _by_image(self._decode(started, score_floor, nms_overlap), len(started.logits))
            except torch.OutOfMemoryError:
                self._decoding.synchronize()
                raise

    def _decode(self, started: Started, score_floor: float, nms_overlap: float) -> Decoded:
        return decode(
            started.logits,
            started.deltas,
            started.anchors,
            started.image_shape,
            self.card.architecture.box_weights,
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
        values = images.to(self.backend.device, non_blocking=True).float().sub_(self.mean).div_(self.std)
        right, bottom = -images.shape[3] % multiple, -images.shape[2] % multiple
        return functional.pad(values, (0, right, 0, bottom)) if right or bottom else values


def _by_image(found: Decoded, images: int) -> list[Detections]:
    """Bring detections back from the device, in one copy, and part them; float32 holds labels to 16 million exactly."""
    columns = (
        torch.stack([found.image.float(), *found.boxes.unbind(1), found.scores, found.labels.float()]).cpu().numpy()
    )
    boxes, scores, labels = np.ascontiguousarray(columns[1:5].T), columns[5], columns[6].astype(np.int64)
    ends = np.searchsorted(columns[0], np.arange(images + 1))
    return [Detections(boxes[a:b], scores[a:b], labels[a:b]) for a, b in pairwise(ends)]
