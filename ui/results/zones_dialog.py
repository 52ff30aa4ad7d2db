"""Asking for the layer of polygons whose objects are counted."""

from __future__ import annotations

from qgis.core import Qgis, QgsProject, QgsVectorLayer
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QLabel, QVBoxLayout, QWidget

from ..branding import add_help
from ..wording import tr
from .origin import origin_of


class ZonesDialog(QDialog):
    """Choose a layer of polygons that is no result itself."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tilehawkZonesDialog")
        self.setWindowTitle(tr("Count by zone"))
        text = QLabel(tr("Each polygon of this layer gets the number of objects shown whose centre lies in it:"))
        text.setWordWrap(True)
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.layers.setToolTip(tr("Districts, parcels, grid cells: any layer of polygons of this project"))
        results = [layer for layer in QgsProject.instance().mapLayers().values() if origin_of(layer) is not None]
        self.layers.setExceptedLayerList(results)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel)
        self.count = self.buttons.button(QDialogButtonBox.StandardButton.Ok)
        self.count.setText(tr("Count objects"))
        self.count.setToolTip(tr("Add a layer with the counts"))
        self.buttons.button(QDialogButtonBox.StandardButton.Cancel).setToolTip(tr("Count nothing"))
        add_help(self.buttons, "results#zones")
        self.count.setEnabled(self.layers.currentLayer() is not None)
        self.layers.layerChanged.connect(lambda layer: self.count.setEnabled(layer is not None))
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        line = self.fontMetrics().height()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(line, line, line, line)
        layout.setSpacing(line // 2)
        for widget in (text, self.layers):
            layout.addWidget(widget)
        layout.addStretch()
        layout.addSpacing(line // 2)
        layout.addWidget(self.buttons)
        self.setMinimumWidth(28 * line)

    def zones(self) -> QgsVectorLayer | None:
        """Layer that was chosen."""
        return self.layers.currentLayer()
