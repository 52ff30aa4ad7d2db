"""Pictures of the plugin in a real QGIS window, at 100 and 150 % of the font size, in build/screenshots.

    screenshots.py [RASTER]

Run it with any Python: it starts QGIS under xvfb-run in a throw-away profile, and in there runs itself again.
With a raster, the bundled model looks at it; without, a stand-in answers for the worker and none is needed.
"""

import os
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(os.environ.get("TILEHAWK_ROOT") or Path(__file__).resolve().parents[2])
FOLDER = ROOT / "build" / "screenshots"
FONT_PERCENT = (100, 150)
SECONDS = 600
WARNING = {
    "text": "Red and blue look exchanged: the file seems to store blue first.",
    "remedy": "Under Advanced, choose the bands in the order 3, 2, 1.",
}


def main() -> int:
    """Start QGIS once for each font size; 1 where a picture is missing."""
    from installed import make_profile, qgis_environment, run_program

    FOLDER.mkdir(parents=True, exist_ok=True)
    failed = 0
    for percent in FONT_PERCENT:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.txt"
            environment = qgis_environment(
                make_profile(Path(folder)),
                QT_QPA_PLATFORM="xcb",
                QT_FONT_DPI=str(96 * percent // 100),
                TILEHAWK_ROOT=str(ROOT),
                TILEHAWK_REPORT=str(report),
                TILEHAWK_SUFFIX=str(percent),
                TILEHAWK_RASTER=str(Path(sys.argv[1]).resolve()) if len(sys.argv) > 1 else "",
            )
            qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(Path(__file__).resolve())]
            _, said = run_program(["xvfb-run", "-a", "-s", "-screen 0 1600x1100x24", *qgis], environment, SECONDS)
            outcome = report.read_text() if report.exists() else said
            print(f"{percent} %: {outcome}")
            failed |= outcome != "done"
    return failed


def shoot() -> None:
    """Take the pictures; in QGIS."""
    sys.path.insert(0, str(ROOT))
    from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
    from qgis.PyQt.QtTest import QTest
    from qgis.utils import iface, plugins

    from tests.ui.scenery import CARD, DETECTIONS, StandIn, wait_until, write_card, write_detections, write_raster

    folder = Path(tempfile.mkdtemp())
    raster = os.environ["TILEHAWK_RASTER"]
    if not raster:
        stand_in = StandIn(folder / "worker", write_detections(folder / "result.gpkg", DETECTIONS))
        stand_in.plan(seconds=6, warnings=[WARNING], boxes=[[480010.0, 3759960.0, 480018.0, 3759968.0]])
        os.environ["TILEHAWK_PYTHON"] = str(stand_in.python)
    window = iface.mainWindow()
    window.showNormal()
    window.resize(1500, 1000)
    layer = QgsRasterLayer(raster or str(write_raster(folder / "suburb.tif", 96)), "suburb")
    QgsProject.instance().addMapLayer(layer)
    plugin = plugins["tilehawk"]
    plugin.show_dialog()
    dialog = plugin.dialog
    dialog.form.set_raster(layer)
    if not raster:
        dialog.form.model.set_path(str(write_card(folder / "pools-and-trees.safetensors", CARD)))
    wait_until(lambda: "seconds" in dialog.card.facts, SECONDS)
    QTest.qWait(500)
    save(dialog, "dialog")
    dialog.form.area.choose("polygons")
    dialog.form.advanced.setCollapsed(False)
    dialog.resize(dialog.width(), 1000)
    QTest.qWait(500)
    save(dialog, "dialog-advanced")
    dialog.form.area.choose("whole")
    dialog.form.advanced.setCollapsed(True)
    if raster:
        iface.mapCanvas().zoomScale(2500)
        QTest.qWait(1500)
    dialog.try_here()
    wait_until(lambda: "Preview" in dialog.status.text(), SECONDS)
    QTest.qWait(500)
    save(dialog, "dialog-try")
    save(window, "window-try")
    dialog.run()
    QTest.qWait(3000)
    save(dialog, "dialog-running")
    save(window, "window-running")
    wait_until(lambda: not dialog._run.running, SECONDS)
    QTest.qWait(500)
    save(dialog, "dialog-done")
    dialog.close()
    iface.zoomFull()
    QTest.qWait(2000)
    save(window, "window")
    iface.mapCanvas().zoomScale(1500)
    QTest.qWait(2000)
    save(window, "close-up")
    from tilehawk.ui.options import OptionsPage

    page = OptionsPage()
    page.resize(700, 900)
    page.sources.setCollapsed(False)
    page.show()
    page.check.click()
    wait_until(page.check.isEnabled, SECONDS)
    save(page, "options")
    page.close()
    shoot_set_up(folder, "set-up")
    QgsApplication.setUITheme("Night Mapping")  # last: palettes do not come back
    plugin.show_dialog()
    dialog.resize(dialog.sizeHint())
    dialog._take_room()
    wait_until(lambda: "seconds" in dialog.card.facts, SECONDS)
    QTest.qWait(500)
    save(dialog, "dialog-dark")
    shoot_set_up(folder, "set-up-dark")


def shoot_set_up(folder: Path, name: str) -> None:
    """Take the first run's window, as it is where there is no Python to detect with."""
    from qgis.PyQt.QtTest import QTest
    from qgis.utils import iface
    from tilehawk.ui import environment
    from tilehawk.ui.set_up_dialog import SetUpDialog

    from tests.ui.scenery import wait_until

    root, python = environment.ROOT, os.environ.pop("TILEHAWK_PYTHON", None)
    environment.ROOT = folder
    os.environ["XDG_DATA_HOME"] = str(folder / "data")
    dialog = SetUpDialog(iface.mainWindow(), iface, list)
    dialog.show()
    wait_until(lambda: dialog.panel.plan["size"].text())
    QTest.qWait(500)
    save(dialog, name)
    dialog.close()
    environment.ROOT = root
    if python is not None:
        os.environ["TILEHAWK_PYTHON"] = python


def save(widget, name: str) -> None:
    """Save a picture of a widget."""
    widget.grab().save(str(FOLDER / f"{name}-{os.environ['TILEHAWK_SUFFIX']}.png"))


def shoot_and_leave() -> None:
    """Take the pictures and end QGIS: an error reaches neither its exit code nor the shell by itself."""
    try:
        shoot()
        said = "done"
    except BaseException:
        said = traceback.format_exc()
    Path(os.environ["TILEHAWK_REPORT"]).write_text(said)
    os._exit(0)


if "TILEHAWK_REPORT" in os.environ:
    from qgis.PyQt.QtCore import QTimer

    QTimer.singleShot(2000, shoot_and_leave)
elif __name__ == "__main__":
    sys.exit(main())
