from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION
from core.job.card import Band, ModelCard, ObjectClass
from core.job.errors import Cancelled, ModelError
from core.retinanet.device import Backend
from core.retinanet.network import RetinaNetwork, build_network
from core.training import optimisation
from core.training.loop import fit
from core.training.pictures import Picture
from core.training.recipe import Fitted, Recipe, Requests
from core.training.samples import Sampler
from core.training.step import LossSettings
from tests.core.squares import TINY_SHAPE

CARD = ModelCard("tiny", (ObjectClass("square"),), tuple(Band(r) for r in ("red", "green", "blue")), None, TINY_SHAPE)
RECIPE = Recipe(
    epochs=2,
    steps=3,
    batch_size=2,
    learning_rate=1e-3,
    weight_decay=0.01,
    ema_decay=0.9,
    choose_on="ap50",
)


def squares() -> Sampler:
    values = np.full((3, 96, 96), 60, np.uint8)
    boxes = [[10, 10, 24, 24], [40, 50, 54, 64], [70, 20, 84, 34]]
    for x0, y0, x1, y1 in boxes:
        values[:, y0:y1, x0:x1] = 220
    picture = Picture(values, Detections.truth(np.array(boxes, float)), "squares")
    return Sampler([picture], 64, np.full(3, 60, np.uint8), NO_AUGMENTATION, 0)


def empty_ground() -> Sampler:
    picture = Picture(np.full((3, 96, 96), 60, np.uint8), Detections.truth(np.zeros((0, 4))), "empty")
    return Sampler([picture], 64, np.full(3, 60, np.uint8), NO_AUGMENTATION, 0)


def cpu(dtype: torch.dtype = torch.float32) -> Backend:
    return Backend(torch.device("cpu"), dtype, "processor")


def tiny() -> RetinaNetwork:
    torch.manual_seed(0)
    return build_network(TINY_SHAPE, 1)


def run(
    recipe: Recipe = RECIPE,
    network: RetinaNetwork | None = None,
    validate: Callable[[RetinaNetwork], dict[str, float]] = lambda _: {"ap50": 0.0},
    events: list[dict[str, Any]] | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    stopped: Callable[[], bool] = lambda: False,
    sampler: Sampler | None = None,
    backend: Backend | None = None,
    **settings: Any,
) -> Fitted:
    told = [] if events is None else events
    return fit(
        CARD,
        network or tiny(),
        sampler or squares(),
        recipe,
        backend or cpu(),
        validate,
        told.append,
        Requests(cancelled, stopped),
        **settings,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou"])
def test_training_lowers_the_loss(dtype, box_loss):
    recipe = replace(RECIPE, epochs=3, steps=8, losses=LossSettings(box_loss=box_loss))
    history = run(recipe, backend=cpu(dtype)).history
    assert [figures["epoch"] for figures in history] == [1, 2, 3]
    losses = [figures["focal_loss"] + figures["box_loss"] for figures in history]
    assert losses[2] < losses[1] < losses[0]


def test_the_same_training_twice_gives_the_same_weights():
    one, same = run().state, run().state
    assert all(torch.equal(one[name], same[name]) for name in one)


def test_progress_and_epochs_are_told():
    events: list[dict[str, Any]] = []
    run(events=events)
    steps = [event for event in events if event["event"] == "progress"]
    assert [event["done"] for event in steps] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1], abs=1e-4)
    assert [event["text"] for event in steps] == ["Epoch 1 of 2"] * 3 + ["Epoch 2 of 2"] * 3
    assert all(event["seconds_left"] >= 0 for event in steps)
    epochs = [event for event in events if event["event"] == "epoch"]
    assert [(event["epoch"], event["ap50"]) for event in epochs] == [(1, 0.0), (2, 0.0)]
    assert events[-1] is epochs[-1]


