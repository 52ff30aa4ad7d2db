"""From a review to a training, and from a training to a detection."""

from pathlib import Path

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from tilehawk.ui.review.training_inputs import TrainingInputs

from tests.ui.scenery import DETECTIONS, write_detections


@pytest.fixture
def inputs(raster, tmp_path):
    reviewed = write_detections(tmp_path / "reviewed.gpkg", DETECTIONS, gaps=1)
    layers = (f"{reviewed}|layername={name}" for name in ("detections", "not_examined"))
    return TrainingInputs(raster, *layers, "class", "id", ("pool", "tree"), None, 3, 1, 1)


def test_a_review_fills_the_dialog(plugin, inputs):
    plugin.training.train_with(inputs)
    values = plugin.training.dialog.form._parameters.values()
    assert values["CLASS_FIELD"] == "class"
    assert values["IGNORE_FIELD"] == "id"
    names = [layer.name() for layer in QgsProject.instance().mapLayers().values()]
    assert sorted(names) == ["Ground that was reviewed", "Labels from the review"]
    area = plugin.training.dialog.form.area.parameters()["MASK"]
    layer = QgsProject.instance().mapLayer(area.source.staticValue())
    assert isinstance(layer, QgsVectorLayer)
    assert layer.name() == "Ground that was reviewed"


def test_the_model_that_was_reviewed_is_the_start(plugin, inputs, model):
    plugin.training.train_with(TrainingInputs(**{**vars(inputs), "start_from": model}))
    form = plugin.training.dialog.form
    assert form.start.currentData() == model
    assert form.start.currentText() == "Pools and trees"


def test_a_finished_model_goes_to_detection(plugin, model):
    plugin.training.show()
    plugin.training.dialog.detect_asked.emit(model)
    assert Path(plugin.dialog.form.model.path()) == Path(model)


def test_unloading_takes_the_dialog_away(plugin):
    plugin.training.show()
    plugin.unload()
    assert plugin.provider is None
