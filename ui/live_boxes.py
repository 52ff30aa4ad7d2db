"""Boxes drawn over the map while they are found: a preview that is no layer."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
)
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QRectF, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPainterPath, QPen
from qgis.PyQt.QtWidgets import QStyleOptionGraphicsItem, QWidget

MOST = 10_000  # drawing more would be felt when the map moves
CASING = QColor(0, 0, 0, 140)
LINE_PX, CASING_PX = 2, 4
FILL_ALPHA = 45
SMALLEST_PX = 3.0


class LiveBoxes(QgsMapCanvasItem):
    """Boxes by class colour on a map canvas, those at or above `threshold`; the last 10,000 of them."""

    def __init__(self, canvas: QgsMapCanvas, colors: Sequence[str]) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._colors = [QColor(color) for color in colors]
        self._boxes: list[tuple[QgsRectangle, float, int]] = []
        self._threshold = 0.0
        self._paths: dict[int, QPainterPath] = {}
        self.setZValue(20)

    def add(
        self,
        boxes: Sequence[Sequence[float]],
        scores: Sequence[float],
        labels: Sequence[int],
        crs: QgsCoordinateReferenceSystem,
    ) -> None:
        """Show more boxes, xmin, ymin, xmax, ymax in `crs`; those that the map cannot show are left out."""
        shown = self._canvas.mapSettings().destinationCrs()
        transform = QgsCoordinateTransform(crs, shown, QgsProject.instance())
        for box, score, label in zip(boxes, scores, labels):
            rectangle = QgsRectangle(*box)
            try:
                if not transform.isShortCircuited():
                    rectangle = transform.transformBoundingBox(rectangle)
            except QgsCsException:
                continue
            self._boxes.append((rectangle, score, label))
        del self._boxes[:-MOST]
        self._redraw()

    def set_threshold(self, threshold: float) -> None:
        """Show the boxes at or above a confidence."""
        self._threshold = threshold
        self._redraw()

    def count(self) -> int:
        """Number of boxes at or above the threshold."""
        return sum(score >= self._threshold for _, score, _ in self._boxes)

    def remove(self) -> None:
        """Take the boxes off the map."""
        scene = self._canvas.scene()
        if scene is not None and self.scene() is scene:
            scene.removeItem(self)

    def updatePosition(self) -> None:
        """Follow the map; called by the canvas when it has moved."""
        self._redraw()

    def boundingRect(self) -> QRectF:
        """All of the canvas: boxes may be anywhere."""
        return QRectF(0, 0, self._canvas.width(), self._canvas.height())

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem | None = None, widget: QWidget | None = None
    ) -> None:
        """Draw a bright outline on a dark casing, seen on any ground."""
        for label, path in self._paths.items():
            color = self._colors[label % len(self._colors)]
            fill = QColor(color)
            fill.setAlpha(FILL_ALPHA)
            for width, line, brush in ((CASING_PX, CASING, Qt.BrushStyle.NoBrush), (LINE_PX, color, fill)):
                pen = QPen(line, width)
                pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
                painter.setPen(pen)
                painter.setBrush(brush)
                painter.drawPath(path)

    def _redraw(self) -> None:
        """Turn the boxes in view into paths of canvas pixels, once for each place of the map."""
        view = self._canvas.extent()
        to_pixels = self._canvas.getCoordinateTransform()
        self._paths = {}
        for rectangle, score, label in self._boxes:
            if score >= self._threshold and view.intersects(rectangle):
                low = to_pixels.transform(QgsPointXY(rectangle.xMinimum(), rectangle.yMinimum()))
                high = to_pixels.transform(QgsPointXY(rectangle.xMaximum(), rectangle.yMaximum()))
                left, right = sorted((low.x(), high.x()))
                top, bottom = sorted((low.y(), high.y()))
                path = self._paths.setdefault(label, QPainterPath())
                path.addRect(left, top, max(SMALLEST_PX, right - left), max(SMALLEST_PX, bottom - top))
        self.setPos(0, 0)
        self.update()
