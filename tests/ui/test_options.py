"""Settings, the choice of the interpreter, and the options page."""

import sys
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMessageBox
from tilehawk.core.job.environment.environment import Environment
from tilehawk.core.job.environment.selftest import python_of
from tilehawk.core.job.environment.state import BROKEN, READY, State
from tilehawk.core.job.errors import WorkerError
from tilehawk.core.job.events import progress
from tilehawk.ui import environment, environment_tasks, options
from tilehawk.ui.environment import find_python
from tilehawk.ui.options import OptionsFactory, OptionsPage
from tilehawk.ui.settings import Settings, read_settings, write_settings

from tests.ui.scenery import wait_until


class MadeUp(Environment):
    """An environment whose installation is told instead of done."""

    end = State(READY, "Ready: Python 3.12, PyTorch 2.9, on CPU.", "/opt/made-up")

    def install(self, report, cancelled):
        report(progress(0.4, "Step 3 of 5: Installing PyTorch", 61.0))
        return self.end


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Neither a developer's environment nor one that was set up."""
    monkeypatch.setattr(environment, "ROOT", tmp_path / "plugin")
    for module in (environment, environment_tasks, options):
        monkeypatch.setattr(module, "own_environment", lambda: MadeUp(tmp_path / "data"))
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
    monkeypatch.setattr(MadeUp, "state", lambda self: own)
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


def set_up(page, monkeypatch, answer):
    asked = []

    def question(parent, title, text):
        asked.append(text)
        return answer

    monkeypatch.setattr(QMessageBox, "question", question)
    QTest.mouseClick(page.set_up, Qt.MouseButton.LeftButton)
    assert "MB on disk" in asked[0]


def test_set_up_tells_how_far_it_is(nowhere, monkeypatch):
    page = OptionsPage()
    texts = []
    show = page.outcome.setText
    monkeypatch.setattr(page.outcome, "setText", lambda text: (texts.append(text), show(text)))
    set_up(page, monkeypatch, QMessageBox.StandardButton.Yes)
    wait_until(page.set_up.isEnabled)
    assert texts == [
        "Setting up…",
        "Step 3 of 5: Installing PyTorch, about 61 s left",
        "✓ Ready: Python 3.12, PyTorch 2.9, on CPU.",
    ]


def test_set_up_that_fails_says_why(nowhere, monkeypatch):
    monkeypatch.setattr(MadeUp, "end", State(BROKEN, "The proxy asks for a user and a password (407)."))
    page = OptionsPage()
    set_up(page, monkeypatch, QMessageBox.StandardButton.Yes)
    wait_until(page.set_up.isEnabled)
    assert page.outcome.text() == "✗ The proxy asks for a user and a password (407)."


def test_set_up_starts_only_when_agreed_to(nowhere, monkeypatch):
    page = OptionsPage()
    set_up(page, monkeypatch, QMessageBox.StandardButton.No)
    assert page.set_up.isEnabled()
    assert page.outcome.text() == ""


def test_log_lies_in_the_profile(stand_in):
    with environment.open_worker(str(stand_in.python)) as worker:
        assert worker.log_path.endswith(str(Path("tilehawk") / "worker.log"))
        assert Path(worker.log_path).is_absolute()
