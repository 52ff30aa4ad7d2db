"""The Train dialog: the form, and how the training that it started is going."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsMapLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ...core.job.errors import TilehawkError
from ...core.job.events import Event
from ..algorithm_dialog import AlgorithmDialog
from ..algorithm_run import AlgorithmRun
from ..branding import icon
from ..parameter_widgets import project_context
from ..told import tr_core
from ..warm_worker import MakeJob
from ..wording import duration, tr
from .augmentation_view import VERSIONS, AugmentationDialog
from .curve import TrainingCurve
from .form import TrainForm
from .questions import augment_question, survey_question
from .replacement import replace_model
from .sample_view import SampleView
from .survey_card import SurveyCard

ALGORITHM = "tilehawk:train"
FORM, WATCHING = 0, 1
Button = tuple[str, str, Callable[[], None]]  # of a message: what is on it, what that means, what it does


class TrainDialog(AlgorithmDialog):
    """Starts a training in the background and shows its curve; `detect_asked` carries the path of a finished model."""

    help_page = "train"
    asks = "survey"
    typing_ms = 600  # a survey reads all labels

    form: TrainForm
    card: SurveyCard

    detect_asked = pyqtSignal(str)

    def __init__(self, iface: QgisInterface) -> None:
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        super().__init__(iface, algorithm, TrainForm(algorithm, iface.mapCanvas()), SurveyCard())
        self.setObjectName("tilehawkTrainDialog")
        self.setWindowTitle(tr("Train a model"))
        self.setWindowIcon(icon("train"))
        self._model = self._kept = ""
        self.curve = TrainingCurve(tr("Average precision (IoU 0.5)"), tr("Loss"))
        self.curve.setToolTip(tr("On the labels set aside for choosing; the ring is the round that is kept"))
        self.sample = SampleView()
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setToolTip(tr("What the training has said"))
        self.progress.setToolTip(tr("How much of the training is done"))
        self.run_button = self._button(tr("Train"), tr("Learn from the labels, in the background"), self.run)
        self.run_button.setDefault(True)
        self.stop_button = self._button(
            tr("Stop and keep the best"), tr("End now with the best round so far"), self.stop
        )
        self.cancel_button = self._button(
            tr("Cancel"), tr("Stop; the same training can be gone on with later"), self.cancel
        )
        self.back_button = self._button(
            tr("Back to the settings"), tr("Change the settings and train another model"), self._go_back
        )
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; a running training goes on")
        )
        self.versions: AugmentationDialog | None = None
        self._versions_asked = 0
        self.form.versions_asked.connect(self.show_versions)
        self.warm.answered.connect(self._take_versions)
        self.warm.failed.connect(self._miss_versions)
        self.pages = QStackedWidget()
        self.pages.addWidget(self._form_and_card())
        self.pages.addWidget(self._curve_and_facts())
        self._arrange(self.pages)
        self._show_page(running=False, curve=False)
        line = self.fontMetrics().height()
        self._take_room(66 * line, 44 * line)

    def fill(self, raster: QgsMapLayer | str | None, labels: QgsMapLayer | None, **parameters: Any) -> None:
        """Fill the form for labels that come from elsewhere, such as a review; `parameters` by their names."""
        self.form.set_labels(raster, labels)
        for name, value in parameters.items():
            self.form.set_value(name, value)

    def show_versions(self) -> None:
        """Open the window that shows what augmentation does to one of the samples."""
        if self.versions is None:
            self.versions = AugmentationDialog(self._ask_versions, self)
        self.versions.show()
        self.versions.raise_()
        self.versions.begin()

    def stop(self) -> None:
        """End the training early and keep its best round."""
        if self._run is not None:
            self.status.setText(tr("Ending with the best round so far…"))
            self.stop_button.setEnabled(False)
            self._run.stop()

    def cancel_and_wait(self) -> None:
        """Stop the training for unloading and for QGIS's exit."""
        self.close_worker(wait=True)
        if self._is_running():
            self._run.ended.disconnect(self._show_end)
            self._run.cancel()
            self._run.wait()
            self._run.release()

    def _start(self) -> AlgorithmRun:
        run = AlgorithmRun(ALGORITHM, self.form.parameters())
        run.happened.connect(self._take)
        run.start()
        self.close_worker()
        self.curve.clear()
        self.sample.clear()
        self.facts.setText("")
        self.status.setText(tr("Reading the labels…"))
        return run

    def _question(self) -> MakeJob:
        question = survey_question(self._algorithm, self.form.parameters(survey=True), project_context())
        self.card.show_waiting()
        return question

    def _ask(self) -> None:
        if self.pages.currentIndex() == FORM:
            super()._ask()

    def _ask_versions(self, place: float) -> None:
        try:
            values = self.form.parameters(survey=True)
            question = augment_question(self._algorithm, values, project_context(), VERSIONS, place)
        except TilehawkError as problem:
            self.versions.show_problem(tr_core(problem))
            return
        self._versions_asked = self.warm.ask("augment", question)

    def _take_versions(self, number: int, answer: Any) -> None:
        if number == self._versions_asked and self.versions is not None:
            self.versions.show_versions(answer)

    def _miss_versions(self, number: int, sentence: str) -> None:
        if number == self._versions_asked and self.versions is not None and sentence:
            self.versions.show_problem(sentence)

    def _take(self, event: Event) -> None:
        if event["event"] == "sample":
            self.sample.show_sample(event, self.curve.rounds + 1)
        elif event["event"] == "epoch":
            self.curve.add(event)
            self.facts.setText(
                tr("Round {epoch}: AP50 {ap50:.2f}, F1 {f1:.2f}. Best so far: round {best}.").format(
                    epoch=event["epoch"], ap50=event["ap50"], f1=event["f1"], best=self.curve.best()
                )
            )

    def _show_running(self, running: bool) -> None:
        self._show_page(running=running, curve=True)

    def _show_end(self, ok: bool, sentence: str) -> None:
        super()._show_end(ok, sentence)
        QApplication.alert(self._iface.mainWindow())

    def _show_success(self, _: str) -> None:
        results = self._run.results
        self._model, self._kept = results["OUTPUT"], results["KEPT"]
        took = duration(self._run.seconds)
        if results["COMPARED"]:
            self.facts.setText(results["COMPARED"])
        self._tell(
            tr("The model is trained"),
            tr("{trained} ({took})").format(trained=results["TRAINED"], took=took),
            Qgis.MessageLevel.Success,
            (tr("Detect with this model"), tr("Open Detect objects with it"), self._ask_detection),
            (tr("Open report"), tr("Curves, figures and pictures of what it finds and misses"), self._open_report),
        )
        if self._kept:
            self._tell(
                tr("The old model is kept"),
                tr("The new one is '{name}'.").format(name=Path(self._model).name),
                Qgis.MessageLevel.Warning,
                (tr("Replace the old one"), tr("Let the new model take its place all the same"), self._replace_old),
            )

    def _tell(self, title: str, text: str, level: Qgis.MessageLevel, *buttons: Button) -> None:
        """Show a message with buttons."""
        item = self.messages.createMessage(title, text)
        for name, tooltip, act in buttons:
            button = QPushButton(name)
            button.setToolTip(tooltip)
            button.clicked.connect(act)
            item.layout().addWidget(button)
        self.messages.pushWidget(item, level, 0)

    def _replace_old(self) -> None:
        try:
            replace_model(Path(self._model), Path(self._kept))
        except TilehawkError as problem:
            self._warn(tr_core(problem))
            return
        self._model, self._kept = self._kept, ""
        self.messages.popWidget()

    def _show_cancelled(self) -> None:
        self.status.setText(tr("Cancelled. Train again with 'Go on with an interrupted training' under Advanced."))

    def _ask_detection(self) -> None:
        self.detect_asked.emit(self._model)

    def _open_report(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self._model).with_suffix(".html"))))

    def _go_back(self) -> None:
        self._show_page(running=False, curve=False)
        self._typing.start()

    def _show_page(self, *, running: bool, curve: bool) -> None:
        self.pages.setCurrentIndex(WATCHING if curve else FORM)
        self.progress.setVisible(running)
        self.run_button.setVisible(not curve)
        self.back_button.setVisible(curve and not running)
        for button in (self.stop_button, self.cancel_button):
            button.setVisible(running)
            button.setEnabled(running)

    def _curve_and_facts(self) -> QWidget:
        watching, layout = QWidget(), QVBoxLayout()
        watching.setLayout(layout)
        both = QHBoxLayout()
        both.setSpacing(12)
        both.addWidget(self.curve, 3)
        both.addWidget(self.sample, 2)
        layout.addLayout(both, 1)
        layout.addWidget(self.facts)
        return watching
