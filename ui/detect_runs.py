"""Detections that run in the background of the desktop, each outliving the dialog that started it."""

from __future__ import annotations

import time
from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsTask,
)
from qgis.gui import QgisInterface, QgsGui
from qgis.PyQt.QtCore import QEventLoop, QObject, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication

from ..core.job.errors import InvalidJob
from .environment_tasks import cancel_tasks
from .wording import duration, tr

ALGORITHM = "tilehawk:detect"
LAST_WAIT_MS = 3000  # a cancelled worker is killed after 1.5 s


class RunFeedback(QgsProcessingFeedback):
    """A feedback whose progress texts and errors also reach slots of the main thread."""

    said = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(False)  # not into the application's log: Processing's history keeps it
        self.problem = ""

    def setProgressText(self, text: str) -> None:
        """Tell where the run is; called in the run's thread."""
        super().setProgressText(text)
        self.said.emit(text)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        """Keep what went wrong; called in the run's thread."""
        super().reportError(error, fatalError)
        self.problem = error


class DetectRun(QObject):
    """One run of the detection algorithm as a QGIS task.

    It owns the context and the feedback that the task uses, and never touches the task again. Signals come in the main
    thread: `progressed` (percent), `said` (where it is), `ended` (ok, sentence for the user; empty when cancelled).
    """

    progressed = pyqtSignal(float)
    said = pyqtSignal(str)
    ended = pyqtSignal(bool, str)

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Check the parameters; raises InvalidJob with the algorithm's sentence."""
        from processing.tools.dataobjects import createContext

        super().__init__()
        self.running = False
        self._parameters = parameters
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self._feedback = RunFeedback()
        self._context: QgsProcessingContext | None = createContext(self._feedback)
        for ok, sentence in (
            self._algorithm.canExecute(),
            self._algorithm.checkParameterValues(parameters, self._context),
        ):
            if not ok:
                raise InvalidJob(sentence)
        self._feedback.progressChanged.connect(self.progressed)
        self._feedback.said.connect(self.said)

    def start(self) -> None:
        """Hand the run to QGIS's task manager and note it in Processing's history."""
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.Silent  # the message bar says more than 'Task complete'
        task = QgsProcessingAlgRunnerTask(self._algorithm, self._parameters, self._context, self._feedback, flags)
        if task.isCanceled():
            raise InvalidJob(self._feedback.problem or tr("The detection could not be started."))
        task.executed.connect(self._finish)
        self._started_at = time.monotonic()
        self._add_to_history()
        self.running = True
        QgsApplication.taskManager().addTask(task)

    def cancel(self) -> None:
        """Ask the run to stop; `ended` follows."""
        if self.running:
            self._feedback.cancel()

    def release(self) -> None:
        """Let go of what the run needed, once it has ended: its context may own layers, which must not outlive QGIS."""
        if not self.running:
            self._context = self._feedback = self._algorithm = None

    def _finish(self, ok: bool, results: dict[str, Any]) -> None:
        from processing.gui.Postprocessing import handleAlgorithmResults

        self.running = False
        QTimer.singleShot(0, self.release)  # not in the middle of the task's signal
        self._history["results"] = results
        self._history["log"] = self._feedback.htmlLog()
        QgsGui.historyProviderRegistry().updateEntry(self._history_id, self._history)
        if self._feedback.isCanceled():
            self.ended.emit(False, "")
        elif not ok:
            self.ended.emit(False, self._feedback.problem or tr("The detection failed; see Processing's history."))
        elif not handleAlgorithmResults(self._algorithm, self._context, self._feedback, self._parameters):
            self.ended.emit(False, self._feedback.problem)
        else:
            took = duration(time.monotonic() - self._started_at)
            self.ended.emit(True, tr("{found} in {duration}").format(found=results["FOUND"], duration=took))

    def _add_to_history(self) -> None:
        self._history = {
            "python_command": self._algorithm.asPythonCommand(self._parameters, self._context),
            "algorithm_id": self._algorithm.id(),
            "parameters": self._algorithm.asMap(self._parameters, self._context),
        }
        command, ok = self._algorithm.asQgisProcessCommand(self._parameters, self._context)
        if ok:
            self._history["process_command"] = command
        self._history_id, _ = QgsGui.historyProviderRegistry().addEntry("processing", self._history)
        QgsGui.instance().processingRecentAlgorithmLog().push(self._algorithm.id())


class DetectRuns(QObject):
    """All runs that the desktop has started: keeps each while it runs, and says in the message bar how it ended."""

    def __init__(self, iface: QgisInterface) -> None:
        super().__init__()
        self._iface = iface
        self._runs: list[DetectRun] = []

    def start(self, parameters: dict[str, Any]) -> DetectRun:
        """Start a run; raises InvalidJob with a sentence."""
        run = DetectRun(parameters)
        run.ended.connect(self._tell)
        run.start()
        self._runs = [*(known for known in self._runs if known.running), run]
        return run

    def cancel_all(self) -> None:
        """Cancel whatever runs and wait shortly for the end of it, for unloading and for QGIS's exit."""
        cancel_tasks()
        running = [run for run in self._runs if run.running]
        for run in running:
            run.ended.disconnect(self._tell)
            run.cancel()
        deadline = time.monotonic() + LAST_WAIT_MS / 1000
        while any(run.running for run in running) and time.monotonic() < deadline:
            loop = QEventLoop()
            QTimer.singleShot(50, loop.quit)
            loop.exec()
        for run in self._runs:
            run.release()

    def _tell(self, ok: bool, sentence: str) -> None:
        QApplication.alert(self._iface.mainWindow())  # for who works in another window meanwhile
        bar = self._iface.messageBar()
        if ok:
            bar.pushMessage("Tilehawk", sentence, Qgis.MessageLevel.Success, 0)
        elif sentence:
            bar.pushMessage("Tilehawk", sentence, Qgis.MessageLevel.Critical, 0)
        else:
            bar.pushMessage("Tilehawk", tr("Detection cancelled; nothing was written."), Qgis.MessageLevel.Info, 5)
