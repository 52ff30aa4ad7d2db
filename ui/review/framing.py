"""Taking the map to an object, and drawing a box on it."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsCoordinateTransform,
    QgsCsException,
    QgsGeometry,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.gui import QgsMapCanvas, QgsMapToolExtent, QgsRubberBand
from qgis.PyQt.QtCore import QEasingCurve, QObject, Qt, QVariantAnimation, pyqtSignal
from qgis.PyQt.QtGui import QColor

AROUND = 6.0  # shorter side of the map in longer sides of the object
LEAST_M = 12.0  # the map never shows less, however small the object
FLIGHT_MS = 220
FARTHEST = 1.5  # in widths of the map: what is farther is jumped to


class Framing(QObject):
    """Moves a map to show an object in its middle, and outlines it."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__()
        self._canvas = canvas
        self._band = QgsRubberBand(canvas, Qgis.GeometryType.Polygon)
        self._band.setFillColor(QColor(0, 0, 0, 0))
        self._band.setStrokeColor(QColor(255, 255, 255))
        self._band.setSecondaryStrokeColor(QColor(0, 0, 0, 160))
        self._band.setWidth(3)
        self._flight = QVariantAnimation(self)
        self._flight.setDuration(FLIGHT_MS)
        self._flight.setStartValue(0.0)
        self._flight.setEndValue(1.0)
        self._flight.setEasingCurve(QEasingCurve.Type.InOutCubic)
        self._flight.valueChanged.connect(self._fly)
        self._flight.finished.connect(self._land)
        self._from = self._to = QgsRectangle()

    def show(self, layer: QgsVectorLayer, shape: QgsGeometry) -> None:
        """Outline a shape of a layer and take the map there, in a short flight where it is near."""
        self._band.setToGeometry(shape, layer)
        try:
            box = to_map(self._canvas, layer).transformBoundingBox(shape.boundingBox())
        except QgsCsException:
            return
        self._flight.stop()
        self._from, self._to = self._canvas.extent(), self._view(box)
        span = max(self._from.width(), self._to.width())
        near = self._from.center().distance(self._to.center()) < FARTHEST * span
        if near and self._canvas.isVisible() and self._to.width() < 20 * self._from.width() < 400 * self._to.width():
            self._canvas.freeze(True)  # what is drawn is stretched meanwhile; it is drawn anew at the end
            self._flight.start()
        else:
            self._canvas.setExtent(self._to)
            self._canvas.refresh()

    def hide(self) -> None:
        """Outline nothing."""
        self._band.reset(Qgis.GeometryType.Polygon)

    def close(self) -> None:
        """Leave the map as it is, for good."""
        if self._flight.state() == QVariantAnimation.State.Running:
            self._flight.stop()
            self._land()
        self.hide()
        self._canvas.scene().removeItem(self._band)

    def _view(self, box: QgsRectangle) -> QgsRectangle:
        unit = self._canvas.mapUnitsPerPixel() or 1.0
        ratio = max(self._canvas.width(), 1) / max(self._canvas.height(), 1)
        least = LEAST_M if self._canvas.mapSettings().mapUnits() == Qgis.DistanceUnit.Meters else 0.0
        side = max(AROUND * max(box.width(), box.height()), least, 1e-9 * unit)
        width, height = (side * ratio, side) if ratio > 1 else (side, side / ratio)
        middle = box.center()
        return QgsRectangle(
            middle.x() - width / 2, middle.y() - height / 2, middle.x() + width / 2, middle.y() + height / 2
        )

    def _fly(self, share: float) -> None:
        """Show what lies between start and end; widths grow and shrink by an equal factor in an equal time."""
        start, end = self._from, self._to
        if start.isEmpty() or end.isEmpty():
            return
        width = start.width() * (end.width() / start.width()) ** share
        height = start.height() * (end.height() / start.height()) ** share
        x = start.center().x() + (end.center().x() - start.center().x()) * share
        y = start.center().y() + (end.center().y() - start.center().y()) * share
        self._canvas.setExtent(QgsRectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2))

    def _land(self) -> None:
        self._canvas.setExtent(self._to)
        self._canvas.freeze(False)
        self._canvas.refresh()


class BoxTool(QgsMapToolExtent):
    """Draws one box; `drawn` brings it in the layer's coordinates, and the former tool is back."""

    drawn = pyqtSignal(QgsRectangle)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._former = None
        self._layer: QgsVectorLayer | None = None
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.extentChanged.connect(self._take)

    def begin(self, layer: QgsVectorLayer) -> None:
        """Take over the map's pointer for one box of a layer."""
        self._layer = layer
        if self.canvas().mapTool() is not self:
            self._former = self.canvas().mapTool()
            self.canvas().setMapTool(self)

    def end(self) -> None:
        """Give the pointer back."""
        self.clearRubberBand()
        if self.canvas().mapTool() is self:
            if self._former is not None:
                self.canvas().setMapTool(self._former)
            else:
                self.canvas().unsetMapTool(self)
        self._former = None

    @property
    def active(self) -> bool:
        """Whether a box is asked for."""
        return self.canvas().mapTool() is self

    def _take(self, extent: QgsRectangle) -> None:
        if not self.active or extent.isEmpty() or extent.width() <= 0 or extent.height() <= 0:
            return
        layer = self._layer
        try:
            back = to_map(self.canvas(), layer)
            box = back.transformBoundingBox(extent, Qgis.TransformDirection.Reverse)
        except QgsCsException:
            return
        self.end()
        self.drawn.emit(box)


def to_map(canvas: QgsMapCanvas, layer: QgsVectorLayer) -> QgsCoordinateTransform:
    """From a layer's coordinates to the map's."""
    return QgsCoordinateTransform(
        layer.crs(), canvas.mapSettings().destinationCrs(), QgsProject.instance().transformContext()
    )
