"""The Detect dialog: the form, and how a run that it started is going."""

from __future__ import annotations

from qgis.core import Qgis, QgsApplication
from qgis.gui import QgisInterface, QgsGui, QgsMessageBar
from qgis.PyQt.QtCore import QSize, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QShowEvent
from qgis.PyQt.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
)

from ..core.job.errors import TilehawkError
from .branding import HELP_URL, icon
from .detect_form import DetectForm
from .detect_runs import ALGORITHM, DetectRun, DetectRuns
from .wording import tr


class DetectDialog(QDialog):
    """Starts detections in the background and shows the progress of the last one.

    It stays usable meanwhile, and closing it leaves the run alone: reopening shows it again.
    """

    def __init__(self, iface: QgisInterface, runs: DetectRuns) -> None:
        super().__init__(iface.mainWindow())
        self.setObjectName("tilehawkDetectDialog")
        self.setWindowTitle(tr("Detect objects"))
        self.setWindowIcon(icon())
        self._iface, self._runs = iface, runs
        self._run: DetectRun | None = None
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(ALGORITHM)
        self.form = DetectForm(self._algorithm, iface.mapCanvas())
        self.messages = QgsMessageBar()
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setToolTip(tr("How much of the area has been looked at"))
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Help | QDialogButtonBox.StandardButton.Close)
        self.run_button = self._button(tr("Run"), tr("Look for objects, in the background"))
        self.run_button.setDefault(True)
        self.cancel_button = self._button(tr("Cancel"), tr("Stop the running detection; nothing is written"))
        self.buttons.button(QDialogButtonBox.StandardButton.Help).setToolTip(tr("Open Tilehawk's web page"))
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(
            tr("Close this window; a running detection goes on")
        )
        self._arrange()
        self._show_running(False)
        self.run_button.clicked.connect(self.run)
        self.cancel_button.clicked.connect(self.cancel)
        self.buttons.rejected.connect(self.reject)
        self.buttons.helpRequested.connect(lambda: QDesktopServices.openUrl(QUrl(HELP_URL)))
        self._take_room()
        QgsGui.enableAutoGeometryRestore(self)

    def run(self) -> None:
        """Start a detection with what the form says, or show why it cannot be started."""
        self.messages.clearWidgets()
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

    def showEvent(self, event: QShowEvent) -> None:
        """Take up what has changed whenever the dialog opens."""
        super().showEvent(event)
        if not event.spontaneous() and not self._is_running():
            self.form.refresh(self._iface.activeLayer())

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
        """Be large enough for the folded form with a model's summary, yet within the screen."""
        line = self.fontMetrics().height()
        width = max(self.form.sizeHint().width() + 4 * line, 40 * line)
        self.form.advanced.hide()  # it is folded only when it is shown
        height = self.form.layout().totalHeightForWidth(width - 4 * line) + 12 * line
        self.form.advanced.show()
        self.resize(QSize(width, height).boundedTo(self.screen().availableSize() * 0.9))

    def _arrange(self) -> None:
        scroll = QScrollArea()
        scroll.setWidget(self.form)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        layout = QVBoxLayout(self)
        layout.addWidget(self.messages)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.progress)
        layout.addWidget(self.buttons)
