"""The dialog as an analyst uses it: choose, run, watch, get a styled layer; cancel; close and reopen."""

from pathlib import Path

import pytest
from qgis.core import Qgis, QgsProcessing, QgsProject, QgsRectangle, QgsVectorLayer
from qgis.gui import QgsGui
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QDialogButtonBox,
    QLineEdit,
    QPushButton,
    QSlider,
)
from tilehawk.core.job.errors import InvalidJob
from tilehawk.ui.area_picker import POLYGONS, VISIBLE

from tests.ui.scenery import CRS, DETECTIONS, click, wait_until, write_detections


@pytest.fixture
def dialog(detect_dialog, qgis_iface):
    qgis_iface.messageBar().clear_messages()
    return detect_dialog


def layers():
    return {layer.name(): layer for layer in QgsProject.instance().mapLayers().values()}


def run_to_the_end(dialog):
    click(dialog.run_button)
    run = dialog._run
    assert run is not None, dialog.messages.currentItem() and dialog.messages.currentItem().text()
    wait_until(lambda: not run.running)


def test_model_fills_threshold_and_summary(dialog):
    assert dialog.form.threshold.value() == 0.4
    assert dialog.form.slider.value() == 40
    assert "THRESHOLD" not in dialog.form.parameters()  # the model's own, to all its digits
    dialog.form.slider.setValue(25)
    assert dialog.form.parameters()["THRESHOLD"] == 0.25
    text = dialog.form.model.summary.text()
    for words in ("pool", "tree", "0.6 m", "AP50&nbsp;0.90", "Nobody&#x27;s imagery"):
        assert words in text


def test_unreadable_model_is_said_in_the_summary(dialog, tmp_path):
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    dialog.form.model.set_path(str(broken))
    assert "is no model of Tilehawk" in dialog.form.model.summary.text()


def test_run_brings_a_styled_layer(dialog, tmp_path, qgis_iface, stand_in):
    target = tmp_path / "pools.gpkg"
    dialog.form.output.setFilePath(str(target))
    run_to_the_end(dialog)
    layer = layers()["Pools and trees: suburb"]
    assert Path(layer.source().split("|")[0]) == target
    assert layer.subsetString() == '"score" >= 0.4'
    assert layer.renderer().type() == "categorizedSymbol"
    node = QgsProject.instance().layerTreeRoot().findLayer(layer.id())
    assert node.customProperty("showFeatureCount")
    item = qgis_iface.messageBar().currentItem()
    assert item.title() == "Tilehawk"
    assert item.text().startswith("3 objects (pool 2, tree 1) in ")
    assert [button.text() for button in item.findChildren(QPushButton)] == ["Open table", "Review…", "Export…"]
    assert dialog.run_button.isEnabled()
    assert not dialog.cancel_button.isEnabled()


def test_raster_chosen_by_its_path(dialog, raster, stand_in):
    QgsProject.instance().removeAllMapLayers()
    dialog.form.set_raster(raster)
    dialog.form.advanced.setCollapsed(False)
    run_to_the_end(dialog)
    assert list(layers()) == ["Pools and trees: suburb"]
    assert stand_in.jobs()[0].raster == raster


def test_run_is_in_processings_history(dialog, stand_in):
    registry = QgsGui.historyProviderRegistry()
    run_to_the_end(dialog)
    entry = registry.queryEntries(providerId="processing")[-1].entry
    assert entry["algorithm_id"] == "tilehawk:detect"
    assert "processing.run" in entry["python_command"]
    assert entry["results"]["OBJECT_COUNT"] == 3


def test_temporary_result_unless_a_file_is_named(dialog):
    values = dialog.form.parameters()
    assert values["OUTPUT"].sink.staticValue() == QgsProcessing.TEMPORARY_OUTPUT
    dialog.form.output.setFilePath("/tmp/pools")
    assert dialog.form.parameters()["OUTPUT"].sink.staticValue() == "/tmp/pools.gpkg"


def test_not_examined_ground_is_loaded_below(dialog, stand_in):
    write_detections(stand_in.gpkg, DETECTIONS, gaps=2)
    run_to_the_end(dialog)
    assert "Not examined: suburb" in layers()
    names = [node.name() for node in QgsProject.instance().layerTreeRoot().findLayers()]
    assert names.index("Pools and trees: suburb") < names.index("Not examined: suburb")


def test_layer_follows_a_crs_that_the_user_has_set(dialog, raster_layer, stand_in):
    from qgis.core import QgsCoordinateReferenceSystem

    raster_layer.setCrs(QgsCoordinateReferenceSystem("EPSG:26910"))
    run_to_the_end(dialog)
    assert layers()["Pools and trees: suburb"].crs().authid() == "EPSG:26910"


