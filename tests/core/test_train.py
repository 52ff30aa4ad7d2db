import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.job.errors import Cancelled, InvalidJob, LabelError, ModelError
from core.job.jobs import TrainJob
from core.retinanet.detector import Detector
from core.retinanet.weights import load_model, save_model
from core.train import train
from core.training import recipe
from tests.core.squares import draw, job_for, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "scenes")


def run(job: TrainJob, events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return train(job, (events if events is not None else []).append, lambda: False)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainJob, dict[str, Any], list]:
    """A training long enough to learn something, its result and its events."""
    job = job_for(
        data, tmp_path_factory.mktemp("models") / "squares.safetensors", epochs=4, steps_per_epoch=15, batch_size=4
    )
    events: list[dict[str, Any]] = []
    return job, run(job, events), events


def test_a_training_lowers_the_loss_and_learns_to_find(trained):
    _, result, _ = trained
    losses = [figures["focal_loss"] + figures["box_loss"] for figures in result["history"]]
    assert losses[-1] < 0.5 * losses[0]
    assert result["metrics"]["ap30"] > 0.5


def test_its_model_loads_and_finds(trained):
    job, result, _ = trained
    card, network = load_model(job.output)
    assert result["output"] == job.output
    assert sorted(path.name for path in Path(job.output).parent.iterdir()) == ["squares.html", "squares.safetensors"]
    image, boxes = draw(7)
    found = Detector(card, network)(image[None, :3], card.threshold, card.nms_overlap)[0]
    centres = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    hit = [((centres > box[:2]) & (centres < box[2:])).all(axis=1).any() for box in boxes]
    assert sum(hit) >= 3


def test_a_page_beside_the_model_shows_how_it_learnt_and_what_it_finds(trained):
    job, result, _ = trained
    text = Path(result["report"]).read_text("utf-8")
    assert result["report"] == str(Path(job.output).with_suffix(".html"))
    for heading in ("Training", "Samples", "Worst misses", "Sizes and anchors", "Settings"):
        assert f"<h2>{heading}</h2>" in text
    assert text.count("data:image/png") >= 2
    assert str(Path(job.output).parent) not in text


def test_its_card_tells_what_the_model_is_and_how_it_was_made(trained):
    job, result, _ = trained
    card, _ = load_model(job.output)
    assert card.problems() == []
    assert (card.name, card.title) == ("squares", "squares")
    assert [known.name for known in card.classes] == ["pool"]
    assert [band.role for band in card.bands] == ["red", "green", "blue"]
    assert card.resolution_m == pytest.approx(0.6, rel=1e-2)
    assert (card.architecture.levels, card.architecture.anchor_sizes) == (("P2", "P3"), (12.0, 24.0))
    assert card.threshold == pytest.approx(result["metrics"]["threshold"], abs=1e-3)
    assert card.metrics == result["metrics"]
    assert (card.metrics["split"], card.metrics["iou"], card.metrics["images"]) == ("val", 0.3, 2)
    assert card.training["objects"] == {"train": 30, "val": 10}
    assert card.training["images"] == {"train": 6, "val": 2}
    assert card.training["steps"] == 60
    assert card.training["recipe"]["learning_rate"] == 2e-3
    (source,) = card.training["sources"]
    assert source["source"]["path"] == job.data[0]
    quiet = str(replace(card, training={**card.training, "sources": []}))  # no other place tells paths
    assert str(Path(job.output).parent) not in quiet
    assert job.data[0] not in quiet


def test_band_statistics_are_those_of_the_training_images(trained):
    job, _, _ = trained
    values = np.stack([draw(i)[0][:3] for i in range(6)]).astype(float)
    for i, band in enumerate(load_model(job.output)[0].bands):
        assert band.mean == pytest.approx(values[:, i].mean(), abs=1e-3)
        assert band.std == pytest.approx(values[:, i].std(), abs=1e-3)
        assert sum(band.histogram) == 6 * 128 * 128
        assert list(band.histogram) == np.histogram(values[:, i], bins=64, range=(0, 256))[0].tolist()


