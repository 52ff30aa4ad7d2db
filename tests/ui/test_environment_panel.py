"""The panel that installs the worker's environment, and the window that offers it at the first run."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QMainWindow
from tilehawk.core.job.environment.environment import Environment
from tilehawk.core.job.environment.lock import exclusive
from tilehawk.core.job.environment.state import (
    BROKEN,
    NOT_INSTALLED,
    OUTDATED,
    READY,
    InstallOptions,
    Plan,
    State,
)
from tilehawk.core.job.events import notice, progress
from tilehawk.ui import environment, environment_panel, environment_tasks, set_up_dialog
from tilehawk.ui.environment_panel import EnvironmentPanel
from tilehawk.ui.set_up_dialog import SetUpDialog, offer_set_up
from tilehawk.ui.settings import Settings, read_settings, write_settings

from tests.ui.scenery import wait_until

CUDA = "for NVIDIA graphics cards (CUDA)"
NOTHING = State(NOT_INSTALLED, "Tilehawk's Python environment is not installed.")
DONE = State(READY, "Ready: Python 3.12, PyTorch 2.15, on CPU.", "/opt/made-up", size_bytes=5_812_000_000)


class MadeUp(Environment):
    """An environment whose installation is told instead of done: it ends in `end`, or waits to be cancelled."""

    now, end, waits = NOTHING, DONE, False
    asked: list = []

    def state(self):
        other = super().state()
        return other if other.kind == "installing" else MadeUp.now

    def plan(self, options):
        options.validate()
        return Plan(("Python", "torch"), ("pypi.org",), CUDA, str(self.folder), 3100, 5800, 50_000)

    def install(self, report, cancelled, options, how="install"):
        MadeUp.asked.append((how, options))
        report(notice("PyTorch's own index cannot be reached.", "warning"))
        report(progress(0.4, "Step 3 of 5: Installing PyTorch, 262 of 514 MB", 61.0))
        while MadeUp.waits:
            time.sleep(0.01)
            if cancelled():
                return State(NOT_INSTALLED, "Cancelled. What was downloaded is kept for the next time.")
        MadeUp.now = MadeUp.end
        return MadeUp.end

    def tidy(self):
        MadeUp.asked.append(("tidy", None))

    def repair(self, report, cancelled, options):
        return self.install(report, cancelled, options, "repair")


@pytest.fixture(autouse=True)
def made_up(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path / "plugin")
    for module in (environment, environment_panel, environment_tasks, set_up_dialog):
        monkeypatch.setattr(module, "own_environment", lambda settings, fetch=None: MadeUp(tmp_path / "data"))
    for name, value in (("now", NOTHING), ("end", DONE), ("waits", False), ("asked", [])):
        monkeypatch.setattr(MadeUp, name, value)
    yield
    environment_tasks.cancel_tasks()
    wait_until(lambda: not environment_tasks._running)


@pytest.fixture
def iface(qgis_iface, monkeypatch):
    opened = []
    monkeypatch.setattr(qgis_iface, "showOptionsDialog", lambda *page: opened.append(page), raising=False)
    qgis_iface.opened = opened
    return qgis_iface


@pytest.fixture
def panel():
    panel = EnvironmentPanel(read_settings)
    panel.show()
    wait_until(lambda: not environment_tasks._running)
    return panel


def click(button):
    assert button.isVisible()
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def shown(panel: EnvironmentPanel) -> list[str]:
    buttons = (panel.install, panel.repair, panel.cancel, panel.diagnostics)
    return [button.text() for button in buttons if button.isVisible()]


def ended(panel: EnvironmentPanel) -> bool:
    return not environment_tasks._running and panel._task is None


def test_it_says_what_from_where_how_large_and_how_long_and_does_nothing(panel):
    assert panel.title.text() == "Not installed"
    assert panel.plan["what"].text() == f"Python, torch ({CUDA})"
    assert panel.plan["source"].text() == "pypi.org"
    size = panel.plan["size"].text().replace("\N{NO-BREAK SPACE}", " ")
    assert size == "about 3.1 GB to download; 5.8 GB on disk, where 50.0 GB are free"
    assert panel.plan["time"].text().startswith("about 8 min at 50 Mbit/s")
    assert panel.plan["folder"].text().endswith("data")
    assert panel.rows.isVisible()
    assert MadeUp.asked == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"download_mb": 320, "fallback_mb": 3100}, "320 MB to download (3.1 GB where download.pytorch.org cannot"),
        ({"download_mb": 0}, "nothing to download; 5.8 GB on disk"),
    ],
)
def test_the_size_says_what_may_come(monkeypatch, changes, text):
    plan = MadeUp(Path()).plan(InstallOptions())
    monkeypatch.setattr(MadeUp, "plan", lambda self, options: replace(plan, **changes))
    panel = EnvironmentPanel(read_settings)
    wait_until(lambda: panel.plan["size"].text())
    assert text in panel.plan["size"].text().replace("\N{NO-BREAK SPACE}", " ")


def test_installing_tells_step_megabytes_and_time_left_and_ends_ready(panel):
    MadeUp.waits = True
    outcomes = []
    panel.ended.connect(lambda ok, sentence: outcomes.append(ok))
    click(panel.install)
    wait_until(lambda: "Step 3" in panel.status.text())
    assert panel.status.text() == "Step 3 of 5: Installing PyTorch, 262 of 514 MB, 61 s left"
    assert panel.notices.text() == "PyTorch's own index cannot be reached."
    assert panel.notices.isVisible()
    assert panel.progress.value() == 40
    assert panel.title.text() == "Installing"
    assert shown(panel) == ["Cancel", "Copy diagnostics"]
    MadeUp.waits = False
    wait_until(lambda: ended(panel))
    assert outcomes == [True]
    assert panel.title.text() == "Installed"
    assert "Ready: Python 3.12, PyTorch 2.15, on CPU. The environment takes 5.8" in panel.sentence.text()
    assert shown(panel) == ["Repair", "Copy diagnostics"]
    assert not panel.rows.isVisible()
    assert MadeUp.asked == [("install", InstallOptions())]


def test_cancel_stops_it_and_says_what_is_kept(panel):
    MadeUp.waits = True
    click(panel.install)
    wait_until(lambda: MadeUp.asked)
    click(panel.cancel)
    assert not panel.cancel.isEnabled()
    wait_until(lambda: ended(panel))
    assert panel.sentence.text().startswith("Cancelled")
    assert shown(panel) == ["Install", "Copy diagnostics"]


def test_a_failure_is_said_and_can_be_tried_again_or_repaired(panel):
    MadeUp.end = State(BROKEN, "The proxy asks for a user and a password (407).")
    click(panel.install)
    wait_until(lambda: ended(panel))
    assert panel.title.text() == "Not usable yet"
    assert panel.sentence.text() == "The proxy asks for a user and a password (407)."
    assert shown(panel) == ["Try again", "Repair", "Copy diagnostics"]
    click(panel.install)
    wait_until(lambda: ended(panel))
    MadeUp.end = DONE
    click(panel.repair)
    wait_until(lambda: ended(panel))
    assert [how for how, _ in MadeUp.asked] == ["install", "install", "repair"]
    assert panel.title.text() == "Installed"


def test_an_older_environment_offers_an_update():
    MadeUp.now = State(OUTDATED, "The environment was made for another version.", "/opt/older")
    panel = EnvironmentPanel(read_settings)
    panel.show()
    assert panel.title.text() == "Update available"
    assert shown(panel) == ["Update", "Copy diagnostics"]
    click(panel.install)
    wait_until(lambda: ended(panel))
    assert panel.title.text() == "Installed"


def test_an_installation_outlives_the_panel_and_the_next_one_shows_it(panel):
    MadeUp.waits = True
    click(panel.install)
    wait_until(lambda: "Step 3" in panel.status.text())
    panel.deleteLater()
    second = EnvironmentPanel(read_settings)
    second.show()
    assert second.status.text().startswith("Step 3 of 5")
    assert second.progress.value() == 40
    assert second.notices.isVisible()
    click(second.cancel)
    wait_until(lambda: ended(second))


def test_a_panel_that_was_open_before_follows_too(panel):
    before = EnvironmentPanel(read_settings)
    before.show()
    MadeUp.waits = True
    click(panel.install)
    wait_until(lambda: "Step 3" in panel.status.text())
    before.refresh()
    assert before.status.text().startswith("Step 3 of 5")
    click(before.cancel)
    wait_until(lambda: ended(panel) and ended(before))
    assert before.sentence.text() == panel.sentence.text()


def test_another_qgis_that_installs_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(environment_panel, "LOOK_MS", 20)
    with exclusive(tmp_path / "data" / "lock"):
        panel = EnvironmentPanel(read_settings)
        panel.show()
        assert panel.title.text() == "Installing"
        assert shown(panel) == ["Copy diagnostics"]
        MadeUp.now = DONE
    wait_until(lambda: panel.title.text() == "Installed")


def test_the_options_reach_the_installation_and_are_kept(tmp_path):
    settings = Settings(index_url="https://mirror/simple", proxy="http://proxy:3128", torch_backend="cpu")
    panel = EnvironmentPanel(lambda: settings)
    panel.show()
    click(panel.install)
    wait_until(lambda: ended(panel))
    options = InstallOptions("https://mirror/simple", None, "http://proxy:3128", None, "cpu")
    assert MadeUp.asked == [("install", options)]
    assert read_settings() == settings


def test_an_option_that_cannot_be_meant_is_said_before_installing():
    panel = EnvironmentPanel(lambda: Settings(index_url="mirror/simple"))
    wait_until(lambda: not environment_tasks._running)
    assert panel.sentence.text() == "The address of the mirror must begin with http:// or https://."


def test_a_python_of_one_s_own_is_spoken_of(tmp_path):
    python = tmp_path / "python"
    python.touch()
    chosen = EnvironmentPanel(lambda: Settings(python=str(python)))
    assert chosen.sentence.text() == f"Detection runs in '{python}', not in Tilehawk's own environment."
    assert chosen.title.text() == "Not needed"
    gone = EnvironmentPanel(lambda: Settings(python="/nowhere/python"))
    assert "'/nowhere/python' set in Tilehawk's options does not exist" in gone.sentence.text()


def test_diagnostics_are_copied_without_passwords(panel, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:" + "lovelace@proxy:3128")
    click(panel.diagnostics)
    text = QApplication.clipboard().text()
    assert "state: not_installed" in text
    assert "HTTPS_PROXY" in text
    assert "lovelace" not in text
    assert "clipboard" in panel.status.text()


def test_every_control_has_a_tooltip(panel, window, iface):
    dialog = SetUpDialog(window, iface, list)
    controls = [panel.install, panel.repair, panel.cancel, panel.diagnostics, panel.progress, dialog.options]
    assert all(control.toolTip() for control in [*controls, *dialog.buttons.buttons()])


def test_older_environments_are_deleted_when_qgis_starts(plugin):
    wait_until(lambda: not environment_tasks._running)
    assert MadeUp.asked == [("tidy", None)]


# --- the first run


@pytest.fixture
def window():
    window = QMainWindow()
    window.show()
    return window


def test_without_a_python_the_set_up_opens_and_nothing_is_fetched(window, iface):
    offer_set_up(window, iface, list)
    (dialog,) = window.findChildren(SetUpDialog)
    assert dialog.isVisible()
    assert not dialog.isModal()
    assert MadeUp.asked == []
    dialog.close()
    offer_set_up(window, iface, list)
    assert window.findChildren(SetUpDialog) == [dialog]
    assert dialog.isVisible()


def test_with_a_python_it_stays_away(window, iface, tmp_path):
    MadeUp.now = DONE
    offer_set_up(window, iface, list)
    MadeUp.now = NOTHING
    (tmp_path / "python").touch()
    write_settings(Settings(python=str(tmp_path / "python")))
    offer_set_up(window, iface, list)
    assert window.findChildren(SetUpDialog) == []


def test_the_detect_action_opens_it(plugin, iface):
    plugin.show_dialog()
    assert plugin.dialog.isVisible()
    (dialog,) = plugin.dialog.findChildren(SetUpDialog)
    assert dialog.isVisible()
    click(dialog.options)
    assert iface.opened[0][1] == "tilehawkOptions"


def test_an_update_is_told_once(window, iface, monkeypatch):
    MadeUp.now = State(OUTDATED, "The environment was made for another version.", "/opt/older")
    told = []
    monkeypatch.setattr(iface.messageBar(), "pushWidget", lambda widget, *rest: told.append(widget), raising=False)
    offer_set_up(window, iface, list)
    offer_set_up(window, iface, list)
    assert len(told) == 1
    assert window.findChildren(SetUpDialog) == []


def test_an_end_is_told_in_qgis_when_the_window_is_closed(window, iface, monkeypatch):
    told = []
    monkeypatch.setattr(iface.messageBar(), "pushMessage", lambda *what: told.append(what[1]), raising=False)
    ready = []
    offer_set_up(window, iface, lambda: ready.append(True))
    (dialog,) = window.findChildren(SetUpDialog)
    MadeUp.waits = True
    click(dialog.panel.install)
    wait_until(lambda: MadeUp.asked)
    dialog.close()
    MadeUp.waits = False
    wait_until(lambda: ended(dialog.panel))
    assert told == [DONE.sentence]
    assert ready == [True]
    assert "All is set up" in dialog.explanation.text()


@pytest.mark.parametrize("percent", [100, 150])
def test_nothing_is_clipped_at_any_font_size(window, iface, percent):
    font = window.font()
    font.setPointSizeF(font.pointSizeF() * percent / 100)
    window.setFont(font)
    offer_set_up(window, iface, list)
    (dialog,) = window.findChildren(SetUpDialog)
    wait_until(lambda: dialog.panel.plan["size"].text() and not environment_tasks._running)
    QTest.qWait(50)
    for label in (dialog.explanation, dialog.panel.sentence, *dialog.panel.plan.values()):
        assert label.height() >= label.heightForWidth(label.width()), label.text()
