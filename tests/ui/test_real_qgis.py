"""The plugin in the real application, which pytest-qgis only stands in for: broken into in whatever it does."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.ui.installed import ROOT, WORKER_PYTHON, make_profile, qgis_environment, run_program
from tests.ui.scenery import write_raster

DISPLAY = ["xvfb-run", "-a", "-s", "-screen 0 1280x1024x24"]
SCRIPT = Path(__file__).with_name("interruptions.py")
MODEL = ROOT / "resources/models/swimming-pools.safetensors"
missing = [program for program in ("qgis", "xvfb-run") if shutil.which(program) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not on the PATH: {', '.join(missing)}"),
    pytest.mark.skipif(not Path("/proc").is_dir(), reason="processes are looked up in /proc, which only Linux has"),
]
DURING = ("run", "try", "warm", "train", "survey", "review")
TABLE = [f"{during}:{act}" for act in ("reload", "disable", "new", "remove") for during in DURING]
for like in ("try", "warm", "survey", "review"):
    TABLE.remove(f"{like}:reload")  # that is as `disable`
CRASHES = ("Segmentation fault", "Fatal Python error", "Qt Concurrent has caught", "QThread: Destroyed", "Traceback")


def use(folder, python, model, *cases):
    """Have QGIS do cases with a worker's Python; gives what the script has written."""
    (folder / "out").mkdir()
    (folder / "tmp").mkdir()
    environment = qgis_environment(
        make_profile(folder / "profile"),
        QT_QPA_PLATFORM="xcb",
        TMPDIR=str(folder / "tmp"),
        TILEHAWK_ROOT=str(ROOT),
        TILEHAWK_TEST_FOLDER=str(folder),
        TILEHAWK_TEST_CASES=" ".join(cases),
        TILEHAWK_TEST_MODEL=str(model),
        TILEHAWK_PYTHON=str(python),
    )
    qgis = ["qgis", "--nologo", "--noversioncheck", "--code", str(SCRIPT)]
    code, log = run_program([*DISPLAY, *qgis], environment, 300)
    assert code == 0, log
    assert [crash for crash in CRASHES if crash in log] == [], log
    return json.loads((folder / "said.json").read_text("utf-8"))


def assert_all_is_gone(folder, workers):
    """The workers have ended, and no file has been left but what the next training needs."""
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
    left = [path for path in (folder / "out").iterdir() if not path.name.startswith("mine-")]
    left += [path for path in (folder / "tmp").rglob("*") if path.is_file() or "tilehawk" in path.name]
    assert left == []


def test_nothing_stays_behind_and_the_plugin_works_on(tmp_path, raster, model, stand_in):
    """Whatever the plugin is in the middle of, when it or what it works on is taken away; then QGIS is left."""
    stand_in.plan(seconds=120, boxes=[[480005, 3759985, 480012, 3759992]])
    said = use(tmp_path, stand_in.python, model, *TABLE, "warm:quit")
    assert list(said["problems"]) == TABLE
    assert {case: problem for case, problem in said["problems"].items() if problem} == {}
    assert len(said["workers"]) == 1
    assert_all_is_gone(tmp_path, said["workers"])


def test_quitting_ends_all_workers(tmp_path, raster, model, stand_in):
    """A run, a try and a training at once, whose workers do not hear that they are to stop."""
    stand_in.plan(seconds=120, deaf=True)
    said = use(tmp_path, stand_in.python, model, "all:quit")
    assert len(said["workers"]) >= 3  # that of a survey may still be there
    assert_all_is_gone(tmp_path, said["workers"])


@pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
def test_quitting_takes_away_what_was_half_written(tmp_path, stand_in):
    """With the real worker, which has found something by then."""
    write_raster(tmp_path / "suburb.tif", 6000)
    said = use(tmp_path, WORKER_PYTHON, MODEL, "early:quit")
    assert any(name.endswith(".partial") for name in said["files"])
    assert_all_is_gone(tmp_path, said["workers"])
