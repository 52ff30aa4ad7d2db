"""Settings, the choice of the interpreter, and the options page."""

import subprocess
import sys
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from tilehawk.core.job.errors import Cancelled, WorkerError
from tilehawk.ui import environment
from tilehawk.ui.environment import find_python, python_of, set_up
from tilehawk.ui.options import OptionsFactory, OptionsPage
from tilehawk.ui.settings import Settings, read_settings, write_settings

from tests.ui.scenery import wait_until


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Neither a developer's environment nor one that was set up."""
    monkeypatch.setattr(environment, "ROOT", tmp_path / "plugin")
    monkeypatch.setattr(environment, "own_environment", lambda: tmp_path / "data" / "python")
    return tmp_path


def make_executable(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_settings_survive_the_round_trip():
    assert read_settings() == Settings()
    settings = Settings(python="/opt/python", device="cpu", model_folder="/models", output_folder="/results")
    write_settings(settings)
    assert read_settings() == settings
    write_settings(Settings())
    assert read_settings() == Settings()


def test_unknown_device_falls_back():
    write_settings(Settings(device="quantum"))
    assert read_settings().device == "auto"


def test_interpreter_by_rank(nowhere, monkeypatch):
    """Setting, then variable, then `.venv` beside the code, then the one that was set up, then a sentence."""
    with pytest.raises(WorkerError, match="Settings > Options > Tilehawk"):
        find_python(Settings())
    own = make_executable(python_of(environment.own_environment()))
    assert find_python(Settings()) == str(own)
    checkout = make_executable(python_of(environment.ROOT / ".venv"))
    assert find_python(Settings()) == str(checkout)
    variable = make_executable(nowhere / "variable")
    monkeypatch.setenv("TILEHAWK_PYTHON", str(variable))
    assert find_python(Settings()) == str(variable)
    chosen = make_executable(nowhere / "chosen")
    assert find_python(Settings(python=str(chosen))) == str(chosen)


def test_a_setting_that_leads_nowhere_is_said(nowhere):
    make_executable(python_of(environment.own_environment()))
    with pytest.raises(WorkerError, match="'/nowhere' set in Tilehawk's options does not exist"):
        find_python(Settings(python="/nowhere"))


def test_page_shows_and_stores(plugin):
    write_settings(Settings(python="/opt/python", device="cuda"))
    page = OptionsFactory().createWidget(None)
    assert page.python.filePath() == "/opt/python"
    assert page.device.currentData() == "cuda"
    page.python.setFilePath("")
    page.device.setCurrentIndex(0)
    page.output_folder.setFilePath("/results")
    page.apply()
    assert read_settings() == Settings(output_folder="/results")


def check(page: OptionsPage) -> str:
    QTest.mouseClick(page.check, Qt.MouseButton.LeftButton)
    assert not page.check.isEnabled()
    wait_until(page.check.isEnabled)
    return page.outcome.text()


def test_check_says_versions_and_device(stand_in):
    page = OptionsPage()
    page.python.setFilePath(str(stand_in.python))
    assert check(page) == (
        f"✓ Ready: Python 3.12.1, PyTorch 2.9, torchvision 0.24, rasterio 1.4; computes on CPU. ({stand_in.python})"
    )


def test_check_says_what_is_missing():
    page = OptionsPage()
    page.python.setFilePath(sys.executable)  # QGIS's own Python has no torch
    said = check(page)
    assert said.startswith("✗ This Python cannot run Tilehawk:")
    assert "torch" in said


def test_page_may_close_while_it_checks(stand_in):
    page = OptionsPage()
    page.python.setFilePath(str(stand_in.python))
    QTest.mouseClick(page.check, Qt.MouseButton.LeftButton)
    page.deleteLater()
    from tilehawk.ui import environment_tasks

    wait_until(lambda: not environment_tasks._running)


FAKE_UV = """#!/bin/sh
echo "Resolved 12 packages" >&2
echo "$@" > "{folder}/arguments"
{then}
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
touch "$UV_PROJECT_ENVIRONMENT/bin/python"
"""


def fake_uv(folder, monkeypatch, then=""):
    make_executable(folder / "bin" / "uv", FAKE_UV.format(folder=folder, then=then))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")


def test_set_up_runs_uv(nowhere, monkeypatch):
    fake_uv(nowhere, monkeypatch)
    lines = []
    python = set_up(lines.append, lambda: False)
    assert find_python(Settings()) == python
    assert lines == ["Resolved 12 packages"]
    assert (nowhere / "arguments").read_text().startswith("sync --frozen")


def test_set_up_that_fails_says_uvs_last_line(nowhere, monkeypatch):
    fake_uv(nowhere, monkeypatch, then='echo "error: no route to pypi.org" >&2; exit 2')
    with pytest.raises(WorkerError, match=r"The set-up failed: error: no route to pypi\.org"):
        set_up(lambda line: None, lambda: False)


def test_set_up_can_be_cancelled(nowhere, monkeypatch):
    fake_uv(nowhere, monkeypatch, then="exec sleep 60")
    with pytest.raises(Cancelled):
        set_up(lambda line: None, lambda: True)


def test_set_up_without_uv_says_where_to_get_it(nowhere, monkeypatch):
    monkeypatch.setenv("PATH", str(nowhere))
    with pytest.raises(WorkerError, match="'uv' was not found"):
        set_up(lambda line: None, lambda: False)


def test_log_lies_in_the_profile(stand_in):
    with environment.open_worker(str(stand_in.python)) as worker:
        assert worker.log_path.endswith(str(Path("tilehawk") / "worker.log"))
        assert Path(worker.log_path).is_absolute()


def test_lock_file_matches_the_list_of_packages():
    """'Set up' installs the locked list, which must be that of pyproject.toml."""
    import shutil

    if shutil.which("uv") is None:
        pytest.skip("uv is not on the PATH")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        ["uv", "lock", "--check", "--offline", "--project", str(root)], capture_output=True, text=True, check=False
    )
    if "network" in done.stderr or "cache" in done.stderr.lower():
        pytest.skip("uv cannot check its lock file without the network here")
    assert done.returncode == 0, done.stderr
