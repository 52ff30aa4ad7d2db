from dataclasses import replace

import pytest
import torch
from torch import nn

from core.job.card import Architecture
from core.retinanet.folding import fold_batch_norms
from core.retinanet.network import RetinaNetwork, build_network


def lived_in(architecture: Architecture) -> RetinaNetwork:
    """A network whose batch norms have seen something."""
    torch.manual_seed(0)
    network = build_network(architecture, 1).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    return network


def count(network: nn.Module, kind: type[nn.Module]) -> int:
    return sum(isinstance(module, kind) for module in network.modules())


@pytest.mark.parametrize(("backbone", "eps"), [("resnet18", 1e-5), ("resnet18", 0.0), ("resnet50", 1e-5)])
def test_folding_changes_no_number_and_leaves_no_batch_norm(small, backbone, eps):
    network = lived_in(replace(small, backbone=backbone, backbone_norm_eps=eps, head_norm="group"))
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        before = torch.cat([m.flatten() for maps in network(images) for m in maps])
        convolutions, norms = count(network, nn.Conv2d), count(network, nn.GroupNorm)
        fold_batch_norms(network)
        after = torch.cat([m.flatten() for maps in network(images) for m in maps])
    assert count(network, nn.BatchNorm2d) == 0
    assert count(network, nn.Conv2d) == convolutions
    assert count(network, nn.GroupNorm) == norms == 2
    assert (after - before).abs().max() < 1e-4
    assert before.std() > 0.1


def test_group_norms_stay_as_they_are(small):
    network = lived_in(replace(small, backbone_norm="group"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fold_batch_norms(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
