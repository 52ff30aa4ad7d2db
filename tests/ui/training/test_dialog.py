"""The Train dialog: what the form asks for, and how a training is shown from start to end."""

from dataclasses import replace

import pytest
from qgis.core import QgsGeometry, QgsPointXY, QgsProject, QgsRasterLayer
from qgis.PyQt.QtWidgets import QPushButton
from tilehawk.core.job.train_job import SurveyJob, TrainJob

from tests.ui.algorithm_calls import memory_layer
from tests.ui.scenery import CARD, ORIGIN, click, wait_until, write_card


def layer_of(kind, *points, field="kind"):
    middles = [QgsGeometry.fromPointXY(QgsPointXY(ORIGIN[0] + x, ORIGIN[1] - y)) for x, y in points]
    rows = [(middle if kind == "Point" else middle.buffer(3, 4), "pool") for middle in middles]
    return memory_layer("labels", f"field={field}:string", rows, kind)


@pytest.fixture
def labels(qgis_app):
    return layer_of("Polygon", (10, 10), (30, 30))


@pytest.fixture
def dialog(raster_layer, labels, train_dialog, tmp_path):
    train_dialog.fill(raster_layer, labels, CLASS_FIELD="kind")
    train_dialog.form.output.setFilePath(str(tmp_path / "mine"))
    return train_dialog


def shown(dialog, name):
    return all(widget.isVisible() for widget in dialog.form._rows[name])


