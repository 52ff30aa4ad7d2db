"""Training straight from rasters and layers, as an analyst has them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio
import shapely
import torch
from rasterio.transform import Affine

from core.job.errors import LabelError
from core.job.jobs import TrainJob
from core.retinanet.weights import load_model
from core.train import train
from core.training import pictures
from core.training.pictures import Picture
from core.training.preparation import prepare
from tests.core.squares import QUICK, TINY, write_data

CRS = "EPSG:32611"
PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)
SIDE = 768


def square(x0: float, y0: float, x1: float, y1: float) -> shapely.Polygon:
    """Polygon on the map around a box of px."""
    return shapely.box(*(PLACE @ (x0, y1)), *(PLACE @ (x1, y0)))


def write_layer(path: Path, shapes: list, **fields: list) -> str:
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes)),
        [np.array(values) for values in fields.values()],
        list(fields),
        geometry_type=shapes[0].geom_type,
        crs=CRS,
        driver="GPKG",
    )
    return str(path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A raster with a bright square in each of 12 x 12 cells, drawn in a layer on its left three quarters alone."""
    folder = tmp_path_factory.mktemp("scene")
    random = np.random.default_rng(0)
    image = random.normal([[[90]], [[105]], [[80]]], 12, (3, SIDE, SIDE))
    boxes = []
    for row in range(12):
        for col in range(12):
            x, y = col * 64 + random.integers(8, 40), row * 64 + random.integers(8, 40)
            image[:, y : y + 14, x : x + 14] = np.array([60, 180, 220])[:, None, None]
            boxes.append((x, y, x + 14, y + 14))
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": CRS, "transform": PLACE, "tiled": True}
    with rasterio.open(folder / "town.tif", "w", width=SIDE, height=SIDE, photometric="RGB", **profile) as target:
        target.write(image.clip(0, 255).astype(np.uint8))
    drawn = [box for box in boxes if box[2] < 576]
    doubt = [int(i % 10 == 0) for i in range(len(drawn))]
    return {
        "raster": str(folder / "town.tif"),
        "polygons": write_layer(
            folder / "polygons.gpkg", [square(*box) for box in drawn], kind=["pool"] * len(drawn), doubt=doubt
        ),
        "points": write_layer(
            folder / "points.gpkg", [square(*box).centroid for box in drawn], size=[7.0] * len(drawn)
        ),
        "area": write_layer(folder / "area.gpkg", [square(0, 0, 576, SIDE)]),
        "drawn": len(drawn),
        "doubtful": sum(doubt),
    }


def job_on(scene: dict[str, Any], output: Path, **changes: Any) -> TrainJob:
    job = TrainJob(
        output=str(output),
        rasters=(scene["raster"],),
        labels=(scene["polygons"],),
        class_field="kind",
        ignore_field="doubt",
        area=scene["area"],
        epochs=3,
        steps_per_epoch=15,
        batch_size=4,
        **TINY,
        **QUICK,
    )
    return replace(job, **changes)


@pytest.fixture(scope="module")
def trained(scene, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainJob, dict[str, Any], list[dict[str, Any]]]:
    """A training long enough to learn something, its result and its events."""
    job = job_on(scene, tmp_path_factory.mktemp("model") / "pools.safetensors")
    events: list[dict[str, Any]] = []
    return job, train(job, events.append, lambda: False), events


def test_a_raster_and_a_layer_become_a_model_with_blocks_beside_it(scene, trained):
    job, result, _ = trained
    card, _ = load_model(job.output)
    assert [known.name for known in card.classes] == ["pool"]
    assert card.resolution_m == pytest.approx(0.5, rel=2e-3)
    test = card.metrics["test"]
    assert test["ap30"] > 0.5
    low, high = test["intervals"]["ap30"]
    assert 0 <= low <= test["ap30"] <= high <= 1
    assert set(card.training["objects"]) == {"train", "val", "test"}
    assert sum(card.training["objects"].values()) < scene["drawn"] - scene["doubtful"] + 1
    assert card.training["labels"][0]["name"] == "polygons.gpkg"
    assert len(card.training["labels"][0]["sha256"]) == 64
    assert card.training["areas"][0] == pytest.approx([-118.083, 33.97, -118.079, 33.975], abs=0.02)
    assert "/" not in str({key: card.training[key] for key in ("labels", "recipe", "areas")})
    assert sorted(path.name for path in Path(job.output).parent.iterdir()) == [
        "pools.blocks.gpkg",
        "pools.html",
        "pools.safetensors",
    ]
    _, _, wkb, (splits, objects, _) = pyogrio.raw.read(result["blocks"])
    assert set(splits.tolist()) == {"train", "val", "test"}
    assert objects.sum() == sum(card.training["objects"].values())
    labelled = shapely.union_all(shapely.from_wkb(wkb))
    assert labelled.symmetric_difference(square(0, 0, 576, SIDE)).area < 1e-3 * labelled.area


