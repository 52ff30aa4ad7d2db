import dataclasses
import json

import pytest

from core.job.augmentation import Augmentation
from core.job.card import BACKBONES
from core.job.errors import InvalidJob
from core.job.jobs import DetectJob, TrainJob, is_gdal_name, job_from_json, job_to_json


@pytest.fixture
def detect_job(tmp_path):
    for name in ("ortho.tif", "pools.safetensors", "area.gpkg"):
        (tmp_path / name).touch()
    return DetectJob(
        raster=str(tmp_path / "ortho.tif"),
        model=str(tmp_path / "pools.safetensors"),
        output=str(tmp_path / "out.gpkg"),
    )


@pytest.fixture
def train_job(tmp_path):
    return TrainJob(data=(str(tmp_path),), output=str(tmp_path / "m.safetensors"))


TRAINING = {
    "rasters": ("/data/a.tif",),
    "labels": ("/data/l.gpkg|layername=x",),
    "extent": (0.0, 1.0, 2.0, 3.0),
    "anchor_sizes": (8.0, 16.0),
    "learning_rate": None,
    "augmentation": Augmentation(haze=0.0, mosaic=0.5),
    "resume": True,
}


def test_jobs_survive_the_round_trip(detect_job, train_job):
    full = dataclasses.replace(
        detect_job,
        threshold=0.4,
        tile_px=640,
        bands=(4, 1, 2),
        value_range=(0.0, 4095.0),
        extent=(-1.5, -2.0, 3.0, 4.0),
        resolution_m="native",
        classes=("pool", "Grüner Teich"),
    )
    for job in (detect_job, full, train_job, dataclasses.replace(train_job, **TRAINING)):
        line = job_to_json(job)
        assert line.isascii() and "\n" not in line
        assert job_from_json(line) == job


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "[]",
        "3",
        '"detect"',
        "{}",
        '{"job": null}',
        '{"job": ["detect"]}',
        '{"job": "format"}',
        '{"job": "detect"}',
        '{"job": "detect", "raster": 1, "model": "m", "output": "o"}',
        '{"job": "detect", "raster": "r", "model": "m", "output": "o", "run": "rm"}',
        '{"job": "detect", "raster": "r", "model": "m", "output": "o", "threshold": NaN}',
        '{"job": "detect", "raster": "r", "model": "m", "output": "o", "threshold": 1e999}',
        '{"job": "detect", "raster": "r", "model": "m", "output": "o", "extent": [1, 2, 3]}',
        '{"job": "detect", "raster": "r", "model": "m", "output": "o", "tile_px": ' + "9" * 5000 + "}",
        '{"job": ' + "[" * 100_000,
    ],
    ids=lambda line: line[:40],
)
def test_hostile_lines_are_refused_with_a_sentence(line):
    with pytest.raises(InvalidJob, match="The job cannot be understood"):
        job_from_json(line)


def test_a_possible_job_is_valid(detect_job, train_job):
    detect_job.validate()
    train_job.validate()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"model": ""}, "Choose the model."),
        ({"model": "/nowhere/m.safetensors"}, "The model '/nowhere/m.safetensors' does not exist."),
        ({"raster": ""}, "Choose a raster to look at."),
        ({"raster": "/nowhere/r.tif"}, "The raster '/nowhere/r.tif' does not exist."),
        ({"output": "/tmp/out.xyz"}, "Results are written as .gpkg, .shp, .geojson, .fgb, .parquet, not as 'out.xyz'."),
        ({"output": "memory:"}, "Results are written as"),
        ({"output": "/nowhere/out.gpkg"}, "The folder '/nowhere' for the result does not exist."),
        ({"output": "out.gpkg"}, "The result 'out.gpkg' needs its full path."),
        ({"mask": "/nowhere/a.gpkg|layername=x"}, "The area layer '/nowhere/a.gpkg' does not exist."),
        ({"threshold": -0.1}, "The threshold must lie between 0 and 1, not -0.1."),
        ({"threshold": float("nan")}, "The threshold must lie between 0 and 1, not nan."),
        ({"score_floor": 1.1}, "The score floor must lie between 0 and 1, not 1.1."),
        ({"nms_overlap": 0.0}, "The overlap for suppression must lie above 0 and up to 1, not 0."),
        ({"tile_px": 32}, "The tile size must lie between 64 and 8192 px, not 32."),
        ({"tile_px": 10_000}, "The tile size must lie between 64 and 8192 px, not 10000."),
        ({"overlap_px": -1}, "The overlap between tiles cannot be negative."),
        ({"tile_px": 128, "overlap_px": 65}, "The overlap between tiles can be at most half a tile."),
        ({"batch_size": 0}, "The batch size must lie between 1 and 1024, not 0."),
        ({"device": "tpu"}, "The device 'tpu' is unknown; choose one of auto, cpu, cuda, mps."),
        ({"bands": ()}, "Bands are counted from 1."),
        ({"bands": (0, 1, 2)}, "Bands are counted from 1."),
        ({"value_range": (3.0, 3.0)}, "The value range needs its low value below its high value."),
        ({"value_range": (0.0, float("inf"))}, "The value range must be made of finite numbers."),
        ({"extent": (1.0, 0.0, 0.0, 1.0)}, "The extent is empty: it needs xmin below xmax and ymin below ymax."),
        ({"extent": (float("-inf"), 0.0, 0.0, 1.0)}, "The extent must be made of finite numbers."),
        ({"resolution_m": "fine"}, "The resolution is a number of metres, 'model' or 'native'."),
        ({"resolution_m": 0}, "The resolution must be a positive number of metres."),
        ({"resolution_m": -1.0}, "The resolution must be a positive number of metres."),
        ({"classes": ()}, "Choose at least one class to look for."),
    ],
    ids=str,
)
def test_an_impossible_detection_is_refused_with_a_sentence(detect_job, values, sentence):
    with pytest.raises(InvalidJob) as refusal:
        dataclasses.replace(detect_job, **values).validate()
    assert str(refusal.value).startswith(sentence)


