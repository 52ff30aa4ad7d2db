"""Checking and setting up the worker's Python as QGIS tasks, off the main thread."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..core.job.environment.selftest import check_python
from ..core.job.environment.state import READY, State
from ..core.job.errors import TilehawkError, WorkerError
from ..core.job.events import Event
from .environment import find_python, own_environment
from .settings import Settings
from .wording import duration, tr


class EnvironmentTask(QgsTask):
    """Work on the environment that ends with a sentence; `said` tells how it goes, `ended` (ok, sentence) the outcome.

    Both reach slots of the main thread. Start it with `start_task`, which keeps it alive.
    """

    said = pyqtSignal(str)
    ended = pyqtSignal(bool, str)

    def __init__(self, description: str) -> None:
        super().__init__(description, QgsTask.Flag.CanCancel)
        self._sentence = ""

    def work(self) -> str:
        """Do it, in the task's thread; give the sentence for success, raise TilehawkError otherwise."""
        raise NotImplementedError

    def run(self) -> bool:
        """Work and keep the sentence; called by QGIS in the task's thread."""
        try:
            self._sentence = self.work()
        except TilehawkError as problem:
            self._sentence = str(problem)
            return False
        return True

    def finished(self, result: bool) -> None:
        """Tell the outcome; called by QGIS in the main thread."""
        _running.discard(self)
        self.ended.emit(result, self._sentence)


class CheckTask(EnvironmentTask):
    """Has the interpreter that these settings lead to detect on a generated tile."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(tr("Checking Tilehawk's Python"))
        self._settings = settings

    def work(self) -> str:
        """Find and test the interpreter."""
        python = find_python(self._settings)
        return f"{_ready(check_python(python, self.isCanceled))} ({python})"


class SetUpTask(EnvironmentTask):
    """Installs the worker's environment, or goes on where an earlier attempt ended."""

    def __init__(self) -> None:
        super().__init__(tr("Setting up Tilehawk's Python"))

    def work(self) -> str:
        """Install and tell how far it is."""
        return _ready(own_environment().install(self._report, self.isCanceled))

    def _report(self, event: Event) -> None:
        text = event["text"]
        if event["event"] == "progress":
            self.setProgress(100 * event["done"])
            if event["seconds_left"] is not None:
                text = tr("{text}, about {duration} left").format(text=text, duration=duration(event["seconds_left"]))
        self.said.emit(text)


def _ready(state: State) -> str:
    if state.kind != READY:
        raise WorkerError(state.sentence)
    return state.sentence


_running: set[EnvironmentTask] = set()  # QGIS keeps no Python reference to a task


def start_task(task: EnvironmentTask) -> None:
    """Hand a task to QGIS and keep it until it has ended."""
    _running.add(task)
    QgsApplication.taskManager().addTask(task)


def cancel_tasks() -> None:
    """Ask every task of this module to stop."""
    for task in list(_running):
        task.cancel()