@pytest.mark.parametrize(("seen", "best"), [((0.1, 0.7, 0.3), 2), ((0.9, 0.2, 0.1), 1), ((0.5, 0.5, 0.5), 3)])
def test_the_weights_of_the_best_epoch_are_kept_and_of_equal_ones_the_last(seen, best):
    states: list[dict[str, torch.Tensor]] = []

    def validate(network: RetinaNetwork) -> dict[str, float]:
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return {"ap50": seen[len(states) - 1]}

    fitted = run(replace(RECIPE, epochs=3, steps=2), validate=validate)
    assert fitted.best["epoch"] == best
    assert fitted.best["ap50"] == seen[best - 1]
    assert all(torch.equal(fitted.state[name], value) for name, value in states[best - 1].items())
    assert not all(torch.equal(states[0][name], value) for name, value in states[1].items())


def test_weights_have_the_networks_own_names():
    assert list(run(replace(RECIPE, epochs=1, steps=1)).state) == list(tiny().state_dict())


def test_what_is_validated_is_the_average():
    network, kept = tiny(), []
    run(replace(RECIPE, epochs=1), network=network, validate=lambda n: kept.append(n) or {"ap50": 0.0})
    name = "head.classification_head.cls_logits.weight"
    average, last, first = (n.state_dict()[name] for n in (kept[0], network, tiny()))
    assert kept[0] is not network
    assert not torch.equal(average, last)
    assert (average - last).abs().max() < (first - last).abs().max()


def test_batch_norms_keep_their_statistics_in_the_last_fifth():
    means: list[torch.Tensor] = []
    network = tiny()
    norm = next(module for module in network.modules() if isinstance(module, nn.BatchNorm2d))

    def validate(_: RetinaNetwork) -> dict[str, float]:
        means.append(norm.running_mean.clone())
        return {"ap50": 0.0}

    run(replace(RECIPE, epochs=5, steps=1), network=network, validate=validate)
    moved = [not torch.equal(a, b) for a, b in pairwise(means)]
    assert moved == [True, True, True, False]


def test_empty_ground_trains_too():
    fitted = run(sampler=empty_ground())
    assert all(figures["box_loss"] == 0 for figures in fitted.history)
    assert all(torch.isfinite(value).all() for value in fitted.state.values())


def test_cancelling_ends_it_before_the_next_step():
    events: list[dict[str, Any]] = []
    with pytest.raises(Cancelled):
        run(events=events, cancelled=lambda: len(events) == 2)
    assert len(events) == 2


def test_divergence_is_told_with_a_way_out():
    network = tiny()
    with torch.no_grad():
        network.head.regression_head.bbox_reg.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"^The training diverged: .* Try a lower learning rate\.$"):
        run(network=network)


def test_half_precision_cards_train_in_float32():
    """Gradients of half precision would vanish without a scaled loss; the format is for detection alone."""
    half, whole = run(backend=cpu(torch.float16)).state, run().state
    assert all(torch.equal(half[name], whole[name]) for name in whole)


def rising_then_flat(epochs: int) -> Callable[[RetinaNetwork], dict[str, float]]:
    """Figures that improve for so many epochs, and then no more."""
    seen: list[int] = []

    def validate(_: RetinaNetwork) -> dict[str, float]:
        seen.append(len(seen))
        return {"ap50": min(len(seen), epochs) / 10 - 0.001 * max(0, len(seen) - epochs)}

    return validate


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_patience_ends_a_training_that_stopped_improving(schedule):
    recipe = replace(RECIPE, epochs=9, steps=1, schedule=schedule, patience=2)
    fitted = run(recipe, validate=rising_then_flat(3))
    assert len(fitted.history) == 5
    assert fitted.best["epoch"] == 3


def test_a_steady_rate_falls_where_it_stopped_improving_and_then_ends(monkeypatch):
    monkeypatch.setattr(optimisation, "WARM_UP_STEPS", 2)
    events: list[dict[str, Any]] = []
    recipe = replace(RECIPE, epochs=40, steps=2, schedule="steady", patience=3)
    fitted = run(recipe, validate=rising_then_flat(4), events=events)
    rates = [epoch["learning_rate"] for epoch in fitted.history]
    assert len(rates) == 4 + 3 + 3
    assert rates[4:7] == [pytest.approx(rates[4])] * 3
    assert rates[6] > rates[7] > rates[8] > rates[9]
    assert rates[9] < 0.2 * rates[6]
    epochs = [event["epochs"] for event in events if event["event"] == "epoch"]
    assert epochs == [40] * 6 + [10] * 4
    assert [event["best"] for event in events if event["event"] == "epoch"] == [1, 2, 3, 4] + [4] * 6


