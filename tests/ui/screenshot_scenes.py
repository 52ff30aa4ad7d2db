"""What `screenshots.py` does in QGIS before each picture: what a user would do, with the bundled model."""

import os
from collections.abc import Callable
from pathlib import Path

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsMapLayer,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialog, QDockWidget, QToolBar, QWidget
from qgis.utils import iface, plugins

from tests.ui.scenery import wait_until

SECONDS = 400
CLOSE = 1000  # scale at which single pools are seen
AROUND_M = 100
TO_COME = 3  # epochs of a training that are not shown yet
BARS = ("mFileToolBar", "mMapNavToolBar", "tilehawkToolbar")
Save = Callable[[QWidget, str], None]


def shoot(raster: Path, epochs: list[dict], save: Save) -> None:
    """Take all pictures; `epochs`: events of a training, shown while one seems to run."""
    window = iface.mainWindow()
    window.showNormal()
    large = int(os.environ["TILEHAWK_PERCENT"]) > 100
    window.resize(*((1700, 1150) if large else (1120, 700)))
    for dock in window.findChildren(QDockWidget):
        if dock.objectName() in ("Browser", "Browser2"):
            dock.hide()
    for bar in window.findChildren(QToolBar):
        bar.setVisible(bar.objectName() in BARS)
    layer = QgsRasterLayer(str(raster), "suburb")
    QgsProject.instance().addMapLayer(layer)
    iface.setActiveLayer(layer)
    rest(2000)
    shoot_detection(layer, save)
    shoot_results(save)
    shoot_training(layer, raster, epochs, save)
    shoot_others(layer, raster.parent, save)


def shoot_detection(layer: QgsRasterLayer, save: Save) -> None:
    """The Detect dialog from its opening to the end of a run."""
    window, plugin = iface.mainWindow(), plugins["tilehawk"]
    plugin.show_dialog()
    dialog = plugin.dialog
    dialog.form.set_raster(layer)
    wait_until(lambda: "seconds" in dialog.card.facts, SECONDS)
    rest()
    save(dialog, "detect")
    size = dialog.size()
    zones = make_zones(layer)
    dialog.form.area.choose("polygons")
    dialog.form.advanced.setCollapsed(False)
    dialog.resize(dialog.width(), 1150)
    rest(2000)
    wait_until(lambda: "seconds" in dialog.card.facts, SECONDS)
    save(dialog, "detect-advanced")
    QgsProject.instance().removeMapLayer(zones.id())
    dialog.form.area.choose("whole")
    dialog.form.advanced.setCollapsed(True)
    dialog.resize(size)
    iface.mapCanvas().zoomScale(2500)
    rest(1500)
    dialog.try_here()
    wait_until(lambda: "Preview" in dialog.status.text(), SECONDS)
    rest()
    save(dialog, "detect-try")
    save(window, "window-try")
    iface.mapCanvas().zoomToFeatureExtent(layer.extent())
    rest(1500)
    dialog.run()
    wait_until(lambda: dialog.progress.value() >= 30 or not dialog._run.running, SECONDS)
    save(dialog, "detect-running")
    save(window, "window-running")
    wait_until(lambda: not dialog._run.running, SECONDS)
    rest(1000)
    save(dialog, "detect-done")
    dialog.close()


def shoot_results(save: Save) -> None:
    """The results dock beside its map, its dialogs, and a review."""
    window, desk = iface.mainWindow(), plugins["tilehawk"].results
    wait_until(lambda: desk.dock is not None and desk.dock.figures.layer is not None, SECONDS)
    rest(2500)
    save(window, "window-results")
    save(desk.dock, "results")
    figures = desk.dock.figures
    iface.messageBar().clearWidgets()
    iface.mapCanvas().zoomScale(CLOSE)
    iface.mapCanvas().setCenter(densest(figures.layer))
    iface.mapCanvas().refresh()
    rest(2000)
    save(window, "window-close-up")
    desk.export()
    save_child("tilehawkExportDialog", "export", save)
    zones = make_zones(figures.layer)
    desk.count_by_zone()
    dialog = window.findChild(QDialog, "tilehawkZonesDialog")
    rest()
    save(dialog, "zones")
    QTest.mouseClick(dialog.count, Qt.MouseButton.LeftButton)
    before = len(QgsProject.instance().mapLayers())
    wait_until(lambda: len(QgsProject.instance().mapLayers()) > before, SECONDS)
    QgsProject.instance().removeMapLayer(zones.id())
    iface.zoomFull()
    rest(2000)
    save(window, "window-zones")
    counted = [each for each in QgsProject.instance().mapLayers().values() if each.name() not in ("suburb",)]
    for each in counted:
        if each is not figures.layer:
            QgsProject.instance().removeMapLayer(each.id())
    shoot_review(save)
    from tilehawk.ui.results.merge_dialog import MergeDialog

    merge = MergeDialog(figures.layer.name(), window)
    merge.show()
    rest()
    save(merge, "merge")
    merge.close()


