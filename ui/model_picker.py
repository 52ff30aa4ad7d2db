"""Choosing a model: a list, a file dialog, and what the chosen model's card says."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..core.job.card import ModelCard, read_card
from ..core.job.errors import ModelError
from .models import model_files, model_title, summary
from .settings import read_settings
from .wording import tr


class ModelPicker(QWidget):
    """A list of models with a browse button and a summary; `changed` carries the card, None where it cannot be read."""

    changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.models = QComboBox()
        self.models.setObjectName("models")
        self.models.setToolTip(tr("What to look for. Each model knows its classes, pixel size and threshold."))
        self.models.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.models.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip(tr("Choose a model file (.safetensors) from a folder"))
        self.browse.clicked.connect(self._browse)
        self.summary = QLabel()
        self.summary.setObjectName("summary")
        self.summary.setWordWrap(True)
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.summary.setToolTip(tr("What the model's card says about it"))
        row = QHBoxLayout()
        row.addWidget(self.models)
        row.addWidget(self.browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.summary)
        self.card: ModelCard | None = None
        self.fill()
        self.models.currentIndexChanged.connect(self._show)

    def path(self) -> str:
        """Path of the chosen model, empty where there is none."""
        return self.models.currentData() or ""

    def set_path(self, path: str) -> None:
        """Choose a model by its path, adding it to the list where it is new."""
        index = self.models.findData(path)
        if index < 0:
            self.models.addItem(model_title(Path(path)), path)
            index = self.models.count() - 1
        self.models.setCurrentIndex(index)

    def fill(self) -> None:
        """List the models there are now, keeping the choice."""
        chosen = self.path()
        self.models.blockSignals(True)
        self.models.clear()
        for path in model_files():
            self.models.addItem(model_title(path), str(path))
        if chosen:
            self.set_path(chosen)
        self.models.blockSignals(False)
        self._show()

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Choose a model"), read_settings().model_folder, tr("Tilehawk models (*.safetensors)")
        )
        if path:
            self.set_path(path)

    def _show(self) -> None:
        self.card = None
        if not self.path():
            self.summary.setText(tr("There is no model yet: choose a file with the button on the right."))
        else:
            try:
                self.card = read_card(self.path())
                self.summary.setText(summary(self.card))
            except ModelError as problem:
                self.summary.setText(str(problem))
        self.changed.emit(self.card)
