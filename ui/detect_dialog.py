"""The Detect dialog: the form, what its run would be like, a try on the map, and how a run is going."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgisInterface
from qgis.PyQt.QtWidgets import QDialogButtonBox, QPushButton

from ..core.job.errors import TilehawkError
from ..core.job.events import Event
from .algorithm_dialog import AlgorithmDialog
from .branding import icon
from .detect_form import DetectForm
from .detect_questions import Tried, begins_anew, may_begin_anew, preflight_question, try_question
from .detect_runs import ALGORITHM, DetectRun, DetectRuns
from .live_boxes import LiveBoxes
from .parameter_widgets import project_context
from .preflight_card import PreflightCard
from .told import tr_core
from .warm_worker import MakeJob
from .wording import counted, duration, tr


class DetectDialog(AlgorithmDialog):
    """Starts detections in the background; what the map shows can be tried before, without adding anything."""

    help_page = "detect"
    asks = "preflight"

    form: DetectForm
    card: PreflightCard

    def __init__(self, iface: QgisInterface, runs: DetectRuns) -> None:
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        super().__init__(iface, algorithm, DetectForm(algorithm, iface.mapCanvas()), PreflightCard())
        self.setObjectName("tilehawkDetectDialog")
        self.setWindowTitle(tr("Detect objects"))
        self.setWindowIcon(icon())
        self._runs = runs
        self._preview: LiveBoxes | None = None
        self._tried: Tried | None = None
        self._asked_try = 0
        self._parameters: dict[str, Any] = {}  # of the last run
        self.progress.setToolTip(tr("How much of the area has been looked at"))
        self.try_button = QPushButton(tr("Try here"))
        self.try_button.setToolTip(tr("Look at what the map shows, in seconds; adds nothing to the project"))
        self.try_button.setAutoDefault(False)
        self.try_button.clicked.connect(self.try_here)
        self.run_button = self._button(tr("Run"), tr("Look for objects, in the background"), self.run)
        self.run_button.setDefault(True)
        self.cancel_button = self._button(
            tr("Cancel"), tr("Stop the running detection; nothing is written"), self.cancel
        )
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; a running detection goes on")
        )
        self.form.threshold.valueChanged.connect(self._filter_preview)
        self._arrange(self._form_and_card(self.try_button))
        self._show_running(False)
        line = self.fontMetrics().height()
        form = max(self.form.sizeHint().width(), 34 * line)
        self.form.advanced.hide()  # it is folded only when it is shown
        height = max(self.form.layout().totalHeightForWidth(form) + 13 * line, 34 * line)
        self.form.advanced.show()
        self._take_room(form + 22 * line, height)

    def run(self) -> None:
        """Start a run, unless it would delete what an earlier one has left and the user would rather go back."""
        try:
            parameters = self.form.parameters()
            left = begins_anew(self._algorithm, parameters, project_context())
        except TilehawkError:  # starting it says why not
            parameters, left = {}, ""
        if not left:
            self._begin(parameters)
        elif may_begin_anew(left, self):
            self._begin({**parameters, "RESUME": False})

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
            self._warn(tr_core(problem))
            return
        self._asked_try = self.warm.ask("try", question)
        self.try_button.setText(tr("Stop trying"))
        self.status.setText(tr("Trying on what the map shows…"))

    def close_worker(self, wait: bool = False) -> None:
        """Let the warm worker go and take the preview off the map; `wait` for it when QGIS ends."""
        if self._asked_try:
            self._end_try("")
        super().close_worker(wait)
        self._forget_preview()

    def _start(self) -> DetectRun:
        self._forget_preview()
        run = self._runs.start(self._parameters or self.form.parameters())
        self.status.setText(tr("Starting…"))
        return run

    def _question(self) -> MakeJob:
        return preflight_question(self._algorithm, self.form.parameters(), project_context())

    def _hear(self, number: int, event: Event) -> None:
        super()._hear(number, event)
        if number == self._asked_try and event["event"] == "progress":
            self.status.setText(tr("Trying: {text}").format(text=tr_core(event["text"])))

    def _take_answer(self, number: int, answer: Any) -> None:
        super()._take_answer(number, answer)
        if number == self._asked_try:
            self._end_try("")
            self._show_tried(answer)

    def _take_failure(self, number: int, sentence: str) -> None:
        super()._take_failure(number, sentence)
        if number == self._asked_try:
            self._end_try("")
            if sentence:
                self._warn(sentence)

    def _end_try(self, text: str) -> None:
        self._asked_try = 0
        self.try_button.setText(tr("Try here"))
        self.status.setText(text)

    def _show_tried(self, tried: Tried) -> None:
        card = self.form.model.card
        if card is None:
            return
        self._tried = tried
        self._preview = LiveBoxes(self._iface.mapCanvas(), tried.crs, [known.color for known in card.classes])
        self._preview.set_threshold(self.form.threshold.value())
        self._preview.add(tried.boxes, tried.scores, tried.labels)
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

    def _show_running(self, running: bool) -> None:
        self.run_button.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.progress.setVisible(running)

    def _show_success(self, sentence: str) -> None:
        self.messages.pushMessage(sentence, Qgis.MessageLevel.Success, 0)

    def _begin(self, parameters: dict[str, Any]) -> None:
        self._parameters = parameters
        super().run()

    def _show_end(self, ok: bool, sentence: str) -> None:
        if not (self._run.must_ask and self.isVisible()):
            super()._show_end(ok, sentence)
            return
        self._show_running(False)
        self.status.setText("")
        if may_begin_anew(self._run.output, self):
            self._begin({**self._parameters, "RESUME": False})

    def _show_cancelled(self) -> None:
        self.status.setText(tr("Cancelled; nothing was written."))
