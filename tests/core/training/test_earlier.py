"""Samples of the model that a training starts from: found again, kept in their splits, named where they are gone."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from core.job.card import read_card
from core.job.jobs import TrainJob
from core.retinanet.weights import load_model, save_model
from core.train import train
from core.training.earlier import own_start, recorded
from core.training.labels import LabelledImage
from core.training.preparation import Prepared, prepare
from tests.core.squares import job_for, write_data

CRS = "EPSG:32611"
PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)
SIDE = 512


def write_raster(path: Path, seed: int) -> list[tuple[int, int, int, int]]:
    """A raster with a bright square in each of 8 x 8 cells; gives their boxes px."""
    random = np.random.default_rng(seed)
    image = random.normal([[[90]], [[105]], [[80]]], 12, (3, SIDE, SIDE))
    boxes = []
    for row in range(8):
        for col in range(8):
            x, y = col * 64 + int(random.integers(8, 40)), row * 64 + int(random.integers(8, 40))
            image[:, y : y + 14, x : x + 14] = np.array([60, 180, 220])[:, None, None]
            boxes.append((x, y, x + 14, y + 14))
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": CRS, "transform": PLACE, "tiled": True}
    with rasterio.open(path, "w", width=SIDE, height=SIDE, photometric="RGB", **profile) as target:
        target.write(image.clip(0, 255).astype(np.uint8))
    return boxes


def write_layer(path: Path, boxes: list[tuple[int, int, int, int]], kind: str) -> str:
    shapes = [shapely.box(*(PLACE @ (x0, y1)), *(PLACE @ (x1, y0))) for x0, y0, x1, y1 in boxes]
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes)),
        [np.array([kind] * len(boxes))],
        ["kind"],
        geometry_type="Polygon",
        crs=CRS,
        driver="GPKG",
    )
    return str(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two labelled rasters, and a model that was trained on the first."""
    folder = tmp_path_factory.mktemp("earlier")
    for name, seed in (("town", 0), ("village", 1)):
        write_layer(folder / f"{name}.gpkg", write_raster(folder / f"{name}.tif", seed), "pool")
    train(job_on(folder, "town", "first"), lambda event: None, lambda: False)
    return folder


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, whose model names the copies; they may be spoilt."""
    folder = tmp_path / "copied"
    shutil.copytree(made, folder)
    card, network = load_model(folder / "first.safetensors")
    told = json.loads(json.dumps(card.training["sources"]).replace(str(made), str(folder)))
    card = replace(card, training={**card.training, "sources": told})
    save_model(folder / "first.safetensors", card, network.state_dict())
    return folder


def job_on(folder: Path, scene: str, name: str, **changes: Any) -> TrainJob:
    sources = {
        "data": (),
        "rasters": (str(folder / f"{scene}.tif"),),
        "labels": (str(folder / f"{scene}.gpkg"),),
        "class_field": "kind",
    }
    return replace(job_for(folder, folder / f"{name}.safetensors"), **{**sources, **changes})


def again(folder: Path, scene: str = "village", **changes: Any) -> TrainJob:
    return job_on(folder, scene, "second", start_from=str(folder / "first.safetensors"), **changes)


def read(job: TrainJob) -> tuple[Prepared, dict[str, str]]:
    """What is prepared, and the levels of what is said by sentence."""
    told: list[dict[str, Any]] = []
    prepared = prepare(job, told.append)
    return prepared, {event["text"]: event["level"] for event in told}


def grounds(images: list[LabelledImage], split: str | None = None) -> shapely.Geometry:
    return shapely.union_all([image.area for image in images if split in (None, image.split)])


def of(prepared: Prepared, name: str) -> list[LabelledImage]:
    return [image for image in prepared.labelled.images if image.path.name == name]


def test_earlier_samples_are_mixed_in_and_keep_their_splits(made):
    first, _ = read(job_on(made, "town", "first"))
    second, told = read(again(made))
    assert {image.path.name for image in second.labelled.images} == {"town.tif", "village.tif"}
    for split in ("train", "val", "test"):
        before, after = (grounds(of(each, "town.tif"), split) for each in (first, second))
        assert before.area > 0
        assert after.symmetric_difference(before).area < 1e-6
    assert second.counts["train"] > first.counts["train"]
    assert told[f"Earlier samples are mixed in: {sum(first.counts.values())} objects of 'town.gpkg'."] == "info"


def test_earlier_samples_are_left_alone_where_nobody_wants_them(made):
    prepared, told = read(again(made, mix=False))
    assert {image.path.name for image in prepared.labelled.images} == {"village.tif"}
    assert not any("arlier" in text for text in told)


def test_ground_that_tested_never_becomes_training_however_it_is_labelled_anew(made):
    first, _ = read(job_on(made, "town", "first"))
    for mix in (True, False):
        for seed in (1, 2, 3):
            second, _ = read(again(made, "town", mix=mix, seed=seed))
            assert (
                grounds(of(second, "town.tif"), "train").intersection(grounds(first.labelled.images, "test")).area < 1
            )
            assert grounds(of(second, "town.tif"), "test").area == pytest.approx(
                grounds(first.labelled.images, "test").area
            )


def test_where_ground_is_labelled_twice_the_newer_labels_hold(made, tmp_path):
    boxes = write_raster(tmp_path / "unused.tif", 0)
    left = [box for box in boxes if box[2] <= 256]
    labels = write_layer(tmp_path / "corrected.gpkg", left[1:], "pool")  # one was no pool
    job = again(made, "town", labels=(labels,), extent=(*(PLACE @ (0, SIDE)), *(PLACE @ (256, 0))))
    prepared, told = read(job)
    inside = [
        (image.split, tuple(box))
        for image in prepared.labelled.images
        for box, ignore in zip(image.truth.boxes.tolist(), _ignored(image), strict=True)
        if not ignore
    ]
    assert left[0] not in [box for _, box in inside]
    assert len({box for _, box in inside}) == len(inside)
    assert sum(image.area.area for image in prepared.labelled.images) == pytest.approx(SIDE * SIDE, rel=0.01)
    assert any(text.startswith("Earlier samples are mixed in") for text in told)


def _ignored(image: LabelledImage) -> np.ndarray:
    return np.zeros(len(image.truth), bool) if image.truth.ignore is None else image.truth.ignore


@pytest.mark.parametrize("gone", ["town.tif", "town.gpkg"])
def test_earlier_files_that_are_gone_are_named_and_left_out(copied, gone):
    (copied / gone).unlink()
    prepared, told = read(again(copied))
    sentence = f"The earlier samples of 'town.gpkg' are left out: '{copied / gone}' is not where it was."
    assert told[sentence] == "warning"
    assert {image.path.name for image in prepared.labelled.images} == {"village.tif"}


def test_earlier_files_that_moved_with_their_model_are_found_beside_it(copied, tmp_path):
    copied.rename(tmp_path / "new")
    prepared, told = read(again(tmp_path / "new"))
    assert {image.path.parent.name for image in of(prepared, "town.tif")} == {"new"}
    assert "warning" not in {level for text, level in told.items() if "earlier" in text}


def test_earlier_labels_that_changed_are_told_and_those_only_rewritten_are_not(copied, tmp_path):
    boxes = write_raster(tmp_path / "unused.tif", 0)
    sentence = "'town.gpkg' has changed since the earlier model was trained on it; it is taken as it is now."
    (copied / "town.gpkg").unlink()
    write_layer(copied / "town.gpkg", boxes[::-1], "pool")
    assert sentence not in read(again(copied))[1]
    (copied / "town.gpkg").unlink()
    write_layer(copied / "town.gpkg", boxes[1:], "pool")
    assert read(again(copied))[1][sentence] == "warning"


def test_a_new_class_leaves_earlier_ground_uncertain(made, tmp_path):
    boxes = write_raster(tmp_path / "unused.tif", 1)
    layer = write_layer(tmp_path / "both.gpkg", boxes[:40], "pool")
    pyogrio.raw.write(
        layer,
        shapely.to_wkb(np.array([shapely.box(*(PLACE @ (b[0], b[3])), *(PLACE @ (b[2], b[1]))) for b in boxes[40:]])),
        [np.array(["tub"] * len(boxes[40:]))],
        ["kind"],
        geometry_type="Polygon",
        crs=CRS,
        driver="GPKG",
        append=True,
    )
    prepared, _ = read(again(made, labels=(layer,)))
    assert prepared.labelled.classes == ("pool", "tub")
    for image in of(prepared, "town.tif"):
        unknown = image.truth.take(_ignored(image) & (image.truth.labels == 1))
        assert unknown.boxes.tolist() == [list(image.area.bounds)]
    assert not any((_ignored(image) & (image.truth.labels == 1)).all() for image in of(prepared, "village.tif"))


def test_ground_on_which_all_was_rejected_is_learnt_from_beside_the_earlier_samples(made, tmp_path):
    """A review may say of everything that it is none: labels without an object, and the ground around."""
    nowhere = write_layer(tmp_path / "rejected.gpkg", [(9000, 9000, 9010, 9010)], "pool")
    extent = (*(PLACE @ (0, 300)), *(PLACE @ (300, 0)))
    first, _ = read(job_on(made, "town", "first"))
    prepared, told = read(again(made, labels=(nowhere,), extent=extent))
    assert prepared.labelled.classes == ("pool",)
    assert sum(image.area.area for image in of(prepared, "village.tif")) == pytest.approx(300 * 300)
    assert not any(len(image.truth) for image in of(prepared, "village.tif"))
    assert prepared.counts == first.counts
    assert not any("hold no" in text for text in told)


def test_samples_of_other_objects_are_not_mixed_in(made, tmp_path):
    layer = write_layer(tmp_path / "cars.gpkg", write_raster(tmp_path / "unused.tif", 1), "car")
    prepared, told = read(again(made, labels=(layer,)))
    assert prepared.labelled.classes == ("car",)
    sentence = "The earlier samples of 'squares' are left out: it finds 'pool', and the new labels are 'car'."
    assert told[sentence] == "warning"
    assert not any(sentence in text for text in read(again(made, labels=(layer,), mix=False))[1])


def test_a_model_trained_again_tells_all_its_sources(made, copied):
    job = again(made, output=str(copied / "second.safetensors"))
    train(job, lambda event: None, lambda: False)
    sources = recorded(read_card(job.output), copied)
    assert [each.source.name for each in sources] == ["village.gpkg", "town.gpkg"]
    assert sources[1].sha256 == recorded(read_card(made / "first.safetensors"), made)[0].sha256
    third, _ = read(replace(job, start_from=job.output, output=str(copied / "third.safetensors")))
    assert {image.path.name for image in third.labelled.images} == {"town.tif", "village.tif"}


def test_a_model_may_keep_quiet_about_its_sources(made, tmp_path):
    data = write_data(tmp_path / "data", ("train", "val"))
    job = job_for(data, tmp_path / "quiet.safetensors", steps_per_epoch=1, tell_sources=False)
    train(job, lambda event: None, lambda: False)
    assert read_card(job.output).training["sources"] == []
    assert str(tmp_path) not in str(read_card(job.output))
    _, told = read(replace(again(made), start_from=job.output))
    sentence = "The model 'squares' does not say where its earlier samples lie: only the new ones are learnt from."
    assert told[sentence] == "info"


def test_folders_with_a_split_of_their_own_are_mixed_in_with_it(made, tmp_path):
    data = write_data(tmp_path / "data", ("train", "train", "val", "test"))
    job = job_for(data, tmp_path / "first.safetensors")
    train(job, lambda event: None, lambda: False)
    new = replace(job_on(made, "village", "second", start_from=job.output), output=str(tmp_path / "second.safetensors"))
    prepared, told = read(new)
    names = {image.path.name: image.split for image in prepared.labelled.images if image.path.suffix == ".tif"}
    assert {name: names[name] for name in ("0.tif", "1.tif", "2.tif", "3.tif")} == {
        "0.tif": "train",
        "1.tif": "train",
        "2.tif": "val",
        "3.tif": "test",
    }
    (data / "images" / "1.tif").unlink()
    _, told = read(new)
    assert told["1 of the earlier images of 'data' are not where they were; they are left out."] == "warning"


def test_a_start_that_is_no_model_of_ours_has_no_samples(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"weights")
    job = job_for(tmp_path, tmp_path / "m.safetensors")
    assert own_start(replace(job, start_from=str(tmp_path / "w.pth"))) is None
    assert own_start(replace(job, start_from="coco")) is None
    assert recorded(None, tmp_path) == []
