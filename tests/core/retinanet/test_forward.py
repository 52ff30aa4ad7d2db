"""The network on its backends gives the same maps."""

import copy
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from core.retinanet import forward as forward_module
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.forward import open_forward
from core.retinanet.network import RetinaNetwork, build_network, flatten

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


class Recorded(forward_module._Graph):
    """Stands in for a CUDA graph: it reads its images, and overwrites its maps, in place."""

    def __init__(self, plain: forward_module.TorchForward, images: torch.Tensor) -> None:
        self.images, self._plain = images.clone(), plain
        self._maps = plain(self.images)
        self._graph = SimpleNamespace(replay=self._run)

    def _run(self) -> None:
        for kept, new in zip(self._maps, self._plain(self.images), strict=True):
            for level, values in zip(kept, new, strict=True):
                level.copy_(values)


def test_what_is_recorded_gives_what_the_network_gives_for_smaller_batches_too(network, monkeypatch):
    monkeypatch.setattr(forward_module, "_Graph", Recorded)
    plain = forward_module.TorchForward(network, EXACT)
    forward = forward_module.GraphForward(plain)
    with torch.inference_mode():
        for n in (4,) * forward_module.GRAPH_AFTER + (4, 3, 1, 4):
            images = torch.randn(n, 3, 64, 64)
            for ours, known in zip(forward(images), plain(images), strict=True):
                for level, exact in zip(ours, known, strict=True):
                    assert level.shape == exact.shape
                    assert torch.allclose(level, exact, atol=1e-4)
        assert len(forward._graphs) == 1
        forward(torch.randn(4, 3, 96, 64))
        assert len(forward._graphs) == 1  # one call is no long run
        forward.forget()
        assert forward(torch.randn(4, 3, 64, 64))[0][0].shape[0] == 4
        assert not forward._graphs


def test_where_recording_fails_the_network_runs_on_without(network, monkeypatch):
    tried = []

    def fail(*_: object) -> None:
        tried.append(1)
        raise RuntimeError("capture is not permitted")

    monkeypatch.setattr(forward_module, "_Graph", fail)
    plain = forward_module.TorchForward(network, EXACT)
    forward = forward_module.GraphForward(plain)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for _ in range(3 * forward_module.GRAPH_AFTER):
            found = forward(images)
        assert torch.equal(found[0][0], plain(images)[0][0])
    assert tried == [1]


def test_flat_maps_are_copies(network):
    """A recorded network overwrites its maps while an earlier batch's are decoded."""
    with torch.inference_mode():
        for levels in (1, 2):
            maps = [torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last) for _ in range(levels)]
            flat = flatten(maps, 4)
            kept = flat.clone()
            for level in maps:
                level.zero_()
            assert torch.equal(flat, kept)
