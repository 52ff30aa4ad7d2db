"""What the Detect and the Train dialog share: a form, a card of what its run would be like, and how a run is going."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import Qgis, QgsProcessingAlgorithm, QgsProject
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
    QWidget,
)

from ..core.job.errors import TilehawkError
from ..core.job.events import Event
from .algorithm_run import AlgorithmRun
from .branding import add_help
from .environment import open_warm_worker
from .fact_card import FactCard
from .step_form import StepForm
from .told import tr_core
from .warm_worker import MakeJob, WarmWorker
from .wording import tr


class AlgorithmDialog(QDialog):
    """Starts runs of an algorithm in the background and shows the progress of the last one.

    It stays usable meanwhile, and closing it leaves the run alone: reopening shows it again. While it is open, a worker
    of low priority is kept loaded, which is asked for the facts of the card whenever the form has been left alone.
    """

    help_page = ""  # of resources/help
    asks = ""  # kind of the card's question and of the event that brings its facts
    typing_ms = 300  # how long the form must have been left alone

    run_button: QPushButton
    cancel_button: QPushButton

    def __init__(self, iface: QgisInterface, algorithm: QgsProcessingAlgorithm, form: StepForm, card: FactCard) -> None:
        super().__init__(iface.mainWindow())
        self._iface = iface
        self._algorithm = algorithm  # the form needs it alive
        self.form, self.card = form, card
        self._run: AlgorithmRun | None = None
        self._asked = 0
        self.messages = QgsMessageBar()
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        add_help(self.buttons, self.help_page)
        self.warm = WarmWorker(open_warm_worker, self)
        self.warm.told.connect(self._hear)
        self.warm.answered.connect(self._take_answer)
        self.warm.failed.connect(self._take_failure)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(self.typing_ms)
        self._typing.timeout.connect(self._ask)
        self.form.changed.connect(self._typing.start)
        self.finished.connect(self._leave)
        QgsProject.instance().cleared.connect(self._leave)

    def run(self) -> None:
        """Start a run with what the form says, or show why it cannot be started."""
        self.messages.clearWidgets()
        try:
            run = self._start()
        except TilehawkError as problem:
            self._warn(tr_core(problem))
            return
        self._run = run
        run.progressed.connect(self._show_progress)  # no lambda: Qt must know whose slot it is when that is gone
        run.said.connect(self.status.setText)
        run.ended.connect(self._show_end)
        self.progress.setValue(0)
        self._show_running(True)

    def cancel(self) -> None:
        """Stop the run."""
        if self._run is not None:
            self.status.setText(tr("Stopping…"))
            self.cancel_button.setEnabled(False)
            self._run.cancel()

    def close_worker(self, wait: bool = False) -> None:
        """Let the warm worker go; `wait` for it, and ask nothing more, when QGIS ends."""
        if wait:
            self._typing.stop()
        self._asked = 0
        self.warm.close(wait)

    def showEvent(self, event: QShowEvent) -> None:
        """Take up what has changed whenever the dialog opens, and load the worker."""
        super().showEvent(event)
        if not event.spontaneous():
            if not self._is_running() and not self.form.area.drawing:
                self.form.refresh(self._iface.activeLayer())
            self._typing.start()

    def _start(self) -> AlgorithmRun:
        """Start a run and say so; raises a TilehawkError with a sentence."""
        raise NotImplementedError

    def _question(self) -> MakeJob:
        """Make the card's question of what the form says; raises a TilehawkError where a run would be refused."""
        raise NotImplementedError

    def _show_running(self, running: bool) -> None:
        """Show what can be done while a run is going on, or when it has ended."""
        raise NotImplementedError

    def _show_success(self, sentence: str) -> None:
        """Show how the run has ended well."""
        raise NotImplementedError

    def _show_cancelled(self) -> None:
        """Show that the run was cancelled."""
        raise NotImplementedError

    def _leave(self) -> None:
        self.close_worker()

    def _ask(self) -> None:
        """Ask for the facts of the card as the form stands."""
        if not self.isVisible():
            return
        try:
            question = self._question()
        except TilehawkError as problem:
            self._asked = 0
            self.card.show_problem(tr_core(problem))
            return
        self._asked = self.warm.ask(self.asks, question)

    def _hear(self, number: int, event: Event) -> None:
        if number == self._asked and event["event"] == self.asks:
            self.card.show_facts(event)

    def _take_answer(self, number: int, answer: Any) -> None:
        if number == self._asked:
            self.card.show_facts(answer)

    def _take_failure(self, number: int, sentence: str) -> None:
        if number == self._asked and sentence:
            self.card.show_problem(sentence)

    def _warn(self, sentence: str) -> None:
        self.messages.pushMessage(sentence, Qgis.MessageLevel.Warning, 0)

    def _is_running(self) -> bool:
        return self._run is not None and self._run.running

    def _show_progress(self, percent: float) -> None:
        self.progress.setValue(round(percent))

    def _show_end(self, ok: bool, sentence: str) -> None:
        self._show_running(False)
        self.status.setText("")
        if ok:
            self._show_success(sentence)
        elif sentence:
            self.messages.pushMessage(sentence, Qgis.MessageLevel.Critical, 0)
        else:
            self._show_cancelled()

    def _button(self, text: str, tooltip: str, act: Callable[[], None]) -> QPushButton:
        """Add a button below; they stand in the order of their making."""
        button = self.buttons.addButton(text, QDialogButtonBox.ButtonRole.ActionRole)
        button.setToolTip(tooltip)
        button.clicked.connect(act)
        return button

    def _form_and_card(self, *below: QWidget) -> QWidget:
        """Make the form, and beside it the card with what stands below that; both scroll where they must."""
        beside = QVBoxLayout()
        beside.addWidget(_scrolling(self.card), 1)
        for widget in below:
            beside.addWidget(widget)
        both, row = QWidget(), QHBoxLayout()
        both.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        row.addWidget(_scrolling(self.form), 7)
        row.addLayout(beside, 4)
        return both

    def _arrange(self, middle: QWidget) -> None:
        """Lay the window out around what fills it."""
        layout = QVBoxLayout(self)
        layout.addWidget(self.messages)
        layout.addWidget(middle, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.progress)
        layout.addWidget(self.buttons)

    def _take_room(self, width: int, height: int) -> None:
        """Be that large, yet within the screen; or as large as the last time."""
        self.resize(QSize(width, height).boundedTo(self.screen().availableSize() * 0.9))
        QgsGui.enableAutoGeometryRestore(self)


def _scrolling(widget: QWidget) -> QScrollArea:
    scroll = QScrollArea()
    scroll.setWidget(widget)
    scroll.setWidgetResizable(True)
    scroll.setFrameShape(QFrame.Shape.NoFrame)
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return scroll