def test_it_says_what_it_trains_on_and_every_epoch(trained):
    _, result, events = trained
    notices = [event["text"] for event in events if event["event"] == "notice"]
    assert notices[0].startswith("There are only 30 objects to learn from")
    assert notices[1].startswith("There are only 10 objects to choose the best epoch")
    assert notices[2].startswith("Objects are 1")
    assert "Anchors of 12, 24 px on P2 to P3 reach" in notices[2]
    assert notices[3].startswith("Training on 30 objects in 6 images, choosing on 2 images, on processor")
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [1, 2, 3, 4]
    assert len(result["history"]) == 4


def test_anchors_are_fitted_and_told_before_it_starts(data, tmp_path):
    events: list[dict[str, Any]] = []
    job = job_for(data, tmp_path / "m.safetensors", levels=None, anchor_sizes=None, anchor_ratios=None)
    run(job, events)
    card, _ = load_model(job.output)
    told = next(event for event in events if event["event"] == "anchors")
    assert next(i for i, event in enumerate(events) if event["event"] == "progress") > events.index(told)
    assert card.architecture.levels[0] == "P2"
    assert (told["chosen"]["levels"], told["chosen"]["sizes"]) == (
        list(card.architecture.levels),
        list(card.architecture.anchor_sizes),
    )
    assert told["chosen"]["reached"] > 0.95
    assert told["default"]["reached"] < 0.05
    assert told["chosen"]["cost"] > 1
    assert (told["objects"], sum(told["histogram"]["counts"])) == (40, 40)
    assert card.training["anchors"] == {name: value for name, value in told.items() if name != "event"}


def test_anchors_that_miss_most_objects_are_warned_of(data, tmp_path):
    events: list[dict[str, Any]] = []
    run(job_for(data, tmp_path / "m.safetensors", anchor_sizes=(32.0, 64.0)), events)
    warnings = [event["text"] for event in events if event.get("level") == "warning"]
    assert warnings[-1].startswith("Anchors reach only 0% of the objects")


def test_starting_from_a_model_keeps_its_anchors(trained, data, tmp_path):
    changes = {"levels": None, "anchor_sizes": None, "anchor_ratios": None, "start_from": trained[0].output}
    run(job_for(data, tmp_path / "m.safetensors", **changes))
    shape, start = (load_model(path)[0].architecture for path in (tmp_path / "m.safetensors", trained[0].output))
    assert shape == start


