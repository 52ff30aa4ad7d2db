"""The Detect dialog: the form, what its run would be like, a try on the map, and how a run is going."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.gui import QgisInterface, QgsGui, QgsMessageBar
from qgis.PyQt.QtCore import QSize, Qt, QTimer
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
)

from ..core.job.errors import TilehawkError
from ..core.job.events import Event
from .branding import add_help, icon
from .detect_form import DetectForm
from .detect_questions import Tried, preflight_question, try_question
from .detect_runs import ALGORITHM, DetectRun, DetectRuns
from .environment import open_warm_worker
from .live_boxes import LiveBoxes
from .parameter_widgets import project_context
from .preflight_card import PreflightCard
from .warm_worker import WarmWorker
from .wording import counted, duration, tr

TYPING_MS = 300  # the pre-flight waits until the form has been left alone for so long


class DetectDialog(QDialog):
    """Starts detections in the background and shows the progress of the last one.

    It stays usable meanwhile, and closing it leaves the run alone: reopening shows it again. While it is open, a worker
    of low priority is kept loaded for pre-flights and tries.
    """

    def __init__(self, iface: QgisInterface, runs: DetectRuns) -> None:
        super().__init__(iface.mainWindow())
        self.setObjectName("tilehawkDetectDialog")
        self.setWindowTitle(tr("Detect objects"))
        self.setWindowIcon(icon())
        self._iface, self._runs = iface, runs
        self._run: DetectRun | None = None
        self._preview: LiveBoxes | None = None
        self._tried: Tried | None = None
        self._asked_preflight = self._asked_try = 0
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self.form = DetectForm(self._algorithm, iface.mapCanvas())
        self.card = PreflightCard()
        self.messages = QgsMessageBar()
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setToolTip(tr("How much of the area has been looked at"))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.try_button = QPushButton(tr("Try here"))
        self.try_button.setToolTip(tr("Look at what the map shows, in seconds; adds nothing to the project"))
        self.try_button.setAutoDefault(False)
        self.run_button = self._button(tr("Run"), tr("Look for objects, in the background"))
        self.run_button.setDefault(True)
        self.cancel_button = self._button(tr("Cancel"), tr("Stop the running detection; nothing is written"))
        add_help(self.buttons, "detect")
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; a running detection goes on")
        )
        self.warm = WarmWorker(open_warm_worker, self)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._arrange()
        self._show_running(False)
        self._connect()
        self._take_room()
        QgsGui.enableAutoGeometryRestore(self)

    def run(self) -> None:
        """Start a detection with what the form says, or show why it cannot be started."""
        self.messages.clearWidgets()
        self._forget_preview()
        try:
            self._run = self._runs.start(self.form.parameters())
        except TilehawkError as problem:
            self.messages.pushMessage(str(problem), Qgis.MessageLevel.Warning, 0)
            return
        self._run.progressed.connect(self._show_progress)  # no lambda: Qt must know whose slot it is when that is gone
        self._run.said.connect(self.status.setText)
        self._run.ended.connect(self._show_end)
        self.progress.setValue(0)
        self.status.setText(tr("Starting…"))
        self._show_running(True)

    def cancel(self) -> None:
        """Stop the running detection."""
        if self._run is not None:
            self.status.setText(tr("Stopping…"))
            self.cancel_button.setEnabled(False)
            self._run.cancel()

    def try_here(self) -> None:
        """Look at what the map shows with the warm worker, or stop doing so."""
        if self._asked_try:
            self.warm.give_up(self._asked_try)
            self._end_try(tr("Stopped."))
            return
        self.messages.clearWidgets()
        self._forget_preview()
        try:
            question = try_question(
                self._algorithm, self.form.parameters(), project_context(), self.form.area.visible()
            )
        except TilehawkError as problem:
            self.messages.pushMessage(str(problem), Qgis.MessageLevel.Warning, 0)
            return
        self._asked_try = self.warm.ask("try", question)
        self.try_button.setText(tr("Stop trying"))
        self.status.setText(tr("Trying on what the map shows…"))

    def showEvent(self, event: QShowEvent) -> None:
        """Take up what has changed whenever the dialog opens, and load the worker."""
        super().showEvent(event)
        if not event.spontaneous():
            if not self._is_running() and not self.form.area.drawing:
                self.form.refresh(self._iface.activeLayer())
            self._typing.start()

    def close_worker(self, wait: bool = False) -> None:
        """Let the warm worker go and take the preview off the map; `wait` for it when QGIS ends."""
        self._typing.stop()
        self._asked_preflight = 0
        if self._asked_try:
            self._end_try("")
        self.warm.close(wait)
        self._forget_preview()

    def _connect(self) -> None:
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.try_button.clicked.connect(self.try_here)
        self.buttons.rejected.connect(self.reject)
        self.form.changed.connect(self._typing.start)
        self.form.threshold.valueChanged.connect(self._filter_preview)
        self._typing.timeout.connect(self._ask_preflight)
        self.warm.told.connect(self._hear)
        self.warm.answered.connect(self._take_answer)
        self.warm.failed.connect(self._take_failure)
        self.finished.connect(self._leave)
        QgsProject.instance().cleared.connect(self._leave)

    def _leave(self) -> None:
        self.close_worker()

    def _ask_preflight(self) -> None:
        if not self.isVisible():
            return
        try:
            question = preflight_question(self._algorithm, self.form.parameters(), project_context())
        except TilehawkError as problem:
            self._asked_preflight = 0
            self.card.show_problem(str(problem))
            return
        self._asked_preflight = self.warm.ask("preflight", question)

    def _hear(self, number: int, event: Event) -> None:
        if number == self._asked_preflight and event["event"] == "preflight":
            self.card.show_facts(event)
        elif number == self._asked_try and event["event"] == "progress":
            self.status.setText(tr("Trying: {text}").format(text=event["text"]))

    def _take_answer(self, number: int, answer: Any) -> None:
        if number == self._asked_preflight:
            self.card.show_facts(answer)
        elif number == self._asked_try:
            self._end_try("")
            self._show_tried(answer)

    def _take_failure(self, number: int, sentence: str) -> None:
        if number == self._asked_preflight and sentence:
            self.card.show_problem(sentence)
        elif number == self._asked_try:
            self._end_try("")
            if sentence:
                self.messages.pushMessage(sentence, Qgis.MessageLevel.Warning, 0)

    def _end_try(self, text: str) -> None:
        self._asked_try = 0
        self.try_button.setText(tr("Try here"))
        self.status.setText(text)

    def _show_tried(self, tried: Tried) -> None:
        card = self.form.model.card
        if card is None:
            return
        self._tried = tried
        self._preview = LiveBoxes(self._iface.mapCanvas(), [known.color for known in card.classes])
        self._preview.set_threshold(self.form.threshold.value())
        self._preview.add(tried.boxes, tried.scores, tried.labels, tried.crs)
        self._filter_preview()

    def _filter_preview(self) -> None:
        """Let the preview follow the confidence, and say how many it shows."""
        if self._preview is None or self._tried is None or self.form.model.card is None:
            return
        threshold = self.form.threshold.value()
        if threshold == self.form.threshold.clearValue():
            threshold = self._tried.threshold  # the model's own, to all its digits
        self._preview.set_threshold(threshold)
        shown = [label for label, score in zip(self._tried.labels, self._tried.scores) if score >= threshold]
        classes = {known.name: shown.count(label) for label, known in enumerate(self.form.model.card.classes)}
        where = tr("the middle of the map") if self._tried.cut else tr("what the map shows")
        self.status.setText(
            tr(
                "Preview: {found} in {where}, in {duration}. Nothing was added; move the confidence to see others."
            ).format(found=counted(classes), where=where, duration=duration(self._tried.seconds))
        )

    def _forget_preview(self) -> None:
        if self._preview is not None:
            self._preview.remove()
            self.status.setText("")
        self._preview = self._tried = None

    def _is_running(self) -> bool:
        return self._run is not None and self._run.running

    def _show_progress(self, percent: float) -> None:
        self.progress.setValue(round(percent))

    def _show_end(self, ok: bool, sentence: str) -> None:
        self._show_running(False)
        if sentence:
            self.status.setText("")
            level = Qgis.MessageLevel.Success if ok else Qgis.MessageLevel.Critical
            self.messages.pushMessage(sentence, level, 0)
        else:
            self.status.setText(tr("Cancelled; nothing was written."))

    def _show_running(self, running: bool) -> None:
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.progress.setVisible(running)

    def _button(self, text: str, tooltip: str) -> QPushButton:
        button = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        button.setToolTip(tooltip)
        return button

    def _take_room(self) -> None:
        """Be large enough for the folded form with a model's summary beside the card, yet within the screen."""
        line = self.fontMetrics().height()
        form = max(self.form.sizeHint().width(), 34 * line)
        self.form.advanced.hide()  # it is folded only when it is shown
        height = max(self.form.layout().totalHeightForWidth(form) + 13 * line, 34 * line)
        self.form.advanced.show()
        self.resize(QSize(form + 22 * line, height).boundedTo(self.screen().availableSize() * 0.9))

    def _arrange(self) -> None:
        scroll = QScrollArea()
        scroll.setWidget(self.form)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        beside = QVBoxLayout()
        beside.addWidget(self.card, 1)
        beside.addWidget(self.try_button)
        middle = QHBoxLayout()
        middle.setSpacing(12)
        middle.addWidget(scroll, 7)
        middle.addLayout(beside, 4)
        layout = QVBoxLayout(self)
        layout.addWidget(self.messages)
        layout.addLayout(middle, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.progress)
        layout.addWidget(self.buttons)
