"""What the forms of the dialogs share: rows in steps, the area, the file to save to, and advanced parameters folded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Union

from qgis.core import QgsProcessingAlgorithm
from qgis.gui import QgsCollapsibleGroupBox, QgsFileWidget, QgsMapCanvas
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QFormLayout, QGroupBox, QLabel, QLayout, QVBoxLayout, QWidget

from .area_picker import AreaPicker
from .parameter_widgets import ParameterWidgets, advanced_names
from .wording import tr

Row = tuple[str, str, Union[QWidget, QLayout]]  # parameter, what it is called, where it is chosen


class StepForm(QWidget):
    """Rows in steps, and the advanced parameters folded away below; `changed` whenever anything in it does.

    Parameters that need nothing special get the widgets that Processing's own dialogs use.
    """

    changed = pyqtSignal()

    def __init__(
        self, algorithm: QgsProcessingAlgorithm, canvas: QgsMapCanvas, basic: Sequence[str], own: Sequence[str] = ()
    ) -> None:
        """`algorithm` must live as long as the form: its parameter definitions are used.

        `basic`: parameters that get Processing's widgets besides the advanced ones; `own`: advanced ones that do not.
        """
        super().__init__()
        self._algorithm = algorithm
        folded = [name for name in advanced_names(algorithm) if name not in own]
        self._parameters = ParameterWidgets(algorithm, [*basic, *folded], canvas, self)
        self._rows: dict[str, tuple[QLabel, Union[QWidget, QLayout]]] = {}
        self.area = AreaPicker(canvas)
        self.output = QgsFileWidget()
        self.output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        self.advanced = self._fold(folded)
        self._steps = QVBoxLayout(self)
        self._steps.setContentsMargins(0, 0, 6, 0)
        self._steps.setSpacing(12)
        self.area.changed.connect(self._tell)
        self.output.fileChanged.connect(self._tell)

    def add_step(self, heading: str, *rows: Row) -> None:
        """Add a step below those that are there."""
        box = QGroupBox(heading)
        form = _form_in(box)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for name, text, field in rows:
            label = QLabel(text)
            self._rows[name] = (label, field)
            form.addRow(label, field)
        self._steps.addWidget(box)

    def end_steps(self, tooltip: str) -> None:
        """Let the fields of all steps begin at one line, and add the advanced parameters with a tooltip."""
        width = max(label.sizeHint().width() for label, _ in self._rows.values())
        for label, _ in self._rows.values():
            label.setMinimumWidth(width)
        self.advanced.setToolTip(tooltip)
        self._steps.addWidget(self.advanced)
        self._steps.addStretch(1)

    def output_path(self, suffix: str) -> str:
        """Path of the file to save to, with the suffix where none was typed; empty where no file is named."""
        path = self.output.filePath().strip()
        return path if not path or Path(path).suffix else path + suffix

    def _fold(self, names: Sequence[str]) -> QgsCollapsibleGroupBox:
        box = QgsCollapsibleGroupBox(tr("Advanced"))
        form = _form_in(box)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name in names:
            widget = self._parameters[name]
            form.addRow("" if isinstance(widget, QCheckBox) else self._parameters.label(name), widget)
            self._parameters.changed(name, self._tell)
        box.setCollapsed(True)
        return box

    def _tell(self, *_: object) -> None:
        self.changed.emit()


def _form_in(box: QWidget) -> QFormLayout:
    form = QFormLayout(box)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form
