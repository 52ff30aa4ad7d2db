"""Export training data: what it refuses, what it hands to the worker, and what the real worker writes."""

from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsGeometry,
    QgsPointXY,
    QgsVectorLayer,
)
from tilehawk.core.job.jobs import ExportJob

from tests.ui.algorithm_calls import memory_layer, refusal, run
from tests.ui.installed import WORKER_PYTHON
from tests.ui.scenery import ORIGIN


@pytest.fixture
def algorithm(plugin):
    return QgsApplication.processingRegistry().createAlgorithmById("tilehawk:exporttrainingdata")


@pytest.fixture
def labels():
    """A memory layer of three palms as points."""
    points = [QgsPointXY(ORIGIN[0] + 10 + 18 * place, ORIGIN[1] - 12) for place in range(3)]
    rows = [(QgsGeometry.fromPointXY(point), "palm", 6.0, False) for point in points]
    return memory_layer("palms", "field=kind:string&field=wide:double&field=unsure:bool", rows, "Point")


@pytest.fixture
def values(raster, labels, tmp_path):
    return {"INPUT": raster, "LABELS": labels, "POINT_SIZE": 6, "OUTPUT": str(tmp_path / "chips")}


def test_every_parameter_is_explained(algorithm):
    assert all(parameter.help() for parameter in algorithm.parameterDefinitions())
    assert [output.name() for output in algorithm.outputDefinitions()] == ["OUTPUT", "CHIPS", "OBJECTS"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"TILE": 64, "STEP": 65}, "The distance between chips must lie between 1 px and a chip's side, not 65."),
        ({"OUTPUT": "/nowhere/else/chips"}, "The folder '/nowhere/else' for the folder of chips does not exist."),
        ({"FORMAT": "tfrecord"}, "FORMAT"),
    ],
)
def test_refused_in_a_sentence(algorithm, values, context, stand_in, changes, sentence):
    assert sentence.casefold() in refusal(algorithm, {**values, **changes}, context).casefold()


def test_parameters_reach_the_job(algorithm, values, context, stand_in):
    changes = {
        "CLASS_FIELD": "kind", "FORMAT": "coco", "TILE": 64, "STEP": 32, "EMPTY": True, "LEAST_VISIBLE": 0.5,
        "SIZE_FIELD": "wide", "IGNORE_FIELD": "unsure",
    }  # fmt: skip
    results, _ = run(algorithm, {**values, **changes}, context)
    (job,) = stand_in.jobs()
    assert job == ExportJob(
        raster=values["INPUT"], labels=job.labels, output=values["OUTPUT"], format="coco", class_field="kind",
        size_m=6.0, size_field="wide", ignore_field="unsure", tile_px=64, step_px=32, empty=True, least_visible=0.5,
    )  # fmt: skip
    assert QgsVectorLayer(job.labels).featureCount() == 3
    assert results == {"OUTPUT": values["OUTPUT"], "CHIPS": 4, "OBJECTS": 7}


def test_what_is_left_out_is_the_jobs_own(algorithm, values, context, stand_in):
    run(algorithm, {**values, "POINT_SIZE": None}, context)
    (job,) = stand_in.jobs()
    assert job == ExportJob(values["INPUT"], job.labels, values["OUTPUT"])


def test_a_temporary_folder_will_do(algorithm, values, context, stand_in):
    results, ok = run(algorithm, {**values, "OUTPUT": "TEMPORARY_OUTPUT"}, context)
    assert ok
    assert Path(results["OUTPUT"]).is_dir()


@pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
def test_the_whole_way_with_the_real_worker(algorithm, values, context, monkeypatch):
    monkeypatch.setenv("TILEHAWK_PYTHON", str(WORKER_PYTHON))
    results, ok = run(algorithm, {**values, "TILE": 64, "FORMAT": "voc"}, context)
    assert ok
    folder = Path(results["OUTPUT"])
    assert results["CHIPS"] == len(list((folder / "images").glob("*.tif"))) == 2
    assert results["OBJECTS"] == 3