def shoot_review(save: Save) -> None:
    """A review, some objects of which are decided, then the estimate of a sample."""
    window, desk = iface.mainWindow(), plugins["tilehawk"].results
    iface.messageBar().clearWidgets()
    desk.review(desk.dock.figures.layer)
    review = desk.dock.review
    wait_until(lambda: review.layer is not None, SECONDS)
    for key in (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_A, Qt.Key.Key_U, Qt.Key.Key_A):
        QTest.keyClick(review, key)
        rest(200)
    rest(2500)
    save(window, "window-review")
    save(desk.dock, "review")
    QTest.mouseClick(review.done, Qt.MouseButton.LeftButton)
    rest()
    desk.review(desk.dock.figures.layer, sampled=True)
    wait_until(lambda: review.layer is not None, SECONDS)
    for number in range(30):
        QTest.keyClick(review, Qt.Key.Key_R if number == 7 else Qt.Key.Key_A)
    QTest.mouseClick(review.done, Qt.MouseButton.LeftButton)
    rest()
    save(desk.dock, "results-estimate")


def shoot_training(layer: QgsRasterLayer, raster: Path, epochs: list[dict], save: Save) -> None:
    """The Train dialog with its survey; and under way, with what a training of a small network has told."""
    plugin = plugins["tilehawk"]
    labels = QgsVectorLayer(f"{raster.with_name(raster.stem + '_truth.gpkg')}|layername=truth", "labelled pools", "ogr")
    QgsProject.instance().addMapLayer(labels)
    plugin.training.show(layer, labels, CLASS_FIELD="class")
    dialog = plugin.training.dialog
    dialog.form.title.setText("Pools of the suburb")
    dialog.form.output.setFilePath("/home/you/models/suburb-pools.safetensors")
    rest(1500)
    wait_until(lambda: "processor" in dialog.card.fact("device"), SECONDS)
    rest()
    save(dialog, "train")
    dialog.form.findChild(QgsCollapsibleGroupBox).setCollapsed(False)
    rest()
    save(dialog, "train-advanced")
    dialog.show_versions()
    wait_until(lambda: dialog.versions.view.pictures, SECONDS)
    rest()
    save(dialog.versions, "augmentation")
    dialog.versions.close()
    dialog._show_page(running=True, curve=True)
    shown = epochs[:-TO_COME]
    for event in shown:
        dialog._take(event["sample"])
        dialog._take(event)
    dialog.progress.setValue(100 * len(shown) // len(epochs))
    dialog.status.setText(f"Epoch {len(shown)} of {len(epochs)}, about {shown[-1]['seconds_left']:.0f} s left")
    rest()
    save(dialog, "train-curve")
    dialog.cancel_and_wait()
    dialog.close()
    QgsProject.instance().removeMapLayer(labels.id())


def shoot_others(layer: QgsRasterLayer, folder: Path, save: Save) -> None:
    """The set-up, the options, 'Get models' and the toolbox's dialog."""
    import processing
    from tilehawk.ui import environment
    from tilehawk.ui.get_models_dialog import GetModelsDialog
    from tilehawk.ui.options import OptionsPage
    from tilehawk.ui.set_up_dialog import SetUpDialog

    toolbox = processing.createAlgorithmDialog("tilehawk:detect", {"INPUT": layer.id(), "MODEL": "swimming-pools"})
    toolbox.show()
    rest()
    save(toolbox, "toolbox")
    toolbox.close()
    environment.ROOT = folder  # as where no Python has been set up yet
    os.environ["XDG_DATA_HOME"] = "/home/you/.local/share"
    get = GetModelsDialog(iface.mainWindow())
    get.kept.setText(get.kept.text().replace(f"{folder}/", "/home/you/"))
    get.origin.setCurrentIndex(2)
    get.show()
    rest()
    save(get, "get-models")
    get.close()
    dialog = SetUpDialog(iface.mainWindow(), iface, list)
    dialog.show()
    wait_until(lambda: dialog.panel.plan["size"].text(), SECONDS)
    rest()
    save(dialog, "set-up")
    dialog.close()
    page = OptionsPage()
    page.sources.setCollapsed(False)
    page.resize(38 * page.fontMetrics().height(), 42 * page.fontMetrics().height())
    page.show()
    wait_until(lambda: page.environment.plan["size"].text(), SECONDS)
    rest()
    save(page, "options")
    page.close()


def densest(layer: QgsVectorLayer) -> QgsPointXY:
    """Find the object that has most others around it; its centre."""
    centres = [feature.geometry().centroid().asPoint() for feature in layer.getFeatures()]
    return max(centres, key=lambda centre: sum(centre.distance(other) < AROUND_M for other in centres))


def make_zones(found: QgsMapLayer) -> QgsVectorLayer:
    """Part the ground of a result into nine districts."""
    layer = QgsVectorLayer(f"Polygon?crs={found.crs().authid()}&field=name:string", "districts", "memory")
    extent = QgsProject.instance().mapLayersByName("suburb")[0].extent()
    wide, high = extent.width() / 3, extent.height() / 3
    for number in range(9):
        left, top = extent.xMinimum() + number % 3 * wide, extent.yMaximum() - number // 3 * high
        feature = QgsFeature(layer.fields())
        feature.setAttributes([f"District {number + 1}"])
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(left, top - high, left + wide, top)))
        layer.dataProvider().addFeature(feature)
    layer.updateExtents()
    QgsProject.instance().addMapLayer(layer)
    return layer


def save_child(name: str, picture: str, save: Save) -> None:
    """Save a picture of a dialog of QGIS's window, and close it."""
    dialog = iface.mainWindow().findChild(QDialog, name)
    rest()
    save(dialog, picture)
    dialog.close()
    rest(200)


def rest(milliseconds: int = 600) -> None:
    """Let QGIS draw what there is to draw."""
    QTest.qWait(milliseconds)
