"""One run of an algorithm in the background of the desktop, which outlives the dialog that started it."""

from __future__ import annotations

import time
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsProject,
    QgsTask,
)
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QEventLoop, QObject, QTimer, pyqtSignal

from ..core.job.errors import InvalidJob
from .algorithms.reporting import LiveFeedback
from .public_values import public_inputs
from .wording import tr

LAST_WAIT_MS = 3000  # a cancelled worker is killed after 1.5 s


class AlgorithmRun(QObject):
    """A run as a QGIS task, noted in Processing's history.

    It owns the context and the feedback that the task uses, and never touches the task again. Whoever lets go of it, it
    lives until the task has ended: QGIS's application owns it meanwhile. Signals come in the main thread: `progressed`
    (percent), `said` (where it is), `found` (an event of boxes), `happened` (an event that only some jobs have),
    `ended` (ok, sentence for the user; empty when cancelled). `results`: what the algorithm gave; `seconds`: how long
    it took; `inputs`: the parameters as they can be stored. `must_ask`: it was given up as it would have deleted what
    an earlier run has left.
    """

    progressed = pyqtSignal(float)
    said = pyqtSignal(str)
    found = pyqtSignal(object)
    happened = pyqtSignal(object)
    ended = pyqtSignal(bool, str)

    def __init__(self, algorithm: str, parameters: dict[str, Any]) -> None:
        """Check the parameters; raises InvalidJob with the algorithm's sentence."""
        from processing.tools.dataobjects import createContext

        super().__init__()
        self.running = False
        self.results: dict[str, Any] = {}
        self.seconds = 0.0
        self.inputs: dict[str, Any] = {}
        self.must_ask = False
        self._parameters = parameters
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(algorithm)
        self._feedback = LiveFeedback()
        self._context: QgsProcessingContext | None = createContext(self._feedback)
        for ok, sentence in (
            self._algorithm.canExecute(),
            self._algorithm.checkParameterValues(parameters, self._context),
        ):
            if not ok:
                raise InvalidJob(sentence)
        self._feedback.progressChanged.connect(self.progressed)
        self._feedback.found.connect(self.found)
        self._feedback.happened.connect(self.happened)
        self._feedback.said.connect(self.said)

    def start(self) -> None:
        """Hand the run to QGIS's task manager and note it in Processing's history."""
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.Silent  # the message bar says more than 'Task complete'
        task = QgsProcessingAlgRunnerTask(self._algorithm, self._parameters, self._context, self._feedback, flags)
        if task.isCanceled():
            raise InvalidJob(self._feedback.problem or tr("It could not be started."))
        task.executed.connect(self._finish)
        self._started_at = time.monotonic()
        self._add_to_history()
        self.running = True
        self.setParent(QgsApplication.instance())
        QgsApplication.taskManager().addTask(task)

    def cancel(self) -> None:
        """Ask the run to stop; `ended` follows."""
        if self.running:
            self._feedback.cancel()

    def stop(self) -> None:
        """Ask the run to end early and keep what it has."""
        if self.running:
            self._feedback.stop_asked = True

    def wait(self) -> None:
        """Let Qt work until a cancelled run has ended, for a few seconds at most."""
        deadline = time.monotonic() + LAST_WAIT_MS / 1000
        while self.running and time.monotonic() < deadline:
            loop = QEventLoop()
            QTimer.singleShot(50, loop.quit)
            loop.exec()

    def release(self) -> None:
        """Let go of what the run needed, once it has ended: its context may own layers, which must not outlive QGIS."""
        if not self.running:
            self._context = self._feedback = self._algorithm = None
            self.setParent(None)

    def outcome(self) -> str:
        """Say what came of a run that ended well."""
        return ""

    def _finish(self, ok: bool, results: dict[str, Any]) -> None:
        from processing.gui.Postprocessing import handleAlgorithmResults

        self.running = False
        self.results, self.seconds = results, time.monotonic() - self._started_at
        self.must_ask = self._feedback.must_ask
        QTimer.singleShot(0, self.release)  # not in the middle of the task's signal
        self._history["results"] = results
        self._history["log"] = self._feedback.htmlLog()
        QgsGui.historyProviderRegistry().updateEntry(self._history_id, self._history)
        if self._feedback.isCanceled():
            self.ended.emit(False, "")
        elif not ok:
            self.ended.emit(False, self._feedback.problem or tr("It failed; see Processing's history."))
        elif not handleAlgorithmResults(self._algorithm, self._context, self._feedback, self._parameters):
            self.ended.emit(False, self._feedback.problem)
        else:
            self.ended.emit(True, self.outcome())

    def _add_to_history(self) -> None:
        algorithm, parameters = self._algorithm, self._algorithm.asMap(self._parameters, self._context)
        whole = parameters.get("inputs", {})
        self.inputs = public_inputs(algorithm, whole, QgsProject.instance())
        self._history = {"algorithm_id": algorithm.id(), "parameters": {**parameters, "inputs": self.inputs}}
        if self.inputs == whole:
            self._history["python_command"] = algorithm.asPythonCommand(self._parameters, self._context)
            command, ok = algorithm.asQgisProcessCommand(self._parameters, self._context)
            if ok:
                self._history["process_command"] = command
        else:  # QGIS would turn the ids of layers into their sources; a shell has no layers
            values = QgsProcessingUtils.variantToPythonLiteral(self.inputs)
            self._history["python_command"] = f'processing.run("{algorithm.id()}", {values})'
        self._history_id, _ = QgsGui.historyProviderRegistry().addEntry("processing", self._history)
        QgsGui.instance().processingRecentAlgorithmLog().push(algorithm.id())