def test_visible_map_and_polygons_become_the_area(dialog, qgis_iface, raster_layer):
    canvas = qgis_iface.mapCanvas()
    canvas.setDestinationCrs(raster_layer.crs())
    canvas.setExtent(QgsRectangle(480010, 3759960, 480030, 3759980))
    assert "EXTENT" not in dialog.form.parameters()
    dialog.form.area.choose(VISIBLE)
    extent = dialog.form.parameters()["EXTENT"]
    assert extent.crs() == raster_layer.crs()
    assert QgsRectangle(extent) == canvas.mapSettings().visibleExtent()
    dialog.form.area.choose(POLYGONS)
    with pytest.raises(InvalidJob, match="Choose a layer of polygons"):  # never the whole raster instead
        dialog.form.parameters()
    gardens = QgsVectorLayer(f"Polygon?crs={CRS}", "gardens", "memory")
    QgsProject.instance().addMapLayer(gardens)
    dialog.form.area.set_layer(gardens)
    values = dialog.form.parameters()
    assert "EXTENT" not in values
    assert values["MASK"].source.staticValue() == gardens.id()
    assert not values["MASK"].selectedFeaturesOnly
    assert dialog.form.area.layers.isVisibleTo(dialog)


def test_what_is_wrong_is_said_in_the_dialog(dialog, tmp_path):
    dialog.form.output.setFilePath(str(tmp_path / "nowhere" / "pools.gpkg"))
    click(dialog.run_button)
    assert "for the result does not exist" in dialog.messages.currentItem().text()
    assert dialog.run_button.isEnabled()


def test_failure_is_said_in_words(dialog, stand_in, qgis_iface):
    stand_in.plan(error=["RasterError", "The raster 'suburb.tif' has no pixels."])
    run_to_the_end(dialog)
    assert "The raster 'suburb.tif' has no pixels." in dialog.messages.currentItem().text()
    (message,) = qgis_iface.messageBar().get_messages(Qgis.MessageLevel.Critical)
    assert "has no pixels" in message
    assert list(layers()) == ["suburb"]


def test_progress_then_cancel(dialog, stand_in, qgis_iface):
    stand_in.plan(seconds=60)
    click(dialog.run_button)
    assert dialog.progress.isVisibleTo(dialog)
    wait_until(lambda: "about 1 min left" in dialog.status.text() or "60 s left" in dialog.status.text())
    click(dialog.cancel_button)
    wait_until(lambda: not dialog._run.running)
    assert dialog.status.text() == "Cancelled; nothing was written."
    assert list(layers()) == ["suburb"]
    (message,) = qgis_iface.messageBar().get_messages(Qgis.MessageLevel.Info)
    assert "cancelled" in message


def test_closing_leaves_the_run_alone(dialog, plugin, stand_in):
    stand_in.plan(seconds=1)
    click(dialog.run_button)
    click(dialog.buttons.button(QDialogButtonBox.StandardButton.Close))
    assert not dialog.isVisible()
    plugin.show_dialog()
    assert plugin.dialog is dialog
    assert not dialog.run_button.isEnabled()
    wait_until(lambda: not dialog._run.running)
    assert "Pools and trees: suburb" in layers()


def test_unloading_cancels_what_runs(dialog, plugin, stand_in):
    import os

    stand_in.plan(seconds=60)
    click(dialog.run_button)
    wait_until(lambda: stand_in.pid() is not None)
    run = dialog._run
    plugin.unload()
    assert not run.running
    with pytest.raises(ProcessLookupError):
        os.kill(stand_in.pid(), 0)


def test_room_to_spare_stays_below_the_form(dialog):
    dialog.resize(1000, 1400)
    QTest.qWait(100)
    assert dialog.form.area.height() == dialog.form.area.sizeHint().height()


def test_every_control_has_a_tooltip(dialog):
    form = dialog.form
    form.advanced.setCollapsed(False)

    def told(widget):
        while widget is not dialog and not widget.toolTip():
            widget = widget.parentWidget()
        return widget is not dialog

    kinds = (QAbstractButton, QComboBox, QAbstractSpinBox, QLineEdit, QPushButton, QSlider)
    controls = [widget for kind in kinds for widget in dialog.findChildren(kind)]
    assert len(controls) > 20
    silent = [widget for widget in controls if not told(widget) and not widget.objectName().startswith("qt_")]
    assert silent == []
