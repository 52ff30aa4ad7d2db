"""The training algorithm: what it refuses and in which words, what it hands to the worker and gives back."""

from dataclasses import replace
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from tilehawk.core.job.train_job import TrainJob

from tests.ui.algorithm_calls import memory_layer, refusal, run, square
from tests.ui.scenery import CARD, ORIGIN, write_card


@pytest.fixture
def algorithm(plugin):
    return QgsApplication.processingRegistry().createAlgorithmById("tilehawk:train")


@pytest.fixture
def labels():
    """A memory layer of two pools and a tree, the tree doubtful."""
    drawn = enumerate((("pool", False), ("pool", False), ("tree", True)))
    rows = [(square(ORIGIN[0] + 5 + 15 * place, ORIGIN[1] - 20, 7), *attributes) for place, attributes in drawn]
    return memory_layer("labels", "field=kind:string&field=unsure:bool", rows)


@pytest.fixture
def values(raster, labels, tmp_path):
    return {
        "INPUT": raster,
        "LABELS": labels,
        "CLASS_FIELD": "kind",
        "START_FROM": "",
        "OUTPUT": str(tmp_path / "mine.safetensors"),
    }


def saved(layer, path):
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "drawn"
    QgsVectorFileWriter.writeAsVectorFormatV3(layer, str(path), QgsProject.instance().transformContext(), options)
    return QgsVectorLayer(f"{path}|layername=drawn", "drawn")


def test_every_parameter_is_explained(algorithm):
    assert all(parameter.help() for parameter in algorithm.parameterDefinitions())
    assert algorithm.parameterDefinition("OUTPUT").defaultFileExtension() == "safetensors"


def test_values_in_order_are_accepted(algorithm, values, context, stand_in):
    assert algorithm.checkParameterValues(values, context) == (True, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LABELS": None, "CLASS_FIELD": None}, "Choose the layer of labels that lies over the raster."),
        ({"INPUT": None}, "Choose the raster that the labels lie over."),
        ({"INPUT": None, "LABELS": None, "CLASS_FIELD": None}, "Choose a raster with a layer of labels, or a folder"),
        ({"FOLDER": "/nowhere"}, "The folder '/nowhere' does not exist."),
        ({"START_FROM": "fire-hydrants"}, "There is no model 'fire-hydrants'."),
        ({"OUTPUT": "/tmp/model.pt"}, "A model is saved as .safetensors, not as 'model.pt'."),
        ({"SCALES": "one, two"}, "'one' is no factor"),
        ({"AUGMENTATION": "fog=1"}, "There is no augmentation 'fog'"),
    ],
)
def test_refused_in_a_sentence(algorithm, values, context, stand_in, changes, sentence):
    assert sentence in refusal(algorithm, {**values, **changes}, context)


def test_run_gives_the_model_and_its_figures(algorithm, values, context, stand_in):
    feedback = QgsProcessingFeedback()
    results, ok = run(algorithm, values, context, feedback)
    assert ok
    assert results == {
        "OUTPUT": values["OUTPUT"],
        "AP50": 0.75,
        "F1": pytest.approx(0.6),
        "THRESHOLD": 0.4,
        "SECONDS": 75,
        "TRAINED": "AP50 0.75, F1 0.60 at threshold 0.40, in 75 s",
        "COMPARED": "",
        "KEPT": "",
    }
    assert results["TRAINED"] in feedback.textLog()


def test_parameters_reach_the_job(algorithm, values, context, stand_in, tmp_path):
    changes = {
        "IGNORE_FIELD": "unsure", "POINT_SIZE": 6.0, "RESOLUTION": 0.3, "BACKBONE": "resnet18", "EPOCHS": 12,
        "PATIENCE": 3, "TITLE": "Ours", "TILE": 128, "BATCH_SIZE": 4, "LEARNING_RATE": 0.001, "FREEZE": 2,
        "SCALES": "2^0, 2^1/2", "RATIOS": "1", "AUGMENTATION": "none", "SEED": 7, "DEVICE": "cpu", "BANDS": [3, 2, 1],
    }  # fmt: skip
    run(algorithm, {**values, **changes}, context)
    (job,) = stand_in.jobs()
    assert isinstance(job, TrainJob)
    wanted = {
        "rasters": (values["INPUT"],), "class_field": "kind", "ignore_field": "unsure", "size_m": 6.0, "classes": None,
        "resolution_m": 0.3, "backbone": "resnet18", "epochs": 12, "patience": 3, "title": "Ours", "tile_px": 128,
        "batch_size": 4, "learning_rate": 0.001, "freeze_backbone": 2, "anchor_scales": (1.0, 2**0.5),
        "anchor_ratios": (1.0,), "seed": 7, "device": "cpu", "bands": (3, 2, 1), "start_from": None,
        "band_roles": ("red", "green", "blue"),
    }  # fmt: skip
    assert {name: getattr(job, name) for name in wanted} == wanted
    assert job.augmentation.turns == 0


