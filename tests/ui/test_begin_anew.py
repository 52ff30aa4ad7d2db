"""What a broken-off run had found is deleted only where the user of the dialog says so; the same run simply goes on."""

from pathlib import Path

import pytest
from qgis.core import Qgis
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QMessageBox, QPushButton

from tests.ui.scenery import click, wait_until

OTHER = ["CannotResume", "'found.gpkg.partial' was left by another job: not the same tiles."]


@pytest.fixture
def dialog(detect_dialog, tmp_path):
    detect_dialog.form.output.setFilePath(str(tmp_path / "found.gpkg"))
    return detect_dialog


@pytest.fixture
def parts(tmp_path):
    """Parts beside the output, as a worker leaves them that has died."""
    parts = Path(tmp_path / "found.gpkg.partial")
    parts.mkdir()
    (parts / "job.json").write_text('{"pid": 1, "job": {}}')
    return parts


@pytest.fixture
def answer(monkeypatch):
    """Press the button of this name in each question; gives how often there was one."""
    asked = []

    def press(name):
        def look():
            box = QApplication.activeModalWidget()
            if not isinstance(box, QMessageBox):
                timer.start(20)
                return
            asked.append(box.text())
            click(next(button for button in box.findChildren(QPushButton) if button.text().replace("&", "") == name))
            timer.start(20)

        timer.timeout.connect(look)
        timer.start(20)
        return asked

    timer = QTimer()
    timer.setSingleShot(True)
    yield press
    timer.stop()


def run_to_the_end(dialog):
    click(dialog.run_button)
    wait_until(lambda: dialog._run is None or not dialog._run.running)


def test_the_same_run_goes_on_without_a_question(dialog, stand_in, parts, answer):
    asked = answer("Go back")
    run_to_the_end(dialog)
    assert [job.resume for job in stand_in.jobs()] == [True]
    assert dialog._run.results["OBJECT_COUNT"] == 3
    assert asked == []


@pytest.mark.parametrize(("button", "resumed"), [("Begin anew", [True, False]), ("Go back", [True])])
def test_another_run_asks_before_it_begins_anew(dialog, stand_in, parts, answer, button, resumed):
    asked = answer(button)
    stand_in.plan(error=OTHER, parts_stay=True)
    click(dialog.run_button)
    wait_until(lambda: asked and not dialog._run.running)
    assert [job.resume for job in stand_in.jobs()] == resumed
    assert len(asked) == 1 and "'found.gpkg'" in asked[0]
    assert bool(dialog._run.results) == (button == "Begin anew")
    assert dialog.run_button.isEnabled()
    if button == "Go back":
        assert parts.is_dir()


@pytest.mark.parametrize(("button", "resumed"), [("Begin anew", [False]), ("Go back", [])])
def test_a_run_that_is_not_to_go_on_asks_before_it_starts(dialog, stand_in, parts, answer, button, resumed):
    asked = answer(button)
    dialog.form._parameters.set("RESUME", False)
    run_to_the_end(dialog)
    assert [job.resume for job in stand_in.jobs()] == resumed
    assert len(asked) == 1


def test_nothing_is_asked_where_nothing_is_left(dialog, stand_in, answer):
    asked = answer("Go back")
    dialog.form._parameters.set("RESUME", False)
    run_to_the_end(dialog)
    assert dialog._run.results["OBJECT_COUNT"] == 3
    assert asked == []


def test_a_closed_dialog_says_it_in_the_message_bar_and_deletes_nothing(dialog, stand_in, parts, qgis_iface, answer):
    asked = answer("Begin anew")
    qgis_iface.messageBar().clear_messages()
    stand_in.plan(error=OTHER, seconds=0.3, parts_stay=True)
    click(dialog.run_button)
    dialog.close()
    wait_until(lambda: not dialog._run.running)
    (said,) = qgis_iface.messageBar().get_messages(Qgis.MessageLevel.Warning)
    assert "was left by another job" in said
    assert (asked, [job.resume for job in stand_in.jobs()]) == ([], [True])
