"""Settings, the choice of the interpreter, and the options page."""

import sys
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from tilehawk.core.job.environment.environment import Environment
from tilehawk.core.job.environment.selftest import python_of
from tilehawk.core.job.environment.state import READY, InstallOptions, State
from tilehawk.core.job.errors import WorkerError
from tilehawk.ui import environment, environment_tasks
from tilehawk.ui.environment import find_python, install_options, own_environment
from tilehawk.ui.options import OptionsFactory, OptionsPage
from tilehawk.ui.settings import Settings, read_settings, write_settings

from tests.ui.scenery import wait_until


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Neither a developer's environment nor one that was installed."""
    monkeypatch.setattr(environment, "ROOT", tmp_path / "plugin")
    monkeypatch.setattr(environment, "default_folder", lambda: tmp_path / "data")
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
    with pytest.raises(WorkerError, match=r"is not installed.* Settings > Options > Tilehawk"):
        find_python(Settings())
    own = State(READY, "Ready.", "/opt/own")
    monkeypatch.setattr(Environment, "state", lambda self: own)
    assert find_python(Settings()) == own.python
    checkout = make_executable(python_of(environment.ROOT / ".venv"))
    assert find_python(Settings()) == str(checkout)
    variable = make_executable(nowhere / "variable")
    monkeypatch.setenv("TILEHAWK_PYTHON", str(variable))
    assert find_python(Settings()) == str(variable)
    chosen = make_executable(nowhere / "chosen")
    assert find_python(Settings(python=str(chosen))) == str(chosen)


def test_a_setting_that_leads_nowhere_is_said(nowhere):
    make_executable(python_of(environment.ROOT / ".venv"))
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


@pytest.fixture
def ready(monkeypatch):
    """Whatever is checked is ready."""
    sentence = "Ready: Python 3.12.1, PyTorch 2.9, on CPU."
    monkeypatch.setattr(environment_tasks, "check_python", lambda python, cancelled: State(READY, sentence, python))
    return sentence


def test_check_says_versions_and_device(ready):
    page = OptionsPage()
    page.python.setFilePath(sys.executable)
    assert check(page) == f"✓ {ready} ({sys.executable})"


def test_check_says_what_is_missing():
    page = OptionsPage()
    page.python.setFilePath(sys.executable)  # QGIS's own Python has no torch
    said = check(page)
    assert said.startswith("✗ This Python cannot run Tilehawk")


def test_page_may_close_while_it_checks(ready):
    page = OptionsPage()
    page.python.setFilePath(sys.executable)
    QTest.mouseClick(page.check, Qt.MouseButton.LeftButton)
    page.deleteLater()
    wait_until(lambda: not environment_tasks._running)


def test_fields_of_the_installation_are_stored_and_reach_it(plugin, nowhere):
    page = OptionsFactory().createWidget(None)
    page.environment_folder.setFilePath(str(nowhere / "short"))
    page.index_url.setText("https://mirror/simple")
    page.proxy.setText("http://proxy:3128")
    page.offline_folder.setFilePath(str(nowhere))
    page.base_python.setFilePath(sys.executable)
    page.torch_backend.setCurrentText("cpu")
    page.cluster.setText(" tcp://head:8786 ")
    page.apply()
    settings = read_settings()
    assert settings.cluster == "tcp://head:8786"
    assert own_environment(settings).folder == nowhere / "short"
    assert install_options(settings) == InstallOptions(
        "https://mirror/simple", str(nowhere), "http://proxy:3128", sys.executable, "cpu"
    )
    again = OptionsPage()
    assert again._settings() == settings


def test_a_build_that_is_not_in_the_list_is_kept(nowhere):
    write_settings(Settings(torch_backend="rocm6.4"))
    assert OptionsPage()._settings().torch_backend == "rocm6.4"


def test_log_lies_in_the_profile(stand_in):
    with environment.open_worker(str(stand_in.python)) as worker:
        assert worker.log_path.endswith(str(Path("tilehawk") / "worker.log"))
        assert Path(worker.log_path).is_absolute()
