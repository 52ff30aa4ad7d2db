"""The network on its backends gives the same maps."""

import copy
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.forward import open_forward
from core.retinanet.network import RetinaNetwork, build_network

CPU = torch.device("cpu")
EXACT = Backend(CPU, torch.float32, "processor")
needs_openvino = pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO, an optional extra, is missing")


@pytest.fixture
def network(card) -> RetinaNetwork:
    network = build_network(card.architecture, len(card.classes)).eval()
    with torch.no_grad():
        for output in (network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg):
            nn.init.normal_(output.weight, std=0.2)
    return network


def off(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """Largest difference, in standard deviations."""
    return float((ours.float() - exact).abs().max() / exact.std())


@pytest.mark.parametrize(
    ("engine", "dtype", "most"),
    [
        ("torch", torch.bfloat16, 0.2),
        pytest.param("openvino", torch.float32, 1e-3, marks=needs_openvino),
        pytest.param("openvino", torch.bfloat16, 0.2, marks=needs_openvino),
    ],
)
def test_each_backend_gives_the_maps_of_the_network(network, engine, dtype, most):
    forward = open_forward(copy.deepcopy(network), Backend(CPU, dtype, "processor", engine))
    for n, height, width in ((2, 64, 96), (1, 64, 96), (3, 128, 64), (2, 64, 96)):
        images = torch.randn(n, 3, height, width)
        with torch.inference_mode():
            found = forward(images)
            exact = network(images)
        for ours, known in zip(found, exact, strict=True):
            assert [level.shape for level in ours] == [level.shape for level in known]
            assert max(off(a, b) for a, b in zip(ours, known, strict=True)) < most


@needs_openvino
def test_openvino_detects_what_torch_detects_and_the_same_every_time(card, network):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 128, 128), np.uint8)
    exact = Detector(card, network, EXACT)(images, 0.05, 0.5)
    detector = Detector(card, network, Backend(CPU, torch.float32, "processor", "openvino"))
    runs = [detector(images, 0.05, 0.5), detector(images, 0.05, 0.5)]
    for known, found, again in zip(exact, *runs, strict=True):
        assert len(known) == len(found) > 20
        off = np.abs(found.boxes[:, None] - known.boxes).max(axis=2) + np.abs(found.scores[:, None] - known.scores)
        assert max(off.min(axis=0).max(), off.min(axis=1).max()) < 0.01  # equal scores may change places
        for column in ("boxes", "scores", "labels"):
            assert getattr(found, column).tobytes() == getattr(again, column).tobytes()