def test_a_steady_rate_falls_in_the_last_epochs_at_the_latest():
    recipe = replace(RECIPE, epochs=6, steps=3, schedule="steady", patience=2)
    rates = [epoch["learning_rate"] for epoch in run(recipe, validate=rising_then_flat(99)).history]
    assert len(rates) == 6
    assert rates[5] < rates[4] < rates[3]


def test_one_cycle_rises_and_falls():
    rates = [epoch["learning_rate"] for epoch in run(replace(RECIPE, epochs=10, steps=1, schedule="one_cycle")).history]
    assert rates[0] < rates[1] < rates[2]
    assert rates[3] > rates[5] > rates[9]
    assert max(rates) <= RECIPE.learning_rate


def test_sgd_lowers_the_loss_too():
    history = run(replace(RECIPE, epochs=3, steps=8, optimiser="sgd", learning_rate=5e-3)).history
    assert history[2]["loss"] < history[0]["loss"]


def test_a_frozen_backbone_keeps_its_weights_and_learns_later():
    network, kept = tiny(), []
    body = network.backbone.body

    def validate(_: RetinaNetwork) -> dict[str, float]:
        kept.append({name: value.clone() for name, value in body.state_dict().items()})
        return {"ap50": 0.0}

    run(replace(RECIPE, epochs=3, steps=2, freeze_backbone=2), network=network, validate=validate)
    first = tiny().backbone.body.state_dict()
    for name in ("conv1.weight", "bn1.weight", "bn1.running_mean"):
        assert torch.equal(kept[0][name], first[name])
        assert torch.equal(kept[1][name], first[name])
        assert not torch.equal(kept[2][name], first[name])


def test_norms_can_keep_their_statistics_throughout():
    network = tiny()
    run(replace(RECIPE, freeze_norms=True), network=network)
    assert torch.equal(network.backbone.body.bn1.running_mean, tiny().backbone.body.bn1.running_mean)
    assert not torch.equal(network.backbone.body.bn1.weight, tiny().backbone.body.bn1.weight)


def test_gradients_are_clipped():
    """Of SGD's steps, that of a gradient clipped to next to nothing is next to nothing."""
    network, before = tiny(), tiny().state_dict()
    run(replace(RECIPE, epochs=1, steps=1, optimiser="sgd", learning_rate=1.0, clip_gradient=1e-9), network=network)
    name = "head.classification_head.cls_logits.bias"
    assert torch.allclose(network.state_dict()[name], before[name], atol=1e-7)


def test_stopping_keeps_the_best_so_far():
    events: list[dict[str, Any]] = []

    def epochs() -> int:
        return sum(event["event"] == "epoch" for event in events)

    fitted = run(replace(RECIPE, epochs=5, steps=3), events=events, stopped=lambda: epochs() == 2)
    assert len(fitted.history) == 2
    assert fitted.best["epoch"] == 2
    assert fitted.state


def test_stopping_in_the_first_epoch_looks_at_what_there_is():
    events: list[dict[str, Any]] = []
    fitted = run(replace(RECIPE, steps=50), events=events, stopped=lambda: len(events) >= 2)
    assert len(fitted.history) == 1
    assert sum(event["event"] == "progress" for event in events) == 2
    assert fitted.history[0]["loss"] > 0
    assert fitted.state


def test_group_norm_trains():
    torch.manual_seed(0)
    shape = replace(TINY_SHAPE, backbone_norm="group")
    history = run(replace(RECIPE, epochs=3, steps=8), network=build_network(shape, 1)).history
    assert history[2]["loss"] < history[0]["loss"]
