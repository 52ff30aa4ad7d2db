"""The plugin in the real application, which pytest-qgis only stands in for: loaded, used, and closed in mid-run."""

import os
import shutil

import pytest

from tests.ui.installed import make_profile, qgis_environment, run_program

DISPLAY = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24"]
missing = [program for program in ("qgis", "xvfb-run") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not on the PATH: {', '.join(missing)}")
SCRIPT = """
import os, sys, traceback
from pathlib import Path
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QMessageBox
from qgis.utils import iface, plugins

folder = Path(os.environ["TILEHAWK_TEST_FOLDER"])

def use():
    try:
        plugin = plugins["tilehawk"]
        actions = [action.text() for menu in iface.rasterMenu().actions() if menu.menu()
                   for action in menu.menu().actions()]
        plugin.action.trigger()
        form = plugin.dialog.form
        form.set_raster(str(folder / "suburb.tif"))
        form.model.set_path(str(folder / "pools-and-trees.safetensors"))
        plugin.dialog.run_button.click()
        run = plugin.dialog._run
        assert run is not None and run.running, plugin.dialog.messages.currentItem().text()
        (folder / "said").write_text(f"in the menu: {'Detect objects…' in actions}, running: {run.running}")
    except BaseException:
        (folder / "said").write_text(traceback.format_exc())
    wait_for_worker()

def wait_for_worker():
    if not all((folder / "stand_in" / name).exists() for name in ("jobs.jsonl", "preflights.jsonl")):
        QTimer.singleShot(200, wait_for_worker)
        return
    QTimer.singleShot(200, agree)
    iface.actionExit().trigger()

def agree():
    # that running tasks are cancelled; QGIS then wants to be asked again
    box = QApplication.activeModalWidget()
    if isinstance(box, QMessageBox):
        box.button(QMessageBox.StandardButton.Yes).click()
        leave()
    else:
        QTimer.singleShot(200, agree)

def leave():
    if plugins["tilehawk"].dialog._run.running:
        QTimer.singleShot(200, leave)
    else:
        iface.actionExit().trigger()

QTimer.singleShot(1000, use)
"""


def test_used_and_closed_in_mid_run(tmp_path, raster, model, stand_in):
    """Closing QGIS ends the worker, and QGIS leaves without a crash."""
    stand_in.plan(seconds=120)
    script = tmp_path / "use.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = qgis_environment(
        make_profile(tmp_path / "profile"),
        QT_QPA_PLATFORM="xcb",
        TILEHAWK_TEST_FOLDER=str(tmp_path),
        TILEHAWK_PYTHON=str(stand_in.python),
    )
    qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(script)]
    code, log = run_program([*DISPLAY, *qgis], environment, 180)
    said = (tmp_path / "said").read_text(encoding="utf-8") if (tmp_path / "said").exists() else log
    assert said == "in the menu: True, running: True"
    assert code == 0, log
    assert "Qt Concurrent has caught an exception" not in log
    for worker in ("pid", "warm_pid"):
        with pytest.raises(ProcessLookupError):
            os.kill(stand_in.pid(worker), 0)
