"""Tilehawk's page in QGIS's options."""

from __future__ import annotations

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..core.job.jobs import DEVICES
from .branding import icon
from .environment import own_environment
from .environment_tasks import CheckTask, EnvironmentTask, SetUpTask, start_task
from .settings import Settings, read_settings, write_settings
from .wording import tr


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever QGIS opens its options."""

    def __init__(self) -> None:
        super().__init__("Tilehawk", icon(), "tilehawk")

    def createWidget(self, parent: QWidget | None) -> QgsOptionsPageWidget:
        """Make the page."""
        return OptionsPage(parent)


class OptionsPage(QgsOptionsPageWidget):
    """Interpreter with check and set-up, device, and the folders for models and results."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tilehawkOptions")
        settings = read_settings()
        self.python = QgsFileWidget()
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle(tr("Python interpreter with PyTorch"))
        self.python.setFilePath(settings.python)
        self.python.lineEdit().setPlaceholderText(tr("Tilehawk's own environment"))
        self.python.setToolTip(
            tr(
                "Python that has PyTorch, in which detection runs. Leave it empty for the environment that 'Set up' "
                "makes. Never QGIS's own Python."
            )
        )
        self.device = QComboBox()
        for device, text in zip(
            DEVICES, (tr("Automatic"), tr("Processor (CPU)"), tr("NVIDIA GPU (CUDA)"), tr("Apple GPU (MPS)"))
        ):
            self.device.addItem(text, device)
        self.device.setCurrentIndex(DEVICES.index(settings.device))
        self.device.setToolTip(tr("Where models compute. Automatic takes a GPU where there is one."))
        self.model_folder = _folder(settings.model_folder, tr("Folder with further models (.safetensors)."))
        self.output_folder = _folder(settings.output_folder, tr("Folder that is offered first for results."))
        self.check = QPushButton(tr("Check"))
        self.check.setToolTip(tr("Have this Python look at a small picture, and say where it computes."))
        self.check.clicked.connect(self._check)
        self.set_up = QPushButton(tr("Set up…"))
        self.set_up.setToolTip(tr("Install Tilehawk's own Python with PyTorch; what and how much is said first."))
        self.set_up.clicked.connect(self._set_up)
        self.outcome = QLabel()
        self.outcome.setWordWrap(True)
        self._arrange()

    def apply(self) -> None:
        """Store what the page says; called by QGIS on OK."""
        write_settings(self._settings())

    def _arrange(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.check)
        buttons.addWidget(self.set_up)
        buttons.addStretch()
        form = QFormLayout()
        form.addRow(tr("Python interpreter"), self.python)
        form.addRow("", buttons)
        form.addRow("", self.outcome)
        form.addRow(tr("Compute on"), self.device)
        form.addRow(tr("Model folder"), self.model_folder)
        form.addRow(tr("Result folder"), self.output_folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addStretch()

    def _settings(self) -> Settings:
        return Settings(
            python=self.python.filePath().strip(),
            device=self.device.currentData(),
            model_folder=self.model_folder.filePath().strip(),
            output_folder=self.output_folder.filePath().strip(),
        )

    def _check(self) -> None:
        self._start(CheckTask(self._settings()), tr("Starting Python; the first time takes up to a minute…"))

    def _set_up(self) -> None:
        """Say what will be installed, from where and how large it is, and begin once that is agreed to."""
        plan = own_environment().plan()
        if QMessageBox.question(self, tr("Set up Tilehawk"), plan.sentence) == QMessageBox.StandardButton.Yes:
            self._start(SetUpTask(), tr("Setting up…"))

    def _start(self, task: EnvironmentTask, text: str) -> None:
        self.outcome.setText(text)
        for button in (self.check, self.set_up):
            button.setEnabled(False)
        task.said.connect(self.outcome.setText)
        task.ended.connect(self._show_outcome)
        start_task(task)

    def _show_outcome(self, ok: bool, sentence: str) -> None:
        self.outcome.setText(("✓ " if ok else "✗ ") + sentence)
        for button in (self.check, self.set_up):
            button.setEnabled(True)


def _folder(path: str, tooltip: str) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
    widget.setFilePath(path)
    widget.setToolTip(tooltip)
    return widget