def test_inputs_need_their_full_path(detect_job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for values in ({"raster": "ortho.tif"}, {"model": "pools.safetensors"}, {"mask": "area.gpkg"}):
        with pytest.raises(InvalidJob, match="needs its full path"):
            dataclasses.replace(detect_job, **values).validate()


def test_a_result_never_overwrites_an_input(detect_job, tmp_path):
    (tmp_path / "link.gpkg").symlink_to(tmp_path / "area.gpkg")
    for values in ({"raster": "area.gpkg"}, {"mask": "area.gpkg"}, {"mask": "link.gpkg"}):
        values = {name: str(tmp_path / value) for name, value in values.items()}
        job = dataclasses.replace(detect_job, output=str(tmp_path / "area.gpkg"), **values)
        with pytest.raises(InvalidJob, match=r"would overwrite the (raster|area layer)"):
            job.validate()


def test_a_result_never_overwrites_the_geopackage_that_holds_the_raster(detect_job, tmp_path):
    rasters = tmp_path / "rasters.gpkg"
    rasters.touch()
    job = dataclasses.replace(detect_job, raster=f"GPKG:{rasters}:one")
    dataclasses.replace(job, output=str(tmp_path / "found.gpkg")).validate()
    with pytest.raises(InvalidJob, match="would overwrite the raster"):
        dataclasses.replace(job, output=str(rasters)).validate()


def test_an_area_layer_may_name_its_layer(detect_job, tmp_path):
    dataclasses.replace(detect_job, mask=f"{tmp_path / 'area.gpkg'}|layername=fields").validate()


@pytest.mark.parametrize("name", ["/vsicurl/https://example.org/a.tif", "GPKG:/data/a.gpkg:ortho", "WMS:http://a.b/c"])
def test_names_that_only_gdal_understands_are_left_to_it(detect_job, name):
    assert is_gdal_name(name)
    dataclasses.replace(detect_job, raster=name).validate()


def test_a_path_with_a_drive_letter_is_no_gdal_name():
    assert not is_gdal_name(r"C:\data\a.tif")


def test_a_file_with_a_colon_in_its_name_is_no_gdal_name(tmp_path):
    path = tmp_path / "12:30.tif"
    path.touch()
    assert not is_gdal_name(str(path))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"data": ()}, "Choose at least one folder of labelled images, or a raster with a layer of labels."),
        ({"data": ("/nowhere",)}, "The folder '/nowhere' does not exist."),
        ({"output": "/tmp/m.pt"}, "A model is saved as .safetensors, not as 'm.pt'."),
        ({"output": "/nowhere/m.safetensors"}, "The folder '/nowhere' for the model does not exist."),
        ({"epochs": 0}, "Epochs, patience, steps and batch size must be at least 1."),
        ({"batch_size": 0}, "Epochs, patience, steps and batch size must be at least 1."),
        ({"steps_per_epoch": -1}, "Epochs, patience, steps and batch size must be at least 1."),
        ({"tile_px": 63}, "The tile size must lie between 64 and 2048 px, not 63."),
        ({"learning_rate": 0.0}, "The learning rate must lie between 0 and 1."),
        ({"box_loss": "l2"}, "The box loss is one of smooth_l1, giou, not 'l2'."),
        ({"optimiser": "adam"}, "The optimiser is one of adamw, sgd, not 'adam'."),
        ({"schedule": "step"}, "The schedule is one of cosine, one_cycle, steady, not 'step'."),
        ({"schedule": "steady"}, "A steady learning rate needs patience: the epochs without improvement that end it."),
        ({"norm": "layer"}, "The norm is one of auto, batch, group, not 'layer'."),
        ({"patience": 0}, "Epochs, patience, steps and batch size must be at least 1."),
        ({"freeze_backbone": 41}, "The backbone can be frozen for at most as many epochs as there are."),
        ({"clip_gradient": 0.0}, "Clipping must be positive; weight decay and averaging lie between 0 and 1."),
        ({"focal_gamma": -1.0}, "The focal loss needs an alpha between 0 and 1 and a gamma between 0 and 10."),
        ({"seed": -1}, "The seed and the minutes between checkpoints cannot be negative."),
        ({"backbone": "vgg16"}, f"The backbone 'vgg16' is unknown; known are {', '.join(BACKBONES)}."),
        (
            {"start_from": "coco", "backbone": "resnet18"},
            "Weights trained on COCO are those of a ResNet-50. Choose it, or start from 'imagenet'.",
        ),
        ({"start_from": "/nowhere/m.pth"}, "The model to start from '/nowhere/m.pth' does not exist."),
        ({"resolution_m": 0.0}, "The resolution must be a positive number of metres."),
        ({"bands": (0, 1, 2)}, "Bands are counted from 1."),
        ({"augmentation": Augmentation(scale=0.5)}, "The jitter of size is a factor between 1 and 4, not 0.5."),
        ({"augmentation": Augmentation(haze=2.0)}, "The augmentation 'haze' must lie between 0 and 1, not 2."),
        ({"labels": ("/l.gpkg",)}, "Choose the raster that the layer of labels lies over."),
        ({"extent": (0.0, 0.0, 1.0, 1.0)}, "An area of complete labelling belongs to a raster with a layer of labels."),
        ({"device": "tpu"}, "The device 'tpu' is unknown; choose one of auto, cpu, cuda, mps."),
        ({"bands": (1, 2)}, "Each band needs a role."),
    ],
    ids=str,
)
def test_an_impossible_training_is_refused_with_a_sentence(train_job, values, sentence):
    with pytest.raises(InvalidJob) as refusal:
        dataclasses.replace(train_job, **values).validate()
    assert str(refusal.value) == sentence


