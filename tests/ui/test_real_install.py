"""From nothing to a detection: the packaged plugin in the real QGIS installs its environment, then detects with it.

It needs the package index, and PyTorch in uv's cache, from which files are linked: `make env` puts it there; without
them it is skipped. It is the most costly test: about two minutes on two cores that have other work too.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tilehawk.core.job.environment.environment import Environment
from tilehawk.core.job.environment.state import NOT_INSTALLED

from tests.ui.installed import ROOT, make_profile, qgis_environment, run_program
from tests.ui.scenery import write_raster

INDEX = "https://pypi.org/simple/affine/"
SECONDS = 700  # two minutes measured beside much other work
REQUIREMENTS = ROOT / "core" / "job" / "environment" / "requirements.txt"
DISPLAY = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24"]
missing = [program for program in ("qgis", "xvfb-run", "git") if shutil.which(program) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"not on the PATH: {', '.join(missing)}")
SCRIPT = """
import json, os, sys, traceback
from pathlib import Path
from qgis.PyQt.QtCore import QTimer
from qgis.utils import iface, plugins

folder = Path(os.environ["TILEHAWK_TEST_FOLDER"])
told = {}

def step(function):
    def careful(*arguments):
        try:
            function(*arguments)
        except BaseException:
            told["problem"] = traceback.format_exc()
            leave()
    return careful

def leave():
    (folder / "told.json").write_text(json.dumps(told))
    os._exit(0)

