"""The pre-flight tells what the detection then does: the same raster, tiles and device; and warns with a remedy."""

import dataclasses

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from core.detect import detect
from core.here import load_detector
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.errors import Cancelled, InvalidJob
from core.job.jobs import DetectJob, PreflightJob, job_from_json, job_to_json
from core.preflight import Preflight
from core.retinanet.network import build_network
from core.retinanet.weights import save_model

CARD = ModelCard(
    name="untrained",
    classes=(ObjectClass("thing"),),
    bands=(Band("red"), Band("green"), Band("blue")),
    resolution_m=0.6,
    tile_px=128,
    overlap_px=32,
    architecture=Architecture(
        backbone="resnet18",
        backbone_stages=2,
        levels=("P2", "P3"),
        channels=8,
        head_channels=8,
        head_depth=1,
        anchor_sizes=(8.0, 16.0),
    ),
)


def never():
    return False


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    torch.manual_seed(0)
    save_model(path, CARD, build_network(CARD.architecture, 1, 3).state_dict())
    return str(path)


@pytest.fixture
def make_job(tmp_path, model):
    def make(pixel_m=0.6, side=300, dtype="uint8", **options):
        path = tmp_path / f"raster-{pixel_m}.tif"
        values = np.random.default_rng(1).integers(40, 200, (3, side, side)).astype(dtype)
        where = from_origin(500_000, 4_000_000, pixel_m, pixel_m)
        with rasterio.open(
            path, "w", driver="GTiff", width=side, height=side, count=3, dtype=dtype, crs="EPSG:32611", transform=where,
            nodata=0,
        ) as dataset:  # fmt: skip
            dataset.write(values)
        return DetectJob(str(path), model, str(tmp_path / "out.gpkg"), device="cpu", **options)

    return make


def test_what_is_told_is_what_the_detection_does(make_job):
    job = make_job(resolution_m="model")
    events = []
    facts = Preflight(load_detector)(job, events.append, never)
    done = detect(job, lambda _: None, never)
    assert facts["tiles"] == done["tiles"] == 9
    assert (facts["device"], facts["backend"]) == (done["device"], done["backend"])
    assert 0 < facts["seconds"] < 60
    assert facts["bands"] == {"red": 1, "green": 2, "blue": 3}
    assert (facts["dtype"], facts["nodata"]) == ("uint8", 0.0)
    assert facts["source_resolution_m"] == pytest.approx(0.6, rel=0.01)
    assert not facts["resampled"]
    assert facts["warnings"] == []
    (event,) = events
    assert event["event"] == "preflight"
    assert event["tiles"] == 9
    assert "seconds" not in event  # what is known before the model is loaded comes first


def test_area_and_tile_change_the_plan(make_job):
    preflight = Preflight(load_detector)
    whole = preflight(make_job(), print, never)
    x, y = 500_000, 4_000_000
    part = preflight(make_job(extent=(x, y - 60, x + 60, y)), print, never)
    assert part["tiles"] < whole["tiles"]
    assert preflight(make_job(tile_px=256, overlap_px=64), print, never)["tiles"] < whole["tiles"]


def test_a_cluster_is_named_and_not_asked(make_job):
    def refuse(path, device):
        raise AssertionError("no model is loaded here")

    facts = Preflight(refuse)(make_job(cluster="tcp://127.0.0.1:9"), print, never)
    assert (facts["device"], facts["backend"]) == ("Dask cluster tcp://127.0.0.1:9", "dask")
    assert facts["tiles"] == 9
    assert "seconds" not in facts


def test_what_is_costly_is_done_once(make_job, monkeypatch):
    from core import preflight as module

    looks, probes = [], []
    look, probe = module.unlike_the_model, module._seconds_a_tile
    monkeypatch.setattr(module, "unlike_the_model", lambda *these: looks.append(1) or look(*these))
    monkeypatch.setattr(module, "_seconds_a_tile", lambda *these: probes.append(1) or probe(*these))
    preflight = Preflight(load_detector)
    job = make_job()
    for threshold in (0.2, 0.3, 0.4):
        preflight(dataclasses.replace(job, threshold=threshold), print, never)
    assert (len(looks), len(probes)) == (1, 1)
    preflight(dataclasses.replace(job, value_range=(0, 100)), print, never)
    assert (len(looks), len(probes)) == (2, 1)


@pytest.mark.parametrize(("pixel_m", "words"), [(1.2, "Small objects will be missed"), (3.0, "Most objects")])
def test_coarse_rasters_are_warned_of_with_a_remedy(make_job, pixel_m, words):
    facts = Preflight(load_detector)(make_job(pixel_m, side=60), print, never)
    (warning,) = facts["warnings"]
    assert words in warning["text"]
    assert "finer raster" in warning["remedy"]
    assert facts["resampled"]


def test_a_full_disk_is_warned_of(make_job, monkeypatch):
    from core import preflight as module

    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000_000})())
    (warning,) = Preflight(load_detector)(make_job(), print, never)["warnings"]
    assert "Only 5 MB are free" in warning["text"]


def test_what_the_detection_refuses_is_refused(make_job):
    with pytest.raises(InvalidJob, match="extent does not meet"):
        Preflight(load_detector)(make_job(extent=(0, 0, 1, 1)), print, never)


def test_it_can_be_stopped_before_the_model_is_loaded(make_job):
    with pytest.raises(Cancelled):
        Preflight(lambda *_: pytest.fail("the model was loaded"))(make_job(), print, lambda: True)


def test_job_survives_the_round_trip(make_job):
    job = PreflightJob(make_job(extent=(0.0, 0.0, 1.0, 1.0)))
    assert job_from_json(job_to_json(job)) == job
    assert job.output == job.detection.output
