"""Checking, planning and installing the worker's Python as QGIS tasks, off the main thread."""

from __future__ import annotations

import time

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import QEventLoop, QTimer, pyqtSignal

from ..core.job.environment.selftest import check_python
from ..core.job.environment.state import READY, Plan, State
from ..core.job.errors import TilehawkError, WorkerError
from ..core.job.events import Event
from .environment import find_python, install_options, installer_fetch, own_environment
from .settings import Settings
from .told import tr_core
from .wording import duration, tr

LAST_WAIT_MS = 3000  # uv is killed within 0.1 s of being cancelled


class EnvironmentTask(QgsTask):
    """Work on the environment that ends with a sentence; `said` tells how it goes, `ended` (ok, sentence) the outcome.

    All signals reach slots of the main thread. Start it with `start_task`, which keeps it alive.
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
        except (TilehawkError, OSError) as problem:
            self._sentence = tr_core(problem)
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


class PlanTask(EnvironmentTask):
    """Finds out what an installation would do; `planned` brings the plan. Asks the graphics card, not the network."""

    planned = pyqtSignal(object)

    def __init__(self, settings: Settings) -> None:
        super().__init__(tr("Looking what Tilehawk needs here"))
        self._environment, self._options = own_environment(settings), install_options(settings)
        self.plan: Plan | None = None

    def work(self) -> str:
        """Make the plan."""
        self.plan = self._environment.plan(self._options)
        return tr_core(self.plan.sentence)

    def finished(self, result: bool) -> None:
        """Hand the plan over, unless nobody waits for it any more."""
        if self.isCanceled():
            _running.discard(self)
            return
        if self.plan is not None:
            self.planned.emit(self.plan)
        super().finished(result)


class TidyTask(EnvironmentTask):
    """Deletes environments of older versions once the present one is ready; for QGIS's start, when none is in use."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(tr("Deleting older Python environments of Tilehawk"))
        self._environment = own_environment(settings)

    def work(self) -> str:
        """Delete them; mostly there are none."""
        self._environment.tidy()
        return ""


class InstallTask(EnvironmentTask):
    """Installs Tilehawk's environment, or goes on where an earlier attempt ended; with `anew` from the beginning.

    `progressed` brings the percentage, `noticed` what the user should know besides.
    """

    progressed = pyqtSignal(float)
    noticed = pyqtSignal(str)

    def __init__(self, settings: Settings, anew: bool) -> None:
        super().__init__(tr("Installing Tilehawk's Python environment"))
        environment = own_environment(settings, installer_fetch(settings))
        self._options = install_options(settings)
        self._install = environment.repair if anew else environment.install
        self.text, self.percent, self.notices = tr("Starting…"), 0.0, ""  # for who looks later

    def work(self) -> str:
        """Install and tell how far it is."""
        return _ready(self._install(self._report, self.isCanceled, self._options))

    def _report(self, event: Event) -> None:
        text = tr_core(event["text"])
        if event["event"] != "progress":
            self.notices = f"{self.notices}\n{text}".strip()
            self.noticed.emit(self.notices)
            return
        self.percent = 100 * event["done"]
        self.setProgress(self.percent)
        self.progressed.emit(self.percent)
        left = event["seconds_left"]
        self.text = text if left is None else tr("{text}, {duration} left").format(text=text, duration=duration(left))
        self.said.emit(self.text)


def _ready(state: State) -> str:
    if state.kind != READY:
        raise WorkerError(state.sentence)
    return tr_core(state.sentence)


_running: set[EnvironmentTask] = set()  # QGIS keeps no Python reference to a task


def start_task(task: EnvironmentTask) -> None:
    """Hand a task to QGIS and keep it until it has ended."""
    _running.add(task)
    QgsApplication.taskManager().addTask(task)


def running_installation() -> InstallTask | None:
    """Give the installation that runs in this QGIS."""
    return next((task for task in _running if isinstance(task, InstallTask)), None)


def cancel_tasks() -> None:
    """Stop every task of this module and wait shortly for the end of it, for unloading and for QGIS's exit."""
    for task in list(_running):
        task.cancel()
    deadline = time.monotonic() + LAST_WAIT_MS / 1000
    while _running and time.monotonic() < deadline:
        loop = QEventLoop()
        QTimer.singleShot(50, loop.quit)
        loop.exec()