def test_a_training_from_start_to_end(dialog, stand_in, tmp_path):
    asked = []
    dialog.detect_asked.connect(asked.append)
    click(dialog.run_button)
    assert dialog.cancel_button.isVisible()
    assert not dialog.run_button.isVisible()
    wait_until(lambda: dialog.back_button.isVisible())
    assert dialog.curve.best() == 3
    assert dialog.sample.round == 3
    assert dialog.sample.image is not None
    assert "Round 3: AP50 0.75, F1 0.60. Best so far: round 3." in dialog.facts.text()
    (job,) = (job for job in stand_in.jobs() if isinstance(job, TrainJob))
    assert job.output == str(tmp_path / "mine.safetensors")
    assert (job.class_field, job.patience, job.epochs) == ("kind", 6, 40)
    (detect,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Detect with this model"]
    click(detect)
    assert asked == [job.output]
    click(dialog.back_button)
    assert dialog.run_button.isVisible()


def test_what_is_missing_is_said(dialog, stand_in):
    dialog.form.output.setFilePath("")
    click(dialog.run_button)
    assert dialog.messages.currentItem().text() == "Say where to save the model."
    assert not any(isinstance(job, TrainJob) for job in stand_in.jobs())


def test_a_problem_of_the_worker_is_shown(dialog, stand_in):
    stand_in.plan(error=("LabelError", "There is no object to train on."))
    click(dialog.run_button)
    wait_until(lambda: dialog.back_button.isVisible())
    assert "There is no object to train on." in dialog.messages.currentItem().text()


def test_cancel_says_how_to_go_on(dialog, stand_in):
    stand_in.plan(seconds=30)
    click(dialog.run_button)
    wait_until(lambda: stand_in.pid() is not None)
    click(dialog.cancel_button)
    wait_until(lambda: dialog.back_button.isVisible())
    assert "Go on with an interrupted training" in dialog.status.text()


def test_rows_follow_the_choices(dialog):
    assert not shown(dialog, "CLASS_NAME")
    assert not shown(dialog, "POINT_SIZE")
    assert not shown(dialog, "BACKBONE")
    dialog.form.set_labels(None, layer_of("Point", (10, 10), field="species"))
    assert shown(dialog, "CLASS_NAME")
    assert shown(dialog, "POINT_SIZE")
    dialog.form.start.setCurrentIndex(dialog.form.start.findData(""))
    assert shown(dialog, "BACKBONE")
    assert dialog.form.parameters()["START_FROM"] == ""


def test_all_epochs_without_the_early_end(dialog):
    dialog.form.until_best.setChecked(False)
    assert "PATIENCE" not in dialog.form.parameters()


def test_a_survey_tells_what_there_is_to_learn(dialog, stand_in, tmp_path):
    wait_until(lambda: "CPU" in dialog.card.fact("device"))
    assert dialog.card.headline.text() == "30 objects, about 5 min for 40 epochs"
    assert "pool" in dialog.card.classes.text()
    assert dialog.card.fact("anchors").startswith("10, 20 pixels reach 99% of the objects")
    assert any("only 20 objects" in sentence for sentence in dialog.card.sentences())
    job = next(job for job in stand_in.jobs() if isinstance(job, SurveyJob)).training
    assert job.class_field == "kind"
    assert not list(tmp_path.glob("*-labels.gpkg"))


def test_what_keeps_a_survey_from_being_made_is_said(dialog):
    dialog.form.set_value("SCALES", "one")
    wait_until(lambda: dialog.card.headline.text() == "Not ready yet")
    assert "is no factor" in dialog.card.sentences()[0]


def test_a_project_that_closes_leaves_no_old_facts(dialog, stand_in):
    wait_until(lambda: "CPU" in dialog.card.fact("device"))
    QgsProject.instance().clear()
    wait_until(lambda: dialog.card.headline.text() == "Not ready yet")


def test_the_dialog_comes_back_from_the_map_with_its_raster(dialog, qgis_iface, raster_layer):
    other = QgsRasterLayer(raster_layer.source(), "other")
    QgsProject.instance().addMapLayer(other)
    qgis_iface.setActiveLayer(other)  # what is active in QGIS counts when the dialog is opened, not when it comes back
    dialog.form.area.start_drawing()
    assert not dialog.isVisible()
    qgis_iface.mapCanvas().unsetMapTool(qgis_iface.mapCanvas().mapTool())
    wait_until(dialog.isVisible)
    assert dialog.form.parameters()["INPUT"] == raster_layer.id()


WORSE = {
    "model": "mine.safetensors",
    "images": 4,
    "objects": 41,
    "iou": 0.5,
    "decides": "ap50",
    "old": {"ap30": 0.9, "ap50": 0.84, "f1": 0.8, "found": 35, "wrong": 3},
    "new": {"ap30": 0.9, "ap50": 0.71, "f1": 0.7, "found": 30, "wrong": 5},
    "difference": {"ap30": 0.0, "ap50": -0.13, "f1": -0.1},
    "intervals": {"ap50": [-0.2, -0.05]},
}


def test_a_worse_model_is_called_so_and_replaces_the_old_one_only_if_asked(dialog, stand_in, tmp_path):
    old, new = tmp_path / "mine.safetensors", tmp_path / "mine-2.safetensors"
    old.write_bytes(b"old weights")
    (tmp_path / "mine.blocks.gpkg").write_bytes(b"old blocks")
    stand_in.plan(trained={"output": str(new), "kept": str(old), "compared": WORSE})
    click(dialog.run_button)
    wait_until(lambda: dialog.back_button.isVisible())
    assert dialog.facts.text() == (
        "On the same 4 test images the new model is worse than the old one: AP at IoU 0.5 is 0.71, and was 0.84; of 41 "
        "objects it finds 5 fewer, and 2 more of its detections are wrong."
    )
    assert "mine-2.safetensors" in dialog.messages.currentItem().text()
    assert old.read_bytes() == b"old weights"
    (button,) = [button for button in dialog.findChildren(QPushButton) if button.text() == "Replace the old one"]
    click(button)
    assert old.read_bytes() == b"weights"
    assert (tmp_path / "mine.html").read_text() == "report"
    assert not new.exists()
    assert not (tmp_path / "mine.blocks.gpkg").exists()
    assert dialog._model == str(old)


def test_earlier_samples_are_asked_for_where_the_start_tells_of_some(dialog, stand_in, tmp_path):
    assert not shown(dialog, "MIX")
    card = replace(CARD, training={"sources": [{"source": {}}]})
    dialog.form.set_start(str(write_card(tmp_path / "told.safetensors", card)))
    assert shown(dialog, "MIX")
    dialog.form.set_value("MIX", False)
    click(dialog.run_button)
    wait_until(lambda: dialog.back_button.isVisible())
    (job,) = (job for job in stand_in.jobs() if isinstance(job, TrainJob))
    assert (job.mix, job.overwrite) == (False, False)
    dialog.form.set_start(str(write_card(tmp_path / "quiet.safetensors", CARD)))
    assert not shown(dialog, "MIX")