def test_each_epoch_tells_what_the_model_finds_in_one_window(scene, trained):
    events = trained[2]
    samples = [event for event in events if event["event"] == "sample"]
    epochs = [event for event in events if event["event"] == "epoch"]
    assert len(samples) == len(epochs) == 3
    last = samples[-1]
    assert last["image"] == scene["raster"]
    assert "32611" in last["crs"]
    extent = shapely.box(*last["extent"])
    assert square(0, 0, 576, SIDE).buffer(1e-6).contains(extent)
    assert len(last["truth"]) > 3
    assert all(extent.intersects(shapely.box(*box)) for box in [*last["boxes"], *last["truth"]])
    hit = [max(shapely.box(*b).intersection(shapely.box(*t)).area for b in last["boxes"]) for t in last["truth"]]
    assert np.mean(np.array(hit) > 0.5 * 49) > 0.5
    assert (epochs[-1]["epochs"], epochs[-1]["seconds_left"]) == (3, 0)
    assert epochs[0]["seconds_left"] > 0
    assert epochs[0]["loss"] == pytest.approx(epochs[0]["focal_loss"] + epochs[0]["box_loss"])
    assert epochs[0]["learning_rate"] > epochs[-1]["learning_rate"] > 0


def values(found: dict[str, list[Picture]]) -> int:
    return sum(int(np.prod(picture.values.shape[1:])) for held in found.values() for picture in held)


def test_points_get_their_size_and_unlabelled_ground_is_no_background(scene, tmp_path):
    told: list[dict[str, Any]] = []
    changes = {"labels": (scene["points"],), "class_field": None, "ignore_field": None, "size_field": "size"}
    prepared = prepare(job_on(scene, tmp_path / "m.safetensors", classes=("pool",), **changes), told.append)
    assert prepared.sizes.mean() == pytest.approx(14, abs=0.1)
    assert values(prepared.pictures) == 576 * SIDE
    assert not any("taken for background" in event["text"] for event in told)
    everywhere = prepare(
        job_on(scene, tmp_path / "m.safetensors", area=None, classes=("pool",), **changes), told.append
    )
    assert values(everywhere.pictures) == SIDE * SIDE
    assert any("whatever has no label on 'town.tif' is taken for background" in event["text"] for event in told)


def test_an_extent_stands_for_an_area(scene, tmp_path):
    extent = square(0, 0, 300, 300).bounds
    prepared = prepare(job_on(scene, tmp_path / "m.safetensors", area=None, extent=extent), lambda event: None)
    assert values(prepared.pictures) == 300 * 300


def test_a_raster_too_large_for_memory_gives_the_same_model(scene, tmp_path, monkeypatch):
    job = job_on(scene, tmp_path / "held.safetensors", epochs=1, steps_per_epoch=2)
    train(job, lambda event: None, lambda: False)
    monkeypatch.setattr(pictures, "MEMORY_BYTES", 0)
    train(replace(job, output=str(tmp_path / "read.safetensors")), lambda event: None, lambda: False)
    held, read = (load_model(tmp_path / f"{name}.safetensors")[1].state_dict() for name in ("held", "read"))
    assert all(torch.equal(value, read[name]) for name, value in held.items())


def test_folders_and_rasters_train_together(scene, tmp_path):
    folder = write_data(tmp_path / "data", ("train",) * 2 + ("val",))
    prepared = prepare(job_on(scene, tmp_path / "m.safetensors", data=(str(folder),)), lambda event: None)
    names = {picture.name for picture in prepared.pictures["train"]}
    assert names == {"town.tif", "0.tif", "1.tif"}
    assert [p.name for p in prepared.pictures["val"] if p.name != "town.tif"] == ["2.tif"]


def test_an_area_without_objects_is_told(scene, tmp_path):
    nowhere = write_layer(tmp_path / "area.gpkg", [square(600, 0, 700, 100)])
    with pytest.raises(LabelError, match="There is no object to train on"):
        prepare(job_on(scene, tmp_path / "m.safetensors", area=nowhere), lambda event: None)