@step
def open_detect():
    for name in ("PYTHONHOME", "PYTHONPATH", "PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "LD_LIBRARY_PATH"):
        os.environ[name] = str(folder / "rubbish")
    global plugin
    plugin = plugins["tilehawk"]
    plugin.action.trigger()
    from tilehawk.ui.set_up_dialog import SetUpDialog
    (set_up,) = plugin.dialog.findChildren(SetUpDialog)
    told["opened"] = set_up.isVisible()
    told["title"] = set_up.panel.title.text()
    QTimer.singleShot(3000, lambda: install(set_up.panel))

@step
def install(panel):
    told["plan"] = {name: label.text() for name, label in panel.plan.items()}
    told["before"] = Path(panel.plan["folder"].text()).exists()
    told["steps"] = []
    panel.ended.connect(lambda ok, sentence: installed(panel, ok, sentence))
    panel.install.click()
    panel._task.said.connect(lambda text: told["steps"].append(text.partition(":")[0]))

@step
def installed(panel, ok, sentence):
    told["installed"], told["sentence"], told["notices"] = ok, sentence, panel.notices.text()
    told["shown"] = [panel.title.text(), panel.sentence.text()]
    told["log"] = Path(panel.plan["folder"].text(), "install.log").read_text()
    if not ok:
        leave()
    plugin.dialog.form.set_raster(str(folder / "suburb.tif"))
    plugin.dialog.run_button.click()
    plugin.dialog._run.ended.connect(detected)

@step
def detected(ok, sentence):
    told["detected"], told["found"] = ok, sentence
    leave()

QTimer.singleShot(1000, open_detect)
"""


CLOSE = """
import os, traceback
from pathlib import Path
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QMessageBox
from qgis.utils import iface, plugins

folder = Path(os.environ["TILEHAWK_TEST_FOLDER"])

def install():
    try:
        from tilehawk.ui import environment
        from tilehawk.ui.set_up_dialog import SetUpDialog
        environment.ROOT = folder  # the checkout has an environment of its own
        plugins["tilehawk"].action.trigger()
        (set_up,) = plugins["tilehawk"].dialog.findChildren(SetUpDialog)
        set_up.panel.install.click()
        leave()
    except BaseException:
        (folder / "problem").write_text(traceback.format_exc())
        os._exit(1)

def leave():
    if not (folder / "pid").exists():
        QTimer.singleShot(200, leave)
        return
    QTimer.singleShot(200, agree)
    iface.actionExit().trigger()

def agree():
    # that running tasks are cancelled; QGIS then wants to be asked again
    box = QApplication.activeModalWidget()
    if isinstance(box, QMessageBox):
        box.button(QMessageBox.StandardButton.Yes).click()
        QTimer.singleShot(1000, iface.actionExit().trigger)
    else:
        QTimer.singleShot(200, agree)

QTimer.singleShot(1000, install)
"""


def find_uv() -> Path | None:
    known = (shutil.which("uv"), ROOT / "build" / "tools" / "uv" / "bin" / "uv")
    return next((Path(path) for path in known if path and Path(path).is_file()), None)


@pytest.fixture
def lock_date() -> str:
    """A second after the youngest package in uv.lock: what is younger would have to be downloaded."""
    times = re.findall(r'upload-time = "(\S+?)(?:\.\d+)?Z"', (ROOT / "uv.lock").read_text("utf-8"))
    return f"{max(times)[:-1]}9Z"


@pytest.fixture
def cache(tmp_path, lock_date) -> str:
    """uv's cache with all of the worker's packages in it."""
    uv = find_uv()
    if uv is None:
        pytest.skip("uv is not installed here: make env")
    try:
        urllib.request.urlopen(INDEX, timeout=10).close()
    except OSError as problem:
        pytest.skip(f"the package index cannot be reached from here: {INDEX}: {problem}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    if "UV_CACHE_DIR" in os.environ:
        kept["UV_CACHE_DIR"] = os.environ["UV_CACHE_DIR"]
    environment = {**kept, "UV_EXCLUDE_NEWER": lock_date, "UV_PYTHON_DOWNLOADS": "never"}

    def ask(*command: str) -> str:
        run = subprocess.run([uv, *command], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        return run.stdout + run.stderr

    ask("venv", "--python", sys.executable, "empty")
    plan = ask("pip", "install", "--dry-run", "--python", "empty/bin/python", "--requirements", str(REQUIREMENTS))
    lacking = re.search(r"Would download (\d+) package", plan)
    if lacking:
        pytest.skip(f"uv's cache lacks {lacking[1]} of the worker's packages, gigabytes perhaps: make env")
    return ask("cache", "dir").strip()


@pytest.fixture
def profile(tmp_path) -> Path:
    """A profile with the packaged plugin in place of the checkout, which has an environment of its own."""
    profile = make_profile(tmp_path / "profile")
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    (plugins / "tilehawk").unlink()
    package = [sys.executable, str(ROOT / ".ci" / "package.py"), "--folder", str(tmp_path)]
    subprocess.run(package, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("tilehawk-*.zip"))) as archive:
        archive.extractall(plugins)
    return profile


@pytest.fixture
def data(tmp_path, cache) -> Iterator[Path]:
    """A folder on the cache's disk, so that gigabytes are linked and not copied; deleted at once."""
    disk = Path(cache).stat().st_dev
    (ROOT / "build").mkdir(exist_ok=True)
    beside = next((folder for folder in (tmp_path, ROOT / "build") if folder.stat().st_dev == disk), None)
    if beside is None:
        pytest.skip("uv's cache lies on another disk: gigabytes would be copied")
    with tempfile.TemporaryDirectory(prefix="install-", dir=beside, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.mark.timeout(900)
def test_install_from_nothing_then_detect(tmp_path, profile, data, cache, lock_date):
    """uv comes through QGIS's network; github.com's Pythons are stood in for by an empty list: the system's serves."""
    write_raster(tmp_path / "suburb.tif", 96)
    (tmp_path / "pythons.json").write_text("{}")
    (tmp_path / "use.py").write_text(SCRIPT, encoding="utf-8")
    environment = qgis_environment(
        profile,
        QT_QPA_PLATFORM="xcb",
        PATH="/usr/bin:/bin",
        TILEHAWK_TEST_FOLDER=str(tmp_path),
        XDG_DATA_HOME=str(data),
        UV_CACHE_DIR=cache,
        UV_EXCLUDE_NEWER=lock_date,
        UV_HTTP_RETRIES="0",  # where PyTorch's index is out of reach
        UV_PYTHON_DOWNLOADS_JSON_URL=str(tmp_path / "pythons.json"),
        OMP_NUM_THREADS="2",
    )
    qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(tmp_path / "use.py")]
    _, log = run_program([*DISPLAY, *qgis], environment, SECONDS)
    assert (tmp_path / "told.json").exists(), log
    told = json.loads((tmp_path / "told.json").read_text())
    assert "problem" not in told, told["problem"]
    assert (told["opened"], told["title"], told["before"]) == (True, "Not installed", False)
    assert "torch" in told["plan"]["what"]
    assert "to download" in told["plan"]["size"]
    assert told["installed"], f"{told['sentence']}\n{told['log']}"
    assert told["shown"][0] == "Installed"
    assert "GB on disk" in told["shown"][1].replace("\N{NO-BREAK SPACE}", " ")
    assert list(dict.fromkeys(told["steps"])) == [f"Step {number} of 5" for number in (1, 2, 3, 4, 5)]
    assert told["detected"], told["found"]


def test_closed_in_mid_installation(tmp_path):
    """Closing QGIS ends uv, and QGIS leaves without a crash; here uv is a script that takes its time."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo uv 0.99.0 && exit\necho $$ > {tmp_path}/pid\nexec sleep 300\n'
    )
    (programs / "uv").chmod(0o755)
    (tmp_path / "use.py").write_text(CLOSE, encoding="utf-8")
    environment = qgis_environment(
        make_profile(tmp_path / "profile"),
        QT_QPA_PLATFORM="xcb",
        PATH=f"{programs}:/usr/bin:/bin",
        TILEHAWK_TEST_FOLDER=str(tmp_path),
        XDG_DATA_HOME=str(tmp_path / "data"),
    )
    qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(tmp_path / "use.py")]
    code, log = run_program([*DISPLAY, *qgis], environment, 120)
    assert not (tmp_path / "problem").exists(), (tmp_path / "problem").read_text()
    assert code == 0, log
    assert "Qt Concurrent has caught an exception" not in log
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    own = Environment(tmp_path / "data" / "tilehawk" / "python")
    assert own.state().kind == NOT_INSTALLED
