"""Boxes drawn over the map while they are found: a preview that is no layer."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

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


class Box(NamedTuple):
    """A box with its score, and its class by number."""

    rectangle: QgsRectangle
    score: float
    label: int


class LiveBoxes(QgsMapCanvasItem):
    """Boxes in `crs` by class colour on a map canvas, those at or above `threshold`; the last 10,000 of them."""

    def __init__(self, canvas: QgsMapCanvas, crs: QgsCoordinateReferenceSystem, colors: Sequence[str]) -> None:
        super().__init__(canvas)
        self._canvas, self._crs = canvas, crs
        self._colors = [QColor(color) for color in colors]
        self._boxes: list[Box] = []  # as they came
        self._shown: list[Box] = []  # in the map's coordinates
        self._threshold = 0.0
        self._paths: dict[int, QPainterPath] = {}
        self.setZValue(20)
        canvas.destinationCrsChanged.connect(self._follow_crs)

    def add(self, boxes: Sequence[Sequence[float]], scores: Sequence[float], labels: Sequence[int]) -> None:
        """Show more boxes, xmin, ymin, xmax, ymax; those that the map cannot show are left out."""
        added = [Box(QgsRectangle(*box), score, label) for box, score, label in zip(boxes, scores, labels)]
        self._boxes = [*self._boxes, *added][-MOST:]
        self._shown = [*self._shown, *self._on_map(added)][-MOST:]
        self._redraw()

    def set_threshold(self, threshold: float) -> None:
        """Show the boxes at or above a confidence."""
        self._threshold = threshold
        self._redraw()

    def count(self) -> int:
        """Number of boxes at or above the threshold."""
        return sum(score >= self._threshold for _, score, _ in self._shown)

    def remove(self) -> None:
        """Take the boxes off the map."""
        self._canvas.destinationCrsChanged.disconnect(self._follow_crs)
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

    def _follow_crs(self) -> None:
        """Follow the map into other coordinates."""
        self._shown = self._on_map(self._boxes)
        self._redraw()

    def _on_map(self, boxes: Sequence[Box]) -> list[Box]:
        transform = QgsCoordinateTransform(
            self._crs, self._canvas.mapSettings().destinationCrs(), QgsProject.instance()
        )
        if transform.isShortCircuited():
            return list(boxes)
        found = []
        for box in boxes:
            with suppress(QgsCsException):
                found.append(box._replace(rectangle=transform.transformBoundingBox(box.rectangle)))
        return found

    def _redraw(self) -> None:
        """Turn the boxes in view into paths of canvas pixels, once for each place of the map."""
        view = self._canvas.extent()
        to_pixels = self._canvas.getCoordinateTransform()
        self._paths = {}
        for rectangle, score, label in self._shown:
            if score >= self._threshold and view.intersects(rectangle):
                low = to_pixels.transform(QgsPointXY(rectangle.xMinimum(), rectangle.yMinimum()))
                high = to_pixels.transform(QgsPointXY(rectangle.xMaximum(), rectangle.yMaximum()))
                left, right = sorted((low.x(), high.x()))
                top, bottom = sorted((low.y(), high.y()))
                path = self._paths.setdefault(label, QPainterPath())
                path.addRect(left, top, max(SMALLEST_PX, right - left), max(SMALLEST_PX, bottom - top))
        self.setPos(0, 0)
        self.update()
