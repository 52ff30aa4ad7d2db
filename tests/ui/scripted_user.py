"""What a person does who has never read the manual, by clicks and keys alone; run in QGIS by `test_scripted_user.py`.

Loads a raster, opens the dialog, tries on the map, runs, moves the confidence, reviews ten objects, exports a Shapefile
and opens it again. What came of it is written to `said.json`.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

ROOT, FOLDER = Path(os.environ["TILEHAWK_ROOT"]), Path(os.environ["TILEHAWK_TEST_FOLDER"])
sys.path.insert(0, str(ROOT))

from qgis.core import QgsApplication, QgsProject, QgsVectorLayer  # noqa: E402
from qgis.PyQt.QtCore import Qt  # noqa: E402
from qgis.PyQt.QtTest import QTest  # noqa: E402
from qgis.PyQt.QtWidgets import QApplication, QDialog, QToolButton, QWidget  # noqa: E402
from qgis.utils import iface, plugins  # noqa: E402

from tests.ui.scenery import wait_until  # noqa: E402

SECONDS = 300
KEYS = (Qt.Key.Key_A, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_A, Qt.Key.Key_U) * 2


def click(widget: QWidget) -> None:
    """Click the middle of a widget."""
    wait_until(widget.isVisible)
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def type_into(widget: QWidget, text: str) -> None:
    """Replace what a line says by pasting: Qt's tests cannot type accents."""
    QApplication.clipboard().setText(text)
    widget.setFocus()
    for key in (Qt.Key.Key_A, Qt.Key.Key_V):
        QTest.keyClick(widget, key, Qt.KeyboardModifier.ControlModifier)


def results() -> list[QgsVectorLayer]:
    """The vector layers of the project that hold objects."""
    layers = QgsProject.instance().mapLayers().values()
    return [each for each in layers if isinstance(each, QgsVectorLayer) and each.fields().lookupField("score") >= 0]


def use() -> dict[str, object]:
    """Do it all; gives what a person would have seen."""
    window, plugin, said = iface.mainWindow(), plugins["tilehawk"], {"locale": QgsApplication.locale()}
    window.resize(1300, 900)
    raster = iface.addRasterLayer(str(FOLDER / "vue aérienne.tif"), "vue aérienne")
    iface.zoomToActiveLayer()
    QTest.qWait(500)
    button = next(each for each in window.findChildren(QToolButton) if each.defaultAction() is plugin.action)
    click(button)
    dialog = window.findChild(QDialog, "tilehawkDetectDialog")
    said["title"] = dialog.windowTitle()
    wait_until(lambda: "seconds" in dialog.card.facts, SECONDS)
    words = dialog.try_button.text()
    click(dialog.try_button)
    wait_until(lambda: dialog.try_button.text() == words and dialog.status.text(), SECONDS)
    said["tried"], said["layers while trying"] = dialog.status.text(), len(results())
    type_into(dialog.form.output.lineEdit(), str(FOLDER / "piscines trouvées.gpkg"))
    click(dialog.run_button)
    wait_until(lambda: len(results()) == 1, SECONDS)
    (found,) = results()
    said["found"] = found.featureCount()
    wait_until(lambda: plugin.results.dock is not None and plugin.results.dock.figures.layer is found, SECONDS)
    dialog.close()
    page, review = plugin.results.dock.figures, plugin.results.dock.review
    page.histogram.setFocus()
    for _ in range(2):
        QTest.keyClick(page.histogram, Qt.Key.Key_PageUp)
    wait_until(lambda: found.featureCount() < said["found"] or found.subsetString().endswith("0.61"), SECONDS)
    said["filter"], said["shown"] = found.subsetString(), found.featureCount()
    click(page.review)
    wait_until(lambda: review.layer is not None, SECONDS)
    for key in KEYS:
        QTest.keyClick(review, key)
        QTest.qWait(50)
    said["reviewed"] = sorted(str(each["review"]) for each in found.getFeatures() if each["review"])
    click(review.done)
    click(page.export)
    wait_until(lambda: window.findChild(QDialog, "tilehawkExportDialog") is not None)
    export = window.findChild(QDialog, "tilehawkExportDialog")
    export.format.setFocus()
    QTest.keyClicks(
        export.format, "ESRI" if export.format.findText("ESRI", Qt.MatchFlag.MatchStartsWith) >= 0 else "Sh"
    )
    target = FOLDER / "à relire.shp"
    type_into(export.file.lineEdit(), str(target))
    click(export.save)
    wait_until(lambda: target.exists() and target.with_suffix(".cpg").exists(), SECONDS)
    QTest.qWait(1000)
    saved = QgsVectorLayer(str(target), "saved")
    said["exported"], said["fields"] = saved.featureCount(), saved.fields().names()
    said["crs"] = saved.crs() == raster.crs()
    return said


def main() -> None:
    """Use QGIS, write what came of it, and leave it as it is killed: the test is over."""
    started = time.monotonic()
    try:
        said = use()
    except BaseException:
        said = {"error": traceback.format_exc()}
    (FOLDER / "said.json").write_text(json.dumps({**said, "seconds": time.monotonic() - started}), "utf-8")
    plugins["tilehawk"].unload()
    os._exit(0)


main()
