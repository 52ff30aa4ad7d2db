"""Compute accuracy: what it refuses, what it hands to the worker, and the table and page it gives back."""

import threading
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from tilehawk.core.job.jobs import EvaluateJob

from tests.ui.algorithm_calls import memory_layer, refusal, run, square
from tests.ui.installed import WORKER_PYTHON
from tests.ui.scenery import ORIGIN


def boxes(name, fields, rows):
    """A memory layer of boxes of 7 m: rows of place and attributes."""
    squares = [(square(ORIGIN[0] + 2 + 10 * place, ORIGIN[1] - 20, 7), *attributes) for place, *attributes in rows]
    return memory_layer(name, fields, squares)


@pytest.fixture
def algorithm(plugin):
    return QgsApplication.processingRegistry().createAlgorithmById("tilehawk:evaluate")


@pytest.fixture
def detected():
    """Two pools that are there, a third that is not, and a weak one below any sensible threshold."""
    rows = [(0, "pool", 0.9), (1, "pool", 0.8), (4, "pool", 0.7), (3, "pool", 0.1)]
    return boxes("found", "field=class:string&field=score:double", rows)


@pytest.fixture
def truth():
    return boxes("truth", "field=kind:string", [(0, "Pool"), (1, "pool"), (2, "pool")])


@pytest.fixture
def values(detected, truth, tmp_path):
    return {
        "DETECTED": detected,
        "TRUTH": truth,
        "TRUTH_CLASS_FIELD": "kind",
        "OUTPUT": str(tmp_path / "accuracy.gpkg"),
        "REPORT": str(tmp_path / "accuracy.html"),
    }


def test_every_parameter_is_explained(algorithm):
    assert all(parameter.help() for parameter in algorithm.parameterDefinitions())
    outputs = [output.name() for output in algorithm.outputDefinitions()]
    assert outputs == ["OUTPUT", "REPORT", "PRECISION", "RECALL", "F1", "AP", "THRESHOLD_USED", "FOUND"]
    assert algorithm.outputDefinition("REPORT").type() == "outputHtml"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MIN_IOU": 0.0}, "MIN_IOU"),
        ({"THRESHOLD": 2.0}, "THRESHOLD"),
        ({"RASTER": "/nowhere/a.tif"}, "/nowhere/a.tif not found"),
    ],
)
def test_refused_in_a_sentence(algorithm, values, context, stand_in, changes, sentence):
    assert sentence.casefold() in refusal(algorithm, {**values, **changes}, context).casefold()


def test_a_raster_that_is_no_file_gives_no_pictures(algorithm, values, context, stand_in):
    layer = QgsRasterLayer("type=xyz&url=http://127.0.0.1:1/{z}/{x}/{y}.png&zmax=1", "web", "wms")
    QgsProject.instance().addMapLayer(layer)
    said = refusal(algorithm, {**values, "RASTER": layer}, context)
    assert "is no file" in said or "a raster that is a file" in said


def test_parameters_reach_the_job_and_memory_layers_as_files(algorithm, values, context, stand_in, raster):
    changes = {"MIN_IOU": 0.3, "THRESHOLD": 0.2, "RASTER": raster, "SCORE_FIELD": "score", "AREA": values["TRUTH"]}
    run(algorithm, {**values, **changes}, context)
    (job,) = stand_in.jobs()
    assert (job.iou, job.threshold, job.raster, job.output) == (0.3, 0.2, raster, values["REPORT"])
    assert (job.class_field, job.truth_class_field, job.score_field) == (None, "kind", "score")
    assert [QgsVectorLayer(path).featureCount() for path in (job.detections, job.truth, job.area)] == [4, 3, 3]


def test_the_report_speaks_the_language_of_qgis(algorithm, values, context, stand_in, monkeypatch):
    for locale in ("pt_BR", "nl_NL"):  # the second one has no catalogue
        monkeypatch.setattr(QgsApplication, "locale", lambda locale=locale: locale)
        run(algorithm, values, context)
    assert [job.language for job in stand_in.jobs()] == ["pt", "en"]


def test_a_filter_on_the_detections_counts(algorithm, values, context, stand_in):
    values["DETECTED"].setSubsetString('"score" >= 0.5')
    run(algorithm, values, context)
    assert QgsVectorLayer(stand_in.jobs()[0].detections).featureCount() == 3


def test_the_table_has_a_row_for_each_class_and_one_for_all(algorithm, values, context, stand_in):
    results, _ = run(algorithm, values, context)
    table = QgsVectorLayer(results["OUTPUT"])
    rows = [
        {name: feature[name] for name in table.fields().names() if name != "fid"} for feature in table.getFeatures()
    ]
    assert rows[0] == {
        "Class": "pool", "Precision": 0.8, "Recall": 0.9, "F1_Score": 0.847, "AP": 0.875, "IoU": 0.5, "Threshold": 0.4,
        "True_Positive": 9, "False_Positive": 2, "False_Negative": 1,
    }  # fmt: skip
    assert [row["Class"] for row in rows] == ["pool", "tub", "All classes"]
    assert not rows[1]["AP"]  # no truth of this class, no figure
    assert results["F1"] == 0.847
    assert results["REPORT"] == values["REPORT"]
    assert results["FOUND"] == "F1 0.847, precision 0.800, recall 0.900 at IoU 0.5, score 0.40"


def test_a_report_can_be_left_out_and_the_table_be_a_csv(algorithm, values, context, stand_in, tmp_path):
    changes = {"REPORT": None, "OUTPUT": str(tmp_path / "accuracy.csv")}
    results, _ = run(algorithm, {**values, **changes}, context)
    assert "REPORT" not in results
    assert stand_in.jobs()[0].output == ""
    assert (tmp_path / "accuracy.csv").read_text().splitlines()[1].startswith("pool,0.8,0.9")


@pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
def test_the_whole_way_with_the_real_worker(algorithm, values, raster, monkeypatch):
    monkeypatch.setenv("TILEHAWK_PYTHON", str(WORKER_PYTHON))
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    results, ok = run(algorithm, {**values, "RASTER": raster, "THRESHOLD": 0.5}, context)
    assert ok
    assert results["PRECISION"] == pytest.approx(2 / 3, abs=1e-3)
    assert results["RECALL"] == pytest.approx(2 / 3, abs=1e-3)
    page = Path(results["REPORT"]).read_text("utf-8")
    assert "Worst misses" in page
    assert "data:image/png" in page


def test_cancel_writes_nothing_also_without_a_report(algorithm, values, context, stand_in):
    stand_in.plan(seconds=60)
    feedback = QgsProcessingFeedback()
    timer = threading.Timer(1.0, feedback.cancel)
    timer.start()
    results, _ = run(algorithm, {**values, "REPORT": None}, context, feedback)
    timer.join()
    assert results == {}
    assert not Path(values["OUTPUT"]).exists()


def test_jobs_are_told_apart(algorithm, values, context, stand_in):
    run(algorithm, values, context)
    assert isinstance(stand_in.jobs()[0], EvaluateJob)