def test_the_page_of_the_model_speaks_the_language_of_qgis(algorithm, values, context, stand_in, monkeypatch):
    monkeypatch.setattr(QgsApplication, "locale", lambda: "de_AT")
    run(algorithm, values, context)
    assert stand_in.jobs()[0].language == "de"


def test_without_a_class_field_the_class_has_a_name(algorithm, values, context, stand_in):
    run(algorithm, {**values, "CLASS_FIELD": None, "CLASS_NAME": "pool"}, context)
    assert stand_in.jobs()[0].classes == ("pool",)
    assert stand_in.jobs()[0].class_field is None


def test_a_bundled_model_is_a_start(algorithm, values, context, stand_in):
    run(algorithm, {**values, "START_FROM": "swimming-pools"}, context)
    (job,) = stand_in.jobs()
    assert Path(job.start_from).name == "swimming-pools.safetensors"


def test_layers_that_are_no_files_are_kept_beside_the_model(algorithm, values, labels, context, stand_in, tmp_path):
    run(algorithm, {**values, "AREA": labels}, context)
    (job,) = stand_in.jobs()
    assert job.labels == (f"{tmp_path}/mine-labels.gpkg|layername=mine-labels",)
    assert job.area == f"{tmp_path}/mine-area.gpkg|layername=mine-area"
    copy = QgsVectorLayer(job.labels[0])
    assert [f["kind"] for f in copy.getFeatures()] == ["pool", "pool", "tree"]
    assert copy.crs() == labels.crs()


def test_a_file_is_read_where_it_lies(algorithm, values, labels, context, stand_in, tmp_path):
    path = tmp_path / "drawn.gpkg"
    layer = saved(labels, path)
    QgsProject.instance().addMapLayer(layer)
    run(algorithm, {**values, "LABELS": layer}, context)
    assert stand_in.jobs()[0].labels == (f"{path}|layername=drawn",)
    assert not (tmp_path / "mine-labels.gpkg").exists()


def test_selection_and_filter_count(algorithm, values, labels, context, stand_in, tmp_path):
    layer = saved(labels, tmp_path / "drawn.gpkg")
    QgsProject.instance().addMapLayer(layer)
    layer.selectByExpression("kind = 'tree'")
    chosen = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    run(algorithm, {**values, "LABELS": chosen}, context)
    layer.removeSelection()
    layer.setSubsetString("kind = 'pool'")
    run(algorithm, {**values, "LABELS": layer, "OUTPUT": str(tmp_path / "other.safetensors")}, context)
    kinds = [[feature["kind"] for feature in QgsVectorLayer(job.labels[0]).getFeatures()] for job in stand_in.jobs()]
    assert kinds == [["tree"], ["pool", "pool"]]


def test_cancelled_training_can_be_gone_on_with(algorithm, values, context, stand_in):
    stand_in.plan(error=("Cancelled", "Cancelled."))
    feedback = QgsProcessingFeedback()
    results, _ = run(algorithm, values, context, feedback)
    assert results == {}
    assert "can be gone on with" in feedback.textLog()


def test_labels_that_an_earlier_model_learnt_from_are_left_alone(algorithm, values, context, stand_in, tmp_path):
    """A review's labels are no file that stays: each training keeps its own copy, which the next one mixes in."""
    for name in ("mine-labels.gpkg", "mine-labels-2.gpkg"):
        (tmp_path / name).write_bytes(b"earlier")
    sources = [{"source": {"labels": f"{tmp_path / name}|layername=x"}} for name in ("mine-labels.gpkg", "other.gpkg")]
    start = write_card(tmp_path / "start.safetensors", replace(CARD, training={"sources": sources}))
    old = [{"source": {"labels": str(tmp_path / "mine-labels-2.gpkg"), "area": None}}]
    write_card(tmp_path / "mine.safetensors", replace(CARD, training={"sources": old}))
    _, ok = run(algorithm, {**values, "START_FROM": str(start)}, context)
    assert ok
    (job,) = (job for job in stand_in.jobs() if isinstance(job, TrainJob))
    assert job.labels == (f"{tmp_path}/mine-labels-3.gpkg|layername=mine-labels-3",)
    for name in ("mine-labels.gpkg", "mine-labels-2.gpkg"):
        assert (tmp_path / name).read_bytes() == b"earlier"
