"""The Train dialog: the form, and how the training that it started is going."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsApplication, QgsMapLayer, QgsProject
from qgis.gui import QgisInterface, QgsGui, QgsMessageBar
from qgis.PyQt.QtCore import QSize, Qt, QTimer, QUrl, pyqtSignal
from qgis.PyQt.QtGui import QDesktopServices, QShowEvent
from qgis.PyQt.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ...core.job.errors import TilehawkError
from ...core.job.events import Event
from ..algorithm_run import AlgorithmRun
from ..branding import add_help, icon
from ..environment import open_warm_worker
from ..parameter_widgets import project_context
from ..warm_worker import WarmWorker
from ..wording import duration, tr
from .curve import TrainingCurve
from .form import TrainForm
from .questions import survey_question
from .survey_card import SurveyCard

ALGORITHM = "tilehawk:train"
TYPING_MS = 600  # the survey waits until the form has been left alone for so long
FORM, WATCHING = 0, 1


class TrainDialog(QDialog):
    """Starts a training in the background and shows its curve; `detect_asked` carries the path of a finished model.

    Closing the window leaves the training alone: reopening shows it again.
    """

    detect_asked = pyqtSignal(str)

    def __init__(self, iface: QgisInterface) -> None:
        super().__init__(iface.mainWindow())
        self.setObjectName("tilehawkTrainDialog")
        self.setWindowTitle(tr("Train a model"))
        self.setWindowIcon(icon("train"))
        self._iface = iface
        self._run: AlgorithmRun | None = None
        self._model = ""
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self.form = TrainForm(self._algorithm, iface.mapCanvas())
        self.card = SurveyCard()
        self.messages = QgsMessageBar()
        self.curve = TrainingCurve(tr("Average precision (IoU 0.5)"), tr("Loss"))
        self.curve.setToolTip(tr("On the labels set aside for choosing; the ring is the round that is kept"))
        self.facts = QLabel()
        self.facts.setWordWrap(True)
        self.facts.setToolTip(tr("What the training has said"))
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setToolTip(tr("How much of the training is done"))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.train_button = self._button(tr("Train"), tr("Learn from the labels, in the background"))
        self.train_button.setDefault(True)
        self.stop_button = self._button(tr("Stop and keep the best"), tr("End now with the best round so far"))
        self.cancel_button = self._button(tr("Cancel"), tr("Stop; the same training can be gone on with later"))
        self.back_button = self._button(tr("Back to the settings"), tr("Change the settings and train another model"))
        add_help(self.buttons, "train")
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; a running training goes on")
        )
        self.warm = WarmWorker(open_warm_worker, self)
        self._asked = 0
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._arrange()
        self._show_page(running=False, curve=False)
        self._connect()
        line = self.fontMetrics().height()
        self.resize(QSize(66 * line, 44 * line).boundedTo(self.screen().availableSize() * 0.9))
        QgsGui.enableAutoGeometryRestore(self)

    def fill(self, raster: QgsMapLayer | str | None, labels: QgsMapLayer | None, **parameters: Any) -> None:
        """Fill the form for labels that come from elsewhere, such as a review; `parameters` by their names."""
        self.form.set_labels(raster, labels)
        for name, value in parameters.items():
            self.form.set_value(name, value)

    def train(self) -> None:
        """Start a training with what the form says, or show why it cannot be started."""
        self.messages.clearWidgets()
        try:
            run = AlgorithmRun(ALGORITHM, self.form.parameters())
            run.start()
        except TilehawkError as problem:
            self.messages.pushMessage(str(problem), Qgis.MessageLevel.Warning, 0)
            return
        self._run = run
        self._let_worker_go()
        run.progressed.connect(self._show_progress)  # no lambda: Qt must know whose slot it is when that is gone
        run.said.connect(self.status.setText)
        run.happened.connect(self._take)
        run.ended.connect(self._show_end)
        self.curve.clear()
        self.facts.setText("")
        self.progress.setValue(0)
        self.status.setText(tr("Reading the labels…"))
        self._show_page(running=True, curve=True)

    def stop(self) -> None:
        """End the training early and keep its best round."""
        if self._run is not None:
            self.status.setText(tr("Ending with the best round so far…"))
            self.stop_button.setEnabled(False)
            self._run.stop()

    def cancel(self) -> None:
        """Stop the training."""
        if self._run is not None:
            self.status.setText(tr("Stopping…"))
            self.cancel_button.setEnabled(False)
            self._run.cancel()

    def cancel_and_wait(self) -> None:
        """Stop the training for unloading and for QGIS's exit."""
        self.warm.close(wait=True)
        if self._run is not None and self._run.running:
            self._run.ended.disconnect(self._show_end)
            self._run.cancel()
            self._run.wait()
            self._run.release()

    def showEvent(self, event: QShowEvent) -> None:
        """Take up what has changed whenever the dialog opens."""
        super().showEvent(event)
        if not event.spontaneous() and (self._run is None or not self._run.running):
            self.form.refresh(self._iface.activeLayer())
            self._typing.start()

    def _connect(self) -> None:
        self.train_button.clicked.connect(self.train)
        self.stop_button.clicked.connect(self.stop)
        self.cancel_button.clicked.connect(self.cancel)
        self.back_button.clicked.connect(self._go_back)
        self.buttons.rejected.connect(self.reject)
        self.form.changed.connect(self._typing.start)
        self._typing.timeout.connect(self._ask)
        self.warm.told.connect(self._hear)
        self.warm.answered.connect(self._take_answer)
        self.warm.failed.connect(self._take_failure)
        self.finished.connect(self._let_worker_go)
        QgsProject.instance().cleared.connect(self._let_worker_go)

    def _ask(self) -> None:
        """Ask for a survey of the labels as the form stands."""
        if not self.isVisible() or self.pages.currentIndex() != FORM:
            return
        try:
            question = survey_question(self._algorithm, self.form.parameters(survey=True), project_context())
        except TilehawkError as problem:
            self._asked = 0
            self.card.show_problem(str(problem))
            return
        self.card.show_waiting()
        self._asked = self.warm.ask("survey", question)

    def _hear(self, number: int, event: Event) -> None:
        if number == self._asked and event["event"] == "survey":
            self.card.show_facts(event)

    def _take_answer(self, number: int, answer: Any) -> None:
        if number == self._asked:
            self.card.show_facts(answer)

    def _take_failure(self, number: int, sentence: str) -> None:
        if number == self._asked and sentence:
            self.card.show_problem(sentence)

    def _let_worker_go(self, *_: object) -> None:
        self._asked = 0
        self.warm.close()

    def _take(self, event: Event) -> None:
        if event["event"] == "epoch":
            self.curve.add(event)
            self.facts.setText(
                tr("Round {epoch}: AP50 {ap50:.2f}, F1 {f1:.2f}. Best so far: round {best}.").format(
                    epoch=event["epoch"], ap50=event["ap50"], f1=event["f1"], best=self.curve.best()
                )
            )

    def _show_progress(self, percent: float) -> None:
        self.progress.setValue(round(percent))

    def _show_end(self, ok: bool, sentence: str) -> None:
        self._show_page(running=False, curve=True)
        QApplication.alert(self._iface.mainWindow())
        if ok:
            self._model = self._run.results["OUTPUT"]
            took = duration(self._run.seconds)
            self.status.setText("")
            self._tell_success(tr("{trained} ({took})").format(trained=self._run.results["TRAINED"], took=took))
        elif sentence:
            self.status.setText("")
            self.messages.pushMessage(sentence, Qgis.MessageLevel.Critical, 0)
        else:
            self.status.setText(tr("Cancelled. Train again with 'Go on with an interrupted training' under Advanced."))

    def _tell_success(self, sentence: str) -> None:
        item = self.messages.createMessage(tr("The model is trained"), sentence)
        for text, tooltip, act in (
            (tr("Detect with this model"), tr("Open Detect objects with it"), self._ask_detection),
            (tr("Open report"), tr("Curves, figures and pictures of what it finds and misses"), self._open_report),
        ):
            button = QPushButton(text)
            button.setToolTip(tooltip)
            button.clicked.connect(act)
            item.layout().addWidget(button)
        self.messages.pushWidget(item, Qgis.MessageLevel.Success, 0)

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
        self.train_button.setVisible(not curve)
        self.back_button.setVisible(curve and not running)
        for button in (self.stop_button, self.cancel_button):
            button.setVisible(running)
            button.setEnabled(running)

    def _button(self, text: str, tooltip: str) -> QPushButton:
        button = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        button.setToolTip(tooltip)
        return button

    def _arrange(self) -> None:
        scroll = QScrollArea()
        scroll.setWidget(self.form)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        asking, beside = QWidget(), QHBoxLayout()
        asking.setLayout(beside)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(12)
        beside.addWidget(scroll, 7)
        beside.addWidget(self.card, 4)
        watching, inner = QWidget(), QVBoxLayout()
        watching.setLayout(inner)
        inner.addWidget(self.curve, 1)
        inner.addWidget(self.facts)
        self.pages = QStackedWidget()
        self.pages.addWidget(asking)
        self.pages.addWidget(watching)
        layout = QVBoxLayout(self)
        layout.addWidget(self.messages)
        layout.addWidget(self.pages, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.progress)
        layout.addWidget(self.buttons)
