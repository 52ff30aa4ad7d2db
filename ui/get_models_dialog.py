"""Getting models: from a file, a folder or a web address into the user's folder of models."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qgis.core import Qgis
from qgis.gui import QgsFileWidget, QgsMessageBar
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from ..core.job.environment.downloads import Fetch
from ..core.job.errors import ModelError
from .background import Work, cancel_work, start_work
from .branding import add_help
from .model_store import add_models, check_address, fetch_model, user_folder
from .network import make_fetch
from .told import tr_core
from .wording import tr

FILE, FOLDER, ADDRESS = range(3)


class GetModelsDialog(QDialog):
    """Asks where models come from and puts them into the user's folder; `added` carries their paths."""

    added = pyqtSignal(list)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tilehawkGetModels")
        self.setWindowTitle(tr("Get models"))
        self.origin = QComboBox()
        self.origin.addItems([tr("A file"), tr("A folder of files"), tr("A web address")])
        self.origin.setToolTip(tr("Where the models are now"))
        self.file = _chooser(QgsFileWidget.StorageMode.GetFile, tr("Model file (.safetensors)"))
        self.file.setFilter(tr("Tilehawk models (*.safetensors)"))
        self.folder = _chooser(QgsFileWidget.StorageMode.GetDirectory, tr("Folder with model files (.safetensors)"))
        self.address = QLineEdit()
        self.address.setPlaceholderText("https://…/model.safetensors")
        self.address.setToolTip(tr("Address of a model file; it is fetched through QGIS's network settings"))
        self.hash = QLineEdit()
        self.hash.setPlaceholderText("SHA-256")
        self.hash.setToolTip(tr("The file's SHA-256, as its publisher states it: proof that it is the right file"))
        self.kept = QLabel(tr("They are copied to {folder}").format(folder=user_folder()))
        self.kept.setWordWrap(True)
        self.kept.setToolTip(tr("The folder for models can be changed in the options"))
        self.messages = QgsMessageBar()
        self.progress = QProgressBar()
        self.progress.setToolTip(tr("How much of the file is here"))
        self.progress.hide()
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.get = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.get.setText(tr("Get"))
        self.get.setToolTip(tr("Put the models into the folder, and into all lists"))
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setToolTip(tr("Leave everything as it is"))
        add_help(self.buttons, "models#get")
        self._form = QFormLayout()
        self._form.addRow(tr("From"), self.origin)
        self._rows = {FILE: (self.file,), FOLDER: (self.folder,), ADDRESS: (self.address, self.hash)}
        for text, field in (
            (tr("File"), self.file),
            (tr("Folder"), self.folder),
            (tr("Address"), self.address),
            (tr("Hash"), self.hash),
        ):
            self._form.addRow(text, field)
        layout = QVBoxLayout(self)
        layout.addWidget(self.messages)
        layout.addLayout(self._form)
        layout.addWidget(self.kept)
        layout.addWidget(self.progress)
        layout.addStretch()
        layout.addWidget(self.buttons)
        self.origin.currentIndexChanged.connect(self._show_rows)
        self.buttons.accepted.connect(self._get)
        self.buttons.rejected.connect(self.reject)
        self._work: Work | None = None
        self._show_rows()
        self.resize(34 * self.fontMetrics().height(), self.sizeHint().height())

    def reject(self) -> None:
        """Close; what is on its way is given up."""
        if self._work is not None:
            self._work = None
            cancel_work()
        super().reject()

    def _get(self) -> None:
        self.messages.clearWidgets()
        try:
            if self.origin.currentIndex() == ADDRESS:
                self._fetch(*check_address(self.address.text(), self.hash.text()))
                return
            chosen = (self.file, self.folder)[self.origin.currentIndex()].filePath().strip()
            if not chosen:
                raise ModelError(tr("Choose where the models are."))
            self._finish(add_models([Path(chosen)], user_folder()))
        except ModelError as problem:
            self._say(tr_core(problem))

    def _fetch(self, url: str, sha256: str) -> None:
        self.get.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()
        work = Work(tr("Fetching a model"), partial(_fetched, make_fetch(), url, sha256, user_folder()))
        work.done.connect(self._take)
        work.failed.connect(self._say)
        work.progressChanged.connect(self._show_progress)
        self._work = start_work(work)

    def _take(self, path: Path) -> None:
        self._work = None
        self._finish([path])

    def _finish(self, paths: list[Path]) -> None:
        self.added.emit([str(path) for path in paths])
        self.accept()

    def _say(self, sentence: str) -> None:
        self._work = None
        self.get.setEnabled(True)
        self.progress.hide()
        self.messages.pushMessage(sentence, Qgis.MessageLevel.Warning, 0)

    def _show_progress(self, percent: float) -> None:
        self.progress.setRange(0, 100)
        self.progress.setValue(round(percent))

    def _show_rows(self, *_: object) -> None:
        for origin, fields in self._rows.items():
            for field in fields:
                shown = origin == self.origin.currentIndex()
                field.setVisible(shown)
                self._form.labelForField(field).setVisible(shown)


def _chooser(mode: QgsFileWidget.StorageMode, tooltip: str) -> QgsFileWidget:
    widget = QgsFileWidget()
    widget.setStorageMode(mode)
    widget.setToolTip(tooltip)
    return widget


def _fetched(fetch: Fetch, url: str, sha256: str, folder: Path, work: Work) -> Path:
    """Fetch in the task's thread."""

    def progressed(done: int, total: int) -> None:
        work.stop_if_cancelled()
        if total:
            work.setProgress(100 * done / total)

    return fetch_model(fetch, url, sha256, folder, progressed)
