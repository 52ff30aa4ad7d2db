"""The dock as an analyst uses it: slider, sizes, classes, export, zones."""

import pytest
from qgis.core import QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QDialog

from tests.ui.scenery import click, wait_until


@pytest.fixture
def desk(plugin, qgis_iface, found):
    plugin.results.show(found)
    dock = plugin.results.dock
    dock.resize(320, 700)
    dock.show()
    wait_until(lambda: dock.figures.total.text() == "3 objects")
    return plugin.results


@pytest.fixture
def figures(desk):
    return desk.dock.figures


def rows(figures):
    table = figures.table
    items = [table.topLevelItem(row) for row in range(table.topLevelItemCount())]
    return [(item.text(0), item.text(1), item.text(2)) for item in items]


def pull_to(figures, value):
    histogram = figures.histogram
    place = QPoint(round(histogram.place_of(value)), histogram.height() // 3)
    QTest.mouseClick(histogram, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


def test_figures_of_what_is_shown(figures):
    assert rows(figures) == [("pool", "2", "104 m²"), ("tree", "1", "51.8 m²")]
    assert figures.ground.text() == "156 m² in boxes · 104 m² not examined"
    assert figures.confidence.value() == figures.histogram.value() == 0.4


def test_the_slider_filters_without_a_new_run(figures, found):
    pull_to(figures, 0.15)
    assert figures.histogram.value() == pytest.approx(0.15, abs=0.011)
    assert figures.total.text() == "4 objects"  # at once; the map follows
    wait_until(lambda: found.featureCount() == 4)
    QTest.keyClick(figures.histogram, Qt.Key.Key_Home)
    assert figures.confidence.value() == 0
    wait_until(lambda: found.featureCount() == 5)
    QTest.keyClick(figures.histogram, Qt.Key.Key_PageUp)
    QTest.keyClick(figures.histogram, Qt.Key.Key_Right)
    assert figures.histogram.value() == pytest.approx(0.11)
    wait_until(lambda: found.subsetString() == '"score" >= 0.11')
    figures.confidence.setValue(0.55)
    assert rows(figures) == [("pool", "2", "104 m²"), ("tree", "0", "0 m²")]


def test_a_filter_set_elsewhere_is_followed(figures, found):
    found.setSubsetString('"score" >= 0.2 AND "box_area_m2" >= 60')
    assert figures.histogram.value() == 0.2
    assert figures.smallest.value() == 60
    wait_until(lambda: figures.total.text() == "0 objects")


def test_limits_of_size(figures, found):
    figures.largest.setValue(51)
    wait_until(lambda: figures.total.text() == "0 objects")
    wait_until(lambda: found.featureCount() == 0)
    figures.largest.setValue(0)
    wait_until(lambda: figures.total.text() == "3 objects")
    wait_until(lambda: found.subsetString() == '"score" >= 0.4')


def test_classes_are_switched_as_in_the_legend(figures, found):
    figures.table.topLevelItem(1).setCheckState(0, Qt.CheckState.Unchecked)
    assert [category.renderState() for category in found.renderer().categories()] == [True, False]
    assert figures.total.text() == "2 objects"
    changed = found.renderer().clone()
    changed.updateCategoryRenderState(1, True)
    found.setRenderer(changed)
    assert figures.table.topLevelItem(1).checkState(0) == Qt.CheckState.Checked


def test_centres_instead_of_boxes(figures, found):
    QTest.keyClick(figures.points, Qt.Key.Key_Space)
    assert found.renderer().categories()[0].symbol().symbolLayer(0).layerType() == "CentroidFill"
    QTest.keyClick(figures.points, Qt.Key.Key_Space)
    assert found.renderer().categories()[0].symbol().symbolLayer(0).layerType() == "SimpleFill"


def test_a_layer_being_edited_is_said(desk, figures, found):
    found.startEditing()
    figures.confidence.setValue(0.7)
    wait_until(lambda: desk.dock.messages.text())
    assert "being edited" in desk.dock.messages.text()
    assert figures.confidence.value() == 0.4
    found.rollBack()


def test_export_with_the_dialog(desk, figures, found, tmp_path, qgis_iface):
    from qgis.core import Qgis

    click(figures.export)
    dialog = qgis_iface.mainWindow().findChild(QDialog, "tilehawkExportDialog")
    assert "3 objects" in dialog.only_shown.text()
    assert not dialog.save.isEnabled()
    dialog.format.setCurrentIndex(1)
    dialog.file.setFilePath(str(tmp_path / "mes piscines été"))
    click(dialog.save)
    target = tmp_path / "mes piscines été.shp"
    wait_until(lambda: qgis_iface.messageBar().get_messages(Qgis.MessageLevel.Success))
    assert "3 objects were saved" in qgis_iface.messageBar().get_messages(Qgis.MessageLevel.Success)[-1]
    assert QgsVectorLayer(str(target), "again").featureCount() == 3
    assert target.with_suffix(".cpg").exists()
    qgis_iface.messageBar().clear_messages()


def test_count_by_zone_adds_a_layer(desk, figures, found, zones, qgis_iface):
    click(figures.zones)
    dialog = qgis_iface.mainWindow().findChild(QDialog, "tilehawkZonesDialog")
    dialog.layers.setLayer(zones)
    click(dialog.count)
    wait_until(lambda: QgsProject.instance().mapLayersByName("found by zones"))
    (layer,) = QgsProject.instance().mapLayersByName("found by zones")
    assert [feature["objects"] for feature in layer.getFeatures()] == [2, 1]
    wait_until(lambda: desk._zone_counts[0]._context is None)


def test_only_results_are_offered(desk, found, zones, raster_layer):
    dock = desk.dock
    assert [dock.layers.layer(row) for row in range(dock.layers.count())] == [None, found]
    QgsProject.instance().removeMapLayer(found)
    assert dock.pages.currentWidget() is dock.empty
    assert dock.figures.layer is None


def test_every_control_has_a_tooltip(desk):
    kinds = (QAbstractButton, QAbstractSpinBox, QComboBox)

    def told(widget):
        while widget is not desk.dock and not widget.toolTip():
            widget = widget.parentWidget()
        return widget is not desk.dock

    pages = (desk.dock.figures, desk.dock.review)
    controls = [widget for page in pages for kind in kinds for widget in page.findChildren(kind)]
    assert len(controls) >= 20
    silent = [widget for widget in controls if not told(widget) and not widget.objectName().startswith("qt_")]
    assert silent == []
