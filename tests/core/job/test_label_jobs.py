import dataclasses

import pytest

from core.job.errors import InvalidJob
from core.job.jobs import job_from_json, job_to_json
from core.job.label_jobs import CHIP_FORMATS, EvaluateJob, ExportJob


@pytest.fixture
def layers(tmp_path):
    for name in ("found.gpkg", "true.gpkg", "ortho.tif"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.fixture
def evaluate_job(layers):
    return EvaluateJob(f"{layers / 'found.gpkg'}|layername=detections", str(layers / "true.gpkg"))


@pytest.fixture
def export_job(layers):
    return ExportJob(str(layers / "ortho.tif"), str(layers / "true.gpkg"), str(layers / "chips"))


def test_jobs_survive_the_round_trip(evaluate_job, export_job):
    full = dataclasses.replace(evaluate_job, iou=0.3, threshold=0.25, area="a.gpkg", class_field="Größe")
    chips = [dataclasses.replace(export_job, format=name, step_px=64, classes=("a", "b")) for name in CHIP_FORMATS]
    for job in (evaluate_job, full, export_job, *chips):
        assert job_from_json(job_to_json(job)) == job


def test_possible_jobs_are_valid(evaluate_job, export_job, layers):
    evaluate_job.validate()
    dataclasses.replace(evaluate_job, output=str(layers / "r.html"), raster="/vsicurl/https://a.b/c.tif").validate()
    export_job.validate()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"detections": ""}, "Choose the layer of detections."),
        ({"truth": "/nowhere/t.gpkg"}, "The layer of true objects '/nowhere/t.gpkg' does not exist."),
        ({"area": "/nowhere/a.gpkg|layername=x"}, "The area layer '/nowhere/a.gpkg' does not exist."),
        ({"raster": "/nowhere/r.tif"}, "The raster '/nowhere/r.tif' does not exist."),
        ({"iou": 0.0}, "The least overlap (IoU) must lie above 0 and up to 1, not 0."),
        ({"iou": float("nan")}, "The least overlap (IoU) must lie above 0 and up to 1, not nan."),
        ({"threshold": 1.5}, "The threshold must lie between 0 and 1, not 1.5."),
        ({"output": "/tmp/report.pdf"}, "The report is written as .html, not as 'report.pdf'."),
        ({"output": "/nowhere/report.html"}, "The folder '/nowhere' for the report does not exist."),
    ],
    ids=str,
)
def test_an_impossible_evaluation_is_refused_with_a_sentence(evaluate_job, values, sentence):
    with pytest.raises(InvalidJob) as refusal:
        dataclasses.replace(evaluate_job, **values).validate()
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"raster": ""}, "Choose the raster."),
        ({"labels": ""}, "Choose the layer of labels."),
        ({"format": "tfrecord"}, "Chips are written as arcgis, coco, voc, yolo, kitti, csv, not as 'tfrecord'."),
        ({"tile_px": 31}, "The chip size must lie between 32 and 8192 px, not 31."),
        ({"step_px": 0}, "The distance between chips must lie between 1 px and a chip's side, not 0."),
        ({"size_m": 0.0}, "The size of a point's box must be a positive number of metres."),
        ({"least_visible": 1.1}, "The least visible share must lie above 0 and up to 1, not 1.1."),
        ({"output": "/nowhere/on/chips"}, "The folder '/nowhere/on' for the folder of chips does not exist."),
    ],
    ids=str,
)
def test_an_impossible_export_is_refused_with_a_sentence(export_job, values, sentence):
    with pytest.raises(InvalidJob) as refusal:
        dataclasses.replace(export_job, **values).validate()
    assert str(refusal.value) == sentence
