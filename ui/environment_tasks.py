"""Checking and setting up the worker's Python as QGIS tasks, off the main thread."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..core.job.errors import TilehawkError
from .environment import check_python, find_python, own_environment, set_up
from .settings import Settings
from .wording import tr


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
    """Asks the interpreter that these settings lead to for its versions and its device."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(tr("Checking Tilehawk's Python"))
        self._settings = settings

    def work(self) -> str:
        """Find and ask the interpreter."""
        python = find_python(self._settings)
        found = check_python(python, self.isCanceled)
        return tr(
            "Ready: Python {python}, PyTorch {torch}, torchvision {torchvision}, rasterio {rasterio}; "
            "computes on {device}. ({path})"
        ).format(path=python, **found)


class SetUpTask(EnvironmentTask):
    """Makes the worker's environment with uv."""

    def __init__(self) -> None:
        super().__init__(tr("Setting up Tilehawk's Python"))

    def work(self) -> str:
        """Run uv and tell its lines."""
        set_up(self.said.emit, self.isCanceled)
        return tr("The environment is ready in '{folder}'.").format(folder=own_environment())


_running: set[EnvironmentTask] = set()  # QGIS keeps no Python reference to a task


def start_task(task: EnvironmentTask) -> None:
    """Hand a task to QGIS and keep it until it has ended."""
    _running.add(task)
    QgsApplication.taskManager().addTask(task)


def cancel_tasks() -> None:
    """Ask every task of this module to stop."""
    for task in list(_running):
        task.cancel()
