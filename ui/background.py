"""Work off the main thread, as QGIS tasks that end with a value or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal

from ..core.job.errors import Cancelled, TilehawkError
from .told import tr_core
from .wording import tr


class Work(QgsTask):
    """Runs `function(task)` in a thread of QGIS's; the function asks `task.isCanceled()` and calls `task.setProgress`.

    One of two signals follows in the main thread, none after a cancel: `done` (what the function gave), `failed` (a
    sentence). Start it with `start_work`, which keeps it alive; never touch it after that but to cancel.
    """

    done = pyqtSignal(object)
    failed = pyqtSignal(str)

    def __init__(self, description: str, function: Callable[[Work], Any], silent: bool = False) -> None:
        """`silent`: for what ends within a moment, no notice is shown."""
        quiet = (QgsTask.Flag.Silent | QgsTask.Flag.Hidden) if silent else QgsTask.Flag.Silent
        super().__init__(description, QgsTask.Flag.CanCancel | quiet)
        self._function: Callable[[Work], Any] | None = function
        self._value: Any = None
        self._sentence = ""

    def run(self) -> bool:
        """Do the work; called by QGIS in the task's thread."""
        try:
            self._value = self._function(self)
        except Cancelled:
            return False
        except TilehawkError as problem:
            self._sentence = tr_core(problem)
            return False
        except Exception as problem:  # the edge: an error in a task's thread would be lost
            self._sentence = tr("This went wrong: {why}").format(why=f"{type(problem).__name__}: {problem}")
            return False
        return not self.isCanceled()

    def finished(self, result: bool) -> None:
        """Tell how it ended; called by QGIS in the main thread."""
        _running.discard(self)
        if result:
            self.done.emit(self._value)
        elif self._sentence and not self.isCanceled():
            self.failed.emit(self._sentence)
        self._value = self._function = None

    def stop_if_cancelled(self) -> None:
        """Raise Cancelled where the work is to stop."""
        if self.isCanceled():
            raise Cancelled(tr("Cancelled."))


_running: set[Work] = set()  # QGIS keeps no Python reference to a task


def start_work(work: Work) -> Work:
    """Hand work to QGIS and keep it until it has ended."""
    _running.add(work)
    QgsApplication.taskManager().addTask(work)
    return work


def cancel_work() -> None:
    """Ask all work to stop, and wait for it: what it uses may go away after that."""
    for work in list(_running):
        work.cancel()
        work.waitForFinished(3000)
    _running.clear()
