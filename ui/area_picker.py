"""Choosing where to look: the whole raster, what the map shows, a drawn rectangle, or the polygons of a layer."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsMapLayer,
    QgsProcessingFeatureSourceDefinition,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsUnitTypes,
)
from qgis.gui import QgsMapCanvas, QgsMapLayerComboBox, QgsMapToolExtent
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..core.job.errors import InvalidJob
from .wording import tr

WHOLE, VISIBLE, RECTANGLE, POLYGONS = "whole", "visible", "rectangle", "polygons"


class AreaPicker(QWidget):
    """Gives the EXTENT or MASK parameter; what a choice needs further shows below it."""

    changed = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self._drawn: QgsReferencedRectangle | None = None
        self._tool: QgsMapToolExtent | None = None
        self.kind = QComboBox()
        for kind, text in (
            (WHOLE, tr("Whole raster")),
            (VISIBLE, tr("What the map shows now")),
            (RECTANGLE, tr("A rectangle drawn on the map")),
            (POLYGONS, tr("Inside the polygons of a layer")),
        ):
            self.kind.addItem(text, kind)
        self.kind.setToolTip(tr("Which part of the raster to look at"))
        self.draw = QPushButton(tr("Draw"))
        self.draw.setAutoDefault(False)
        self.draw.setToolTip(tr("Drag a rectangle on the map; this window steps aside meanwhile"))
        self.drawn = QLabel(tr("Nothing drawn yet"))
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.layers.setShowCrs(True)
        self.layers.setToolTip(tr("Polygons to look inside, in any coordinate system"))
        self.selected_only = QCheckBox(tr("Selected features only"))
        self.selected_only.setToolTip(tr("Look inside those polygons only that are selected in their layer"))
        self._rectangle_row, row = QWidget(), QHBoxLayout()
        self._rectangle_row.setLayout(row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.draw)
        row.addWidget(self.drawn, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.kind, self._rectangle_row, self.layers, self.selected_only):
            layout.addWidget(widget)
        self.kind.currentIndexChanged.connect(self._show_needed)
        self.draw.clicked.connect(self.start_drawing)
        self.layers.layerChanged.connect(self._follow_selection)
        self.selected_only.toggled.connect(self.changed)
        canvas.extentsChanged.connect(self._follow_map)
        self._show_needed()

    @property
    def drawing(self) -> bool:
        """Whether the window has stepped aside for a rectangle."""
        return self._tool is not None

    def parameters(self) -> dict[str, Any]:
        """Parameters that limit the area, none for the whole raster; raises InvalidJob where one is missing."""
        kind = self.kind.currentData()
        if kind == VISIBLE:
            return {"EXTENT": self.visible()}
        if kind == RECTANGLE and self._drawn is None:
            raise InvalidJob(tr("Draw the rectangle to look at, or choose another area."))
        if kind == RECTANGLE:
            return {"EXTENT": self._drawn}
        layer = self.layers.currentLayer()
        if kind == WHOLE:
            return {}
        if layer is None:
            raise InvalidJob(tr("Choose a layer of polygons to look inside, or another area."))
        return {"MASK": QgsProcessingFeatureSourceDefinition(layer.id(), self.selected_only.isChecked())}

    def visible(self) -> QgsReferencedRectangle:
        """What the map shows."""
        settings = self._canvas.mapSettings()
        return QgsReferencedRectangle(settings.visibleExtent(), settings.destinationCrs())

    def choose(self, kind: str) -> None:
        """Choose a kind of area: WHOLE, VISIBLE, RECTANGLE or POLYGONS."""
        self.kind.setCurrentIndex(self.kind.findData(kind))

    def set_layer(self, layer: QgsMapLayer) -> None:
        """Choose the polygons of a layer."""
        self.choose(POLYGONS)
        self.layers.setLayer(layer)

    def set_rectangle(self, rectangle: QgsReferencedRectangle) -> None:
        """Choose a rectangle as if it had been drawn."""
        self._drawn = rectangle
        unit = QgsUnitTypes.toAbbreviatedString(rectangle.crs().mapUnits())
        size = " × ".join(f"{side:,.5g}" for side in (rectangle.width(), rectangle.height()))
        self.drawn.setText(f"{size} {unit}")
        self.draw.setText(tr("Draw again"))
        self.choose(RECTANGLE)
        self.changed.emit()

    def start_drawing(self) -> None:
        """Let the user drag a rectangle on the map; the window comes back after it, or when another tool is taken."""
        before = self._canvas.mapTool()
        self._tool = QgsMapToolExtent(self._canvas)
        self._tool.extentChanged.connect(self._take_drawn)
        self._tool.deactivated.connect(self._come_back)
        self._tool_before = before
        self.window().hide()
        self._canvas.setMapTool(self._tool)
        self._canvas.window().raise_()

    def _take_drawn(self, extent: QgsRectangle) -> None:
        if not extent.isEmpty():
            self.set_rectangle(QgsReferencedRectangle(extent, self._canvas.mapSettings().destinationCrs()))
        if self._tool_before is not None:
            self._canvas.setMapTool(self._tool_before)
        elif self._tool is not None:
            self._canvas.unsetMapTool(self._tool)

    def _come_back(self) -> None:
        self.window().show()
        self.window().raise_()
        self._tool = None

    def _show_needed(self) -> None:
        kind = self.kind.currentData()
        self._rectangle_row.setVisible(kind == RECTANGLE)
        for widget in (self.layers, self.selected_only):
            widget.setVisible(kind == POLYGONS)
        self._follow_selection(self.layers.currentLayer())

    def _follow_selection(self, layer: QgsMapLayer | None) -> None:
        self.selected_only.setChecked(layer is not None and layer.selectedFeatureCount() > 0)
        self.changed.emit()

    def _follow_map(self) -> None:
        if self.kind.currentData() == VISIBLE:
            self.changed.emit()