@pytest.fixture
def raster_job(tmp_path):
    for name in ("a.tif", "b.tif", "l.gpkg"):
        (tmp_path / name).touch()
    rasters = (str(tmp_path / "a.tif"), str(tmp_path / "b.tif"))
    return TrainJob(
        output=str(tmp_path / "m.safetensors"), rasters=rasters, labels=(f"{tmp_path / 'l.gpkg'}|layername=x",)
    )


def test_one_layer_may_lie_over_several_rasters(raster_job):
    raster_job.validate()
    dataclasses.replace(raster_job, labels=raster_job.labels * 2, learning_rate=None, patience=5).validate()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"labels": ()}, "Give one layer of labels for each raster, or one for all of them."),
        ({"labels": ("/l.gpkg",) * 3}, "Give one layer of labels for each raster, or one for all of them."),
        ({"labels": ("/nowhere/l.gpkg|layername=x",)}, "The layer of labels '/nowhere/l.gpkg' does not exist."),
        ({"rasters": ("/nowhere/a.tif",)}, "The raster '/nowhere/a.tif' does not exist."),
        ({"area": "/nowhere/a.gpkg"}, "The area layer '/nowhere/a.gpkg' does not exist."),
        ({"size_m": 0.0}, "The size of points must be a positive number of metres."),
        ({"extent": (1.0, 0.0, 1.0, 1.0)}, "The extent is empty: it needs xmin below xmax and ymin below ymax."),
        ({"extent": (1.0, 0.0, float("nan"), 1.0)}, "The extent must be made of finite numbers."),
    ],
    ids=str,
)
def test_impossible_labels_over_rasters_are_refused_with_a_sentence(raster_job, values, sentence):
    with pytest.raises(InvalidJob) as refusal:
        dataclasses.replace(raster_job, **values).validate()
    assert str(refusal.value) == sentence


def test_going_on_needs_what_an_interrupted_training_left(train_job, tmp_path):
    job = dataclasses.replace(train_job, resume=True)
    with pytest.raises(InvalidJob, match="There is no interrupted training to go on with"):
        job.validate()
    (tmp_path / "m.safetensors.partial").touch()
    job.validate()


def test_the_schedule_is_steady_where_there_is_patience(train_job):
    assert [dataclasses.replace(train_job, patience=p).schedule_in_use for p in (None, 3)] == ["cosine", "steady"]
    assert dataclasses.replace(train_job, patience=3, schedule="one_cycle").schedule_in_use == "one_cycle"


def test_a_job_cannot_carry_what_json_cannot(detect_job):
    with pytest.raises(ValueError):
        job_to_json(dataclasses.replace(detect_job, threshold=float("nan")))
    assert json.loads(job_to_json(detect_job))["job"] == "detect"
