import copy

import pytest
import torch
from torch import nn

from core.training.optimisation import averaged, freeze_batch_norms, learning_rate_factor, make_optimiser


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GroupNorm(1, 2))


@pytest.mark.parametrize("steps", [1, 2, 10, 400, 5000])
def test_the_learning_rate_rises_to_its_highest_then_falls_to_a_hundredth(steps):
    factors = [learning_rate_factor(step, steps) for step in range(steps)]
    top = factors.index(max(factors))
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[top] == pytest.approx(1)
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    assert top <= max(100, steps // 5)
    assert learning_rate_factor(steps, steps) == pytest.approx(0.01 if steps > 1 else 1, abs=0.02)


def test_warm_up_is_linear_and_half_way_down_is_half():
    assert [learning_rate_factor(step, 5000) for step in (0, 49, 99)] == pytest.approx([0.01, 0.5, 1.0])
    assert learning_rate_factor(100 + 4900 // 2, 5000) == pytest.approx((1 + 0.01) / 2, abs=1e-3)


def test_only_convolutions_decay():
    network = small_network()
    optimiser = make_optimiser(network, 1e-3, 0.05)
    decays = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert {name: decays[id(p)] for name, p in network.named_parameters()} == {
        "0.weight": 0.05,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.0,
        "2.bias": 0.0,
    }
    assert {group["lr"] for group in optimiser.param_groups} == {1e-3}


def set_all(network: nn.Module, value: float) -> None:
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.fill_(value)


def all_values(network: nn.Module) -> set[float]:
    return {
        round(v, 3) for name, t in network.state_dict().items() if "tracked" not in name for v in t.flatten().tolist()
    }


def test_the_average_follows_its_law():
    network = small_network()
    average = averaged(network, 0.8)
    expected = None
    for step, value in enumerate((10.0, 20.0, 30.0, 40.0, 50.0)):
        set_all(network, value)
        average.update_parameters(network)
        decay = min(0.8, (1 + step) / (10 + step))
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert all_values(average.module) == {round(expected, 3)}
    assert average.module[1].num_batches_tracked == 50
    assert all_values(network) == {50.0}


def test_the_average_reaches_its_decay():
    network = small_network()
    average = averaged(network, 0.5)
    set_all(network, 0.0)
    for _ in range(20):
        average.update_parameters(network)
    set_all(network, 1.0)
    average.update_parameters(network)
    assert all_values(average.module) == {0.5}


def test_frozen_batch_norms_keep_their_statistics_and_still_learn():
    network = small_network().train()
    freeze_batch_norms(network)
    before = copy.deepcopy(network.state_dict())
    network(torch.randn(4, 1, 8, 8) * 5 + 3).square().mean().backward()
    assert torch.equal(network.state_dict()["1.running_mean"], before["1.running_mean"])
    assert network[1].weight.grad is not None
    assert network[0].training
    network.train()
    network(torch.randn(4, 1, 8, 8) * 5 + 3)
    assert not torch.equal(network.state_dict()["1.running_mean"], before["1.running_mean"])