def test_the_same_job_gives_the_same_weights(data, tmp_path):
    files = []
    for name in ("a", "b"):
        run(job_for(data, tmp_path / f"{name}.safetensors"))
        files.append(load_model(tmp_path / f"{name}.safetensors")[1].state_dict())
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def test_cancelling_leaves_no_file(data, tmp_path):
    with pytest.raises(Cancelled):
        train(job_for(data, tmp_path / "m.safetensors"), lambda _: None, lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_cancelling_leaves_the_old_model_what_it_goes_on_from_and_no_thread(data, tmp_path):
    old = tmp_path / "m.safetensors"
    old.write_bytes(b"old")
    events: list[dict[str, Any]] = []
    job = job_for(data, old, steps_per_epoch=50)
    with pytest.raises(Cancelled):
        train(job, events.append, lambda: any(event["event"] == "progress" for event in events))
    assert old.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [old, tmp_path / "m.safetensors.partial"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("samples")]


def test_divergence_is_told_and_leaves_no_file(data, tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "learning_rate_factor", lambda *_: 1e12)
    with pytest.raises(ModelError, match="The training diverged"):
        run(job_for(data, tmp_path / "m.safetensors", epochs=2, steps_per_epoch=4, clip_gradient=1e30))
    assert list(tmp_path.iterdir()) == []


def test_starting_from_a_model_starts_better_than_from_scratch(trained, data, tmp_path):
    job, _, _ = trained
    events: list[dict[str, Any]] = []
    again = run(job_for(data, tmp_path / "again.safetensors", start_from=job.output, learning_rate=1e-5), events)
    scratch = run(job_for(data, tmp_path / "scratch.safetensors", learning_rate=1e-5))
    assert again["history"][0]["focal_loss"] < 0.7 * scratch["history"][0]["focal_loss"]
    assert again["metrics"]["ap30"] > 0.5
    assert "100% of the weights start from the model 'squares'." in [event.get("text") for event in events]
    recipe = load_model(tmp_path / "again.safetensors")[0].training["recipe"]
    assert job.output not in str(recipe)


@pytest.mark.parametrize(("eps", "kept"), [(1e-3, 1e-3), (0.0, 1e-5)])
def test_starting_from_a_model_takes_over_the_eps_of_its_norms_where_it_can(trained, data, tmp_path, eps, kept):
    card, network = load_model(trained[0].output)
    card = replace(card, architecture=replace(card.architecture, backbone_norm_eps=eps))
    save_model(tmp_path / "start.safetensors", card, network.state_dict())
    run(job_for(data, tmp_path / "m.safetensors", start_from=str(tmp_path / "start.safetensors")))
    assert load_model(tmp_path / "m.safetensors")[0].architecture.backbone_norm_eps == kept


def test_a_start_that_is_no_model_is_told(data, tmp_path):
    (tmp_path / "start.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"'start\.safetensors' is no model of Tilehawk"):
        run(job_for(data, tmp_path / "m.safetensors", start_from=str(tmp_path / "start.safetensors")))


def test_four_bands_train_too(data, tmp_path):
    roles = ("red", "green", "blue", "nir")
    run(job_for(data, tmp_path / "m.safetensors", bands=(1, 2, 3, 4), band_roles=roles))
    card, network = load_model(tmp_path / "m.safetensors")
    assert [band.role for band in card.bands] == list(roles)
    assert network.backbone.body.conv1.in_channels == 4


def test_without_images_set_aside_it_says_that_figures_flatter(tmp_path):
    events: list[dict[str, Any]] = []
    result = run(job_for(write_data(tmp_path / "data", ("train",) * 2), tmp_path / "m.safetensors"), events)
    assert "flatter the model" in events[0]["text"]
    assert events[0]["level"] == "warning"
    assert result["metrics"]["split"] == "train"


def test_tiles_grow_to_the_coarsest_stride(data, tmp_path):
    run(job_for(data, tmp_path / "m.safetensors", tile_px=66))


def test_nothing_to_train_on_is_told(tmp_path):
    folder = write_data(tmp_path / "data", ("val",) * 2)
    with pytest.raises(LabelError, match="There is no object to train on"):
        run(job_for(folder, tmp_path / "m.safetensors"))


def test_labels_that_cannot_be_used_are_left_out_and_told(tmp_path):
    folder = write_data(tmp_path / "data", ("train",) * 2)
    (folder / "annotations.csv").write_text("image,xmin,ymin,xmax,ymax,label\nimages/0.tif,9,9,9,12,pool\n")
    events: list[dict[str, Any]] = []
    with pytest.raises(LabelError, match="There is no object to train on"):
        run(job_for(folder, tmp_path / "m.safetensors"), events)
    assert events[0]["text"] == (
        "Boxes without width or height were left out: 1, the first at line 2 of 'annotations.csv'."
    )
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"levels": ("P2", "P4")}, "Pyramid levels must follow one another"),
        ({"levels": ("P2", "P8"), "anchor_sizes": None}, "Pyramid levels must follow one another"),
        ({"levels": None}, "Anchor sizes given by hand need the pyramid levels"),
        ({"anchor_sizes": (8.0,)}, "one anchor size for each pyramid level"),
        ({"backbone": "resnet20"}, "The backbone 'resnet20' is unknown"),
        ({"classes": ("pool", "Pool")}, "Every class needs a name of its own"),
    ],
)
def test_a_model_that_cannot_be_is_told(data, tmp_path, changes, sentence):
    with pytest.raises(InvalidJob, match=sentence):
        run(job_for(data, tmp_path / "m.safetensors", **changes))
