"""Training in the desktop: the action that opens its dialog, and the dialog."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtGui import QAction

from ..branding import icon
from ..wording import tr

if TYPE_CHECKING:
    from ..review.training_inputs import TrainingInputs
    from .dialog import TrainDialog


class TrainingDesk:
    """Owns the Train dialog, made when it is first asked for."""

    def __init__(self, iface: QgisInterface, detect_with: Callable[[str], None]) -> None:
        """`detect_with`: opens the Detect dialog with the model of a path."""
        self._iface, self._detect_with = iface, detect_with
        self.dialog: TrainDialog | None = None
        self.action = QAction(icon("train"), tr("Train a model…"), iface.mainWindow())
        self.action.setObjectName("tilehawkTrain")
        self.action.setToolTip(tr("Learn from labelled objects to find others like them (Tilehawk)"))
        self.action.triggered.connect(lambda _checked: self.show())

    def show(
        self, raster: QgsMapLayer | str | None = None, labels: QgsMapLayer | None = None, **parameters: Any
    ) -> None:
        """Open the dialog, or bring it to the front; filled where there is something to fill it with."""
        from .dialog import TrainDialog

        if self.dialog is None:
            self.dialog = TrainDialog(self._iface)
            self.dialog.detect_asked.connect(self._detect_with)
        self.dialog.show()
        self.dialog.raise_()
        self.dialog.activateWindow()
        self.dialog.fill(raster, labels, **parameters)

    def train_with(self, inputs: TrainingInputs) -> None:
        """Open the dialog with what a review gives; its layers are added to the project, to be seen and changed."""
        labels = QgsVectorLayer(inputs.labels, tr("Labels from the review"))
        area = QgsVectorLayer(inputs.area, tr("Ground that was reviewed"))
        QgsProject.instance().addMapLayers([labels, area])
        self.show(inputs.raster, labels, CLASS_FIELD=inputs.class_field, IGNORE_FIELD=inputs.ignore_field)
        self.dialog.form.area.set_layer(area)
        if inputs.start_from:
            self.dialog.form.set_start(inputs.start_from)

    def close(self) -> None:
        """Take everything away; a running training is cancelled."""
        if self.dialog is not None:
            self.dialog.cancel_and_wait()
            self.dialog.close()
            self.dialog.deleteLater()
            self.dialog = None
        self.action.deleteLater()
