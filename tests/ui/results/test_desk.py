"""What happens when a run has ended: the dock opens, and where there is an earlier result a person is asked once."""

import shutil

import pytest
from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialog
from tilehawk.ui.results.merge_dialog import MERGE, NEW, REPLACE
from tilehawk.ui.results.origin import origin_of
from tilehawk.ui.review.edits import ReviewEdits

from tests.ui.results.conftest import write_result
from tests.ui.scenery import wait_until


@pytest.fixture
def dialog(plugin, stand_in, found, model, raster_layer, raster, tmp_path, qgis_iface):
    """The Detect dialog; its runs bring the same model's result on the same raster: three of five places again."""
    rows = [("pool", 0.95), ("pool", 0.75), ("tree", 0.45)]
    write_result(tmp_path / "next.gpkg", tmp_path / "pools-and-trees.safetensors", raster, rows)
    shutil.copy(tmp_path / "next.gpkg", stand_in.gpkg)
    qgis_iface.messageBar().clear_messages()
    plugin.show_dialog()
    plugin.dialog.form.set_raster(raster_layer)
    plugin.dialog.form.model.set_path(model)
    return plugin.dialog


def detect(dialog):
    QTest.mouseClick(dialog.run_button, Qt.MouseButton.LeftButton)
    run = dialog._run
    assert run is not None
    wait_until(lambda: not run.running, 60)


def question(qgis_iface):
    asked = qgis_iface.mainWindow().findChildren(QDialog, "tilehawkMergeDialog")
    return next((dialog for dialog in asked if dialog.isVisible()), None)


def results():
    return [layer for layer in QgsProject.instance().mapLayers().values() if origin_of(layer) is not None]


def answer(qgis_iface, choice, remember=False):
    wait_until(lambda: question(qgis_iface) is not None, 60)
    asked = question(qgis_iface)
    asked.choose(choice)
    asked.remember.setChecked(remember)
    QTest.mouseClick(asked.ok, Qt.MouseButton.LeftButton)
    wait_until(lambda: question(qgis_iface) is None)


def test_the_dock_opens_with_the_first_result(plugin, dialog, found, qgis_iface):
    QgsProject.instance().removeMapLayer(found)
    detect(dialog)
    wait_until(lambda: plugin.results.dock is not None)
    assert question(qgis_iface) is None
    (layer,) = results()
    assert plugin.results.dock.figures.layer is layer
    wait_until(lambda: plugin.results.dock.figures.total.text() == "3 objects")


def test_a_second_run_replaces_what_nobody_has_reviewed(plugin, dialog, found, qgis_iface):
    ReviewEdits(found, origin_of(found), 6).mark(4, "accepted")
    detect(dialog)
    answer(qgis_iface, REPLACE)
    wait_until(lambda: results() == [found], 60)
    dock = plugin.results.dock
    assert dock.figures.layer is found
    assert dock.messages.text() == "'found': 3 objects found again, 0 added, 1 removed."
    found.setSubsetString("")
    assert {f["id"]: f["score"] for f in found.getFeatures()} == {1: 0.95, 2: 0.75, 3: 0.45, 4: 0.2}
    wait_until(lambda: dock.figures.total.text() == "4 objects")


def test_the_answer_can_be_kept(plugin, dialog, found, qgis_iface):
    detect(dialog)
    answer(qgis_iface, MERGE, remember=True)
    wait_until(lambda: results() == [found], 60)
    detect(dialog)
    wait_until(lambda: len(results()) == 2 or plugin.results.dock.messages.text())
    wait_until(lambda: results() == [found], 60)
    assert question(qgis_iface) is None


def test_results_can_be_kept_apart(plugin, dialog, found, qgis_iface):
    detect(dialog)
    answer(qgis_iface, NEW)
    assert len(results()) == 2
    assert plugin.results.dock.figures.layer is not found
