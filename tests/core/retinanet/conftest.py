import pytest

from core.job.card import Architecture, Band, ModelCard, ObjectClass

SMALL = Architecture(
    backbone="resnet18",
    backbone_stages=3,
    levels=("P2", "P3", "P4"),
    channels=32,
    head_channels=32,
    head_depth=1,
    anchor_sizes=(12.0, 24.0, 48.0),
)


@pytest.fixture
def small() -> Architecture:
    return SMALL


@pytest.fixture
def card() -> ModelCard:
    bands = tuple(Band(role) for role in ("red", "green", "blue"))
    return ModelCard("small", (ObjectClass("pool"), ObjectClass("roof")), bands, 0.6, SMALL)
