from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.detections.detections import Detections
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.train_job import TrainJob
from core.training.design import design
from core.training.pictures import Picture
from core.training.preparation import Prepared, limited
from core.training.sources import Labelled
from core.training.start import RGB, Start

PLAIN = tuple(Band(role, mean=100.0, std=20.0) for role in ("red", "green", "blue"))
THEIRS = Architecture(
    backbone="resnet18",
    backbone_stages=3,
    levels=("P2", "P3", "P4"),
    extra_levels="pool",
    channels=64,
    head_channels=48,
    head_depth=2,
    anchor_sizes=(10.0, 20.0, 40.0),
    anchor_ratios=(0.7, 1.0, 1.4),
)


def picture(side: float, count: int = 40, split: str = "train") -> Picture:
    corners = np.random.default_rng(0).uniform(0, 400, (count, 2))
    truth = Detections.truth(np.hstack([corners, corners + side]))
    return Picture(np.zeros((3, 512, 512), np.uint8), truth, "p", split)


def prepared(side: float = 14.0) -> Prepared:
    pictures = {"train": [picture(side)], "val": [picture(side, 9, "val")], "test": []}
    return Prepared(Labelled([], ("pool",), [], 0.5), PLAIN, pictures, {"train": 40, "val": 9, "test": 0}, 0.3)


def start(shape: Architecture = THEIRS, ours: bool = True, of_backbone: bool = False) -> Start:
    card = ModelCard("old", (ObjectClass("pool"),), RGB, 0.5, shape)
    return Start("old", card, {}, ours, of_backbone)


def shape_of(job: TrainJob, base: Start | None = None, side: float = 14.0) -> tuple[Architecture, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    card, _ = design(job, prepared(side), base, events.append)
    return card.architecture, events


JOB = TrainJob(output="/data/m.safetensors", backbone="resnet18")


@pytest.mark.parametrize(
    ("norm", "batch_size", "used"),
    [("auto", 7, "group"), ("auto", 8, "batch"), ("batch", 2, "batch"), ("group", 16, "group")],
)
def test_group_norm_takes_over_below_eight_tiles(norm, batch_size, used):
    assert shape_of(replace(JOB, norm=norm, batch_size=batch_size))[0].backbone_norm == used


def test_weights_that_exist_keep_their_norm_unless_another_is_asked_for():
    few = replace(JOB, batch_size=2)
    assert shape_of(few, start())[0].backbone_norm == "batch"
    assert shape_of(few, start(of_backbone=True, ours=False))[0].backbone_norm == "batch"
    assert shape_of(replace(few, norm="group"), start())[0].backbone_norm == "group"


def test_a_model_to_start_from_gives_the_whole_shape():
    shape, events = shape_of(TrainJob(output="/data/m.safetensors"), start())
    assert shape == replace(THEIRS, integer_anchors=False)
    assert not any("The network is that of" in event.get("text", "") for event in events)


def test_another_shape_than_the_starts_is_told():
    _, events = shape_of(TrainJob(output="/data/m.safetensors", channels=128), start())
    assert "The network is that of 'old', which has channels 64." in [event.get("text") for event in events]


def test_anchors_of_foreign_weights_stay_only_where_they_reach_the_objects():
    foreign = Architecture(backbone="resnet50", integer_anchors=False)
    assert shape_of(JOB, start(foreign, ours=False), side=60.0)[0].levels == foreign.levels
    small, _ = shape_of(JOB, start(foreign, ours=False), side=14.0)
    assert small.levels[0] == "P2"
    assert small.backbone == "resnet50"


def test_anchors_of_a_model_stay_only_where_they_reach_the_objects():
    assert shape_of(JOB, start())[0].anchor_sizes == THEIRS.anchor_sizes
    fitted, _ = shape_of(JOB, start(), side=160.0)
    assert fitted.anchor_sizes != THEIRS.anchor_sizes
    assert max(fitted.anchor_sizes) * max(fitted.anchor_scales) > 120
    assert (fitted.backbone_stages, fitted.channels) == (THEIRS.backbone_stages, THEIRS.channels)


def test_levels_given_by_hand_go_before_the_starts():
    shape, _ = shape_of(replace(JOB, levels=("P3", "P4"), anchor_sizes=(9.0, 18.0)), start())
    assert (shape.levels, shape.anchor_sizes) == (("P3", "P4"), (9.0, 18.0))


def test_a_backbone_gives_only_its_norm_and_the_scale_of_its_bands():
    base = start(of_backbone=True, ours=False)
    card, _ = design(JOB, prepared(), base, lambda event: None)
    assert card.bands[0].mean == RGB[0].mean
    assert card.architecture.channels == JOB.channels
    assert design(JOB, prepared(), None, lambda event: None)[0].bands == PLAIN


def test_of_too_much_ground_a_part_is_looked_at_and_always_the_same():
    pictures = [replace(picture(14.0, 0 if i % 2 else 5), name=str(i)) for i in range(20)]
    few = limited(pictures, 6 * 512 * 512)
    assert len(few) == 6
    assert [p.name for p in few] == [p.name for p in limited(pictures, 6 * 512 * 512)]
    assert any(len(p.truth) for p in few)
    assert len(limited(pictures, 1)) == 1
    assert len(limited(pictures, 1)[0].truth) == 5
    assert limited(pictures, 20 * 512 * 512) is pictures
