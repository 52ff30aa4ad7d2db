from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.errors import Cancelled
from core.retinanet.device import Backend
from core.retinanet.network import build_network
from core.training.pictures import Picture
from core.training.rate import find_learning_rate, suggestion
from core.training.recipe import Recipe
from core.training.samples import Sampler
from core.training.setup import Setup
from core.training.validation import Judge

SHAPE = Architecture(
    backbone="resnet18",
    backbone_stages=2,
    levels=("P2", "P3"),
    channels=16,
    head_channels=16,
    head_depth=1,
    anchor_sizes=(12.0, 24.0),
    anchor_ratios=(1.0,),
)


@pytest.fixture
def setup() -> Setup:
    values = np.full((3, 96, 96), 60, np.uint8)
    values[:, 40:54, 40:54] = 220
    picture = Picture(values, Detections.truth(np.array([[40.0, 40, 54, 54]])), "square")
    fill = np.full(3, 60, np.uint8)
    card = ModelCard("tiny", (ObjectClass("square"),), tuple(Band(r) for r in ("red", "green", "blue")), None, SHAPE)
    backend = Backend(torch.device("cpu"), torch.float32, "processor")
    return Setup(
        card,
        build_network(SHAPE, 1),
        Sampler([picture], 64, fill, NO_AUGMENTATION, 0),
        Recipe(epochs=1, steps=1, batch_size=2, learning_rate=0.0),
        Judge(card, backend, [picture], 0.3, fill, lambda event: None),
        backend,
        {},
    )


def never() -> bool:
    return False


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_rate_is_found_and_the_network_stays_as_it_was(setup, optimiser):
    setup = replace(setup, recipe=replace(setup.recipe, optimiser=optimiser))
    before = {name: value.clone() for name, value in setup.network.state_dict().items()}
    events: list[dict[str, Any]] = []
    rate, curve = find_learning_rate(setup, events.append, never, steps=30)
    assert 1e-6 <= rate <= 0.3
    rates = [point["learning_rate"] for point in curve]
    assert rates == sorted(rates)
    assert all(torch.equal(value, before[name]) for name, value in setup.network.state_dict().items())
    told = next(event for event in events if event["event"] == "learning_rate")
    assert (told["learning_rate"], told["curve"]) == (rate, curve)
    assert find_learning_rate(setup, events.append, never, steps=30)[0] == rate


def test_it_can_be_cancelled(setup):
    with pytest.raises(Cancelled):
        find_learning_rate(setup, lambda event: None, lambda: True)


def test_the_suggestion_lies_well_below_the_rate_of_the_least_loss():
    curve = [{"learning_rate": 10.0**-k, "loss": loss} for k, loss in ((6, 3.0), (4, 2.0), (2, 1.0), (1, 9.0))]
    assert suggestion(curve) == pytest.approx(4e-3)
    assert suggestion(curve, "sgd") == pytest.approx(2.5e-3)
    assert suggestion([]) == 1e-6
