"""Packed convolutions give the maps of the network, for every kind of it and every size of picture."""

import copy
from dataclasses import replace

import pytest
import torch

from core.retinanet import packing
from core.retinanet.folding import fold_batch_norms
from core.retinanet.network import RetinaNetwork, build_network
from core.retinanet.packing import pack

SHAPES = ((1, 64, 96), (2, 64, 96), (1, 128, 64), (1, 64, 96))
KINDS = {
    "basic": {},
    "bottlenecks": {"backbone": "resnet50", "backbone_stages": 2, "levels": ("P2", "P3", "P4")},
    "group norm": {"backbone_norm": "group", "head_norm": "group"},
    "extra levels": {"levels": ("P3", "P4", "P5"), "extra_levels": "p"},
    "extra levels of C": {"levels": ("P3", "P4", "P5"), "extra_levels": "c"},
}


def folded(architecture) -> RetinaNetwork:
    network = build_network(architecture, 2).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for output in (network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg):
        torch.nn.init.normal_(output.weight, std=0.2)
    fold_batch_norms(network)
    return network.to(memory_format=torch.channels_last)


def pictures(n: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(n, 3, height, width).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_maps_are_the_networks(small, kind):
    network = folded(replace(small, **kind))
    packed = pack(network, pictures(1, 64, 64))
    if packed is None:
        pytest.skip("no oneDNN for this processor")
    with torch.inference_mode():
        for shape in SHAPES:
            images = pictures(*shape)
            for ours, known in zip(packed(images), network(images), strict=True):
                for level, exact in zip(ours, known, strict=True):
                    assert level.shape == exact.shape
                    assert (level - exact).abs().max() < 1e-4 * exact.std()


def test_sums_and_cut_offs_are_computed_with_the_convolutions(small):
    network = folded(small)
    packed = pack(network, pictures(1, 64, 64))
    if packed is None:
        pytest.skip("no oneDNN for this processor")
    modules = dict(packed.named_modules())
    calls = [node for node in packed.graph.nodes if node.op == "call_module"]
    assert {type(modules[node.target]) for node in calls} == {packing.PackedConvolution, torch.nn.MaxPool2d}
    sums = [node for node in packed.graph.nodes if node.target is packing.operator.add]
    assert len(sums) == len(small.levels) - 1  # the pyramid's, whose sizes are asked for, too
    assert packed.get_submodule("backbone.body.conv1").convolution.weight is network.backbone.body.conv1.weight


def test_bfloat16_is_as_exact_as_before(small):
    network = folded(small)
    images = pictures(1, 64, 64)
    low = copy.deepcopy(network).bfloat16()
    packed = pack(low, images.bfloat16())
    if packed is None:
        pytest.skip("no oneDNN for this processor")
    with torch.inference_mode():
        exact, plain, ours = network(images), low(images.bfloat16()), packed(images.bfloat16())
    for level, known in zip(ours[0] + ours[1], exact[0] + exact[1], strict=True):
        assert (level.float() - known).abs().max() < 0.2 * known.std()

    def mean_error(maps: tuple[list[torch.Tensor], list[torch.Tensor]]) -> float:
        pairs = zip(maps[0] + maps[1], exact[0] + exact[1], strict=True)
        return float(sum(((level.float() - known) / known.std()).abs().mean() for level, known in pairs))

    assert mean_error(ours) < 1.2 * mean_error(plain)


def test_where_an_operator_is_missing_there_is_nothing(small, monkeypatch):
    network = folded(small)

    def missing(*_: object) -> None:
        raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_reorder_convolution_weight'")

    monkeypatch.setattr(packing.PackedConvolution, "forward", missing)
    assert pack(network, pictures(1, 64, 64)) is None
    monkeypatch.setattr(packing.platform, "machine", lambda: "arm64")
    assert pack(network, pictures(1, 64, 64)) is None
