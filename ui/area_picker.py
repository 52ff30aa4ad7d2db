"""Choosing where to look: the whole raster, what the map shows, or the polygons of a layer."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsProcessingFeatureSourceDefinition, QgsReferencedRectangle
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from ..core.job.errors import InvalidJob
from .wording import tr

WHOLE, VISIBLE, POLYGONS = range(3)


class AreaPicker(QWidget):
    """Gives the EXTENT or MASK parameter; the list of polygon layers shows where it is needed."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.kind = QComboBox()
        self.kind.addItems([tr("Whole raster"), tr("What the map shows now"), tr("Inside the polygons of a layer")])
        self.kind.setToolTip(tr("Which part of the raster to look at"))
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.layers.setShowCrs(True)
        self.layers.setToolTip(tr("Polygons to look inside, in any coordinate system"))
        self.selected_only = QCheckBox(tr("Selected features only"))
        self.selected_only.setToolTip(tr("Look inside those polygons only that are selected in their layer"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.kind, self.layers, self.selected_only):
            layout.addWidget(widget)
        self.kind.currentIndexChanged.connect(self._show_layers)
        self.layers.layerChanged.connect(self._follow_selection)
        self._show_layers()

    def parameters(self) -> dict[str, Any]:
        """Parameters that limit the area, none for the whole raster; raises InvalidJob where no layer is chosen."""
        if self.kind.currentIndex() == VISIBLE:
            settings = self._canvas.mapSettings()
            return {"EXTENT": QgsReferencedRectangle(settings.visibleExtent(), settings.destinationCrs())}
        layer = self.layers.currentLayer()
        if self.kind.currentIndex() == WHOLE:
            return {}
        if layer is None:
            raise InvalidJob(tr("Choose a layer of polygons to look inside, or another area."))
        return {"MASK": QgsProcessingFeatureSourceDefinition(layer.id(), self.selected_only.isChecked())}

    def set_layer(self, layer: QgsMapLayer) -> None:
        """Choose the polygons of a layer."""
        self.kind.setCurrentIndex(POLYGONS)
        self.layers.setLayer(layer)

    def _show_layers(self) -> None:
        for widget in (self.layers, self.selected_only):
            widget.setVisible(self.kind.currentIndex() == POLYGONS)
        self._follow_selection(self.layers.currentLayer())

    def _follow_selection(self, layer: QgsMapLayer | None) -> None:
        self.selected_only.setChecked(layer is not None and layer.selectedFeatureCount() > 0)
