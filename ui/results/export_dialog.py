"""Asking where to and how a result is exported."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsVectorLayer
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from ..branding import add_help
from ..settings import read_settings
from ..wording import tr
from .export import FORMATS


class ExportDialog(QDialog):
    """Format, file, what of the layer, and boxes or centres; `path` and the boxes' states are what was chosen."""

    def __init__(self, layer: QgsVectorLayer, shown: str, parent: QWidget | None = None) -> None:
        """`shown`: how many objects are shown, in words."""
        super().__init__(parent)
        self.setObjectName("tilehawkExportDialog")
        self.setWindowTitle(tr("Export {layer}").format(layer=layer.name()))
        self.format = QComboBox()
        self.format.setToolTip(tr("Kind of file. A GeoPackage keeps the most; a Shapefile cuts names to 10 letters."))
        for known in FORMATS:
            self.format.addItem(f"{known.title} (*{known.suffix})", known)
        self.file = QgsFileWidget()
        self.file.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.file.setDialogTitle(tr("Export objects"))
        self.file.setDefaultRoot(read_settings().output_folder)
        self.file.setToolTip(tr("File for the objects"))
        self.only_shown = QRadioButton(tr("Only what is shown ({shown})").format(shown=shown))
        self.only_shown.setToolTip(tr("What the filters and the boxes of the classes leave on the map"))
        self.only_shown.setChecked(True)
        self.everything = QRadioButton(tr("Everything in the layer"))
        self.everything.setToolTip(tr("Also objects of low confidence, and rejected ones"))
        group = QButtonGroup(self)
        group.addButton(self.only_shown)
        group.addButton(self.everything)
        self.centres = QCheckBox(tr("Centre points instead of boxes"))
        self.centres.setToolTip(tr("Save one point for each object. A CSV file always holds points."))
        self.load = QCheckBox(tr("Add the file to the project"))
        self.load.setToolTip(tr("Load what was saved as a layer"))
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        self.save = self.buttons.button(QDialogButtonBox.StandardButton.Save)
        self.save.setToolTip(tr("Save, in the background"))
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setToolTip(tr("Save nothing"))
        add_help(self.buttons, "results#export")
        self._arrange()
        self.format.currentIndexChanged.connect(self._take_format)
        self.file.fileChanged.connect(self._take_file)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        self._take_format()
        self._take_file()

    def path(self) -> str:
        """File to write, with the suffix of the format where none was given."""
        path = self.file.filePath().strip()
        known = {each.suffix for each in FORMATS}
        return path if Path(path).suffix.lower() in known else path + self.format.currentData().suffix

    def _take_format(self) -> None:
        form = self.format.currentData()
        self.file.setFilter(f"{form.title} (*{form.suffix})")
        path = self.file.filePath().strip()
        if path and Path(path).suffix.lower() != form.suffix:
            self.file.setFilePath(str(Path(path).with_suffix(form.suffix)))
        self.centres.setEnabled(not form.table)

    def _take_file(self) -> None:
        path = self.file.filePath().strip()
        self.save.setEnabled(bool(path))
        for place, known in enumerate(FORMATS):
            if known.suffix == Path(path).suffix.lower():
                self.format.setCurrentIndex(place)

    def _arrange(self) -> None:
        line = self.fontMetrics().height()
        form = QFormLayout()
        form.setSpacing(line // 2)
        form.addRow(tr("Format"), self.format)
        form.addRow(tr("File"), self.file)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(line, line, line, line)
        layout.setSpacing(line // 2)
        layout.addLayout(form)
        layout.addSpacing(line // 3)
        for widget in (self.only_shown, self.everything, self.centres, self.load):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addSpacing(line // 2)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(32 * line)
