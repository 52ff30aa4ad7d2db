"""How a training goes, painted: the loss falls, the average precision rises; no class of QGIS's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen, QPolygonF
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

LINES_HIGH = 10.0
TICKS = (0.0, 0.5, 1.0)
FEWEST_EPOCHS = 5  # of the axis, so that the first ones do not jump about


class TrainingCurve(QWidget):
    """Two lines over the epochs: average precision from 0 to 1, and the loss in parts of its highest value."""

    def __init__(self, precision: str, loss: str, parent: QWidget | None = None) -> None:
        """`precision` and `loss`: what the legend calls the lines."""
        super().__init__(parent)
        self._names = (precision, loss)
        self._precisions: list[float] = []
        self._losses: list[float] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)

    def clear(self) -> None:
        """Begin anew."""
        self._precisions, self._losses = [], []
        self.update()

    def add(self, event: Mapping[str, Any]) -> None:
        """Take an event `epoch`: `ap50` (`ap30` where objects are small is the job's choice), focal and box loss."""
        self._precisions.append(float(event["ap50"]))
        self._losses.append(float(event["focal_loss"]) + float(event["box_loss"]))
        self.update()

    @property
    def rounds(self) -> int:
        """Number of rounds so far."""
        return len(self._precisions)

    def best(self) -> int | None:
        """Epoch, from 1, of the highest average precision; the last of equals, None before the first."""
        if not self._precisions:
            return None
        top = max(self._precisions)
        return max(place for place, value in enumerate(self._precisions, 1) if value == top)

    def sizeHint(self) -> QSize:
        """Some lines of text high."""
        line = self.fontMetrics().height()
        return QSize(24 * line, round(LINES_HIGH * line))

    def minimumSizeHint(self) -> QSize:
        """Half as large as it would like to be, and wide enough for the legend."""
        line = self.fontMetrics().height()
        legend = sum(self.fontMetrics().horizontalAdvance(name) + 2.8 * line for name in self._names)
        return (self.sizeHint() / 2).expandedTo(QSize(round(legend + 2.4 * line), 0))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint axes, lines and legend; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        line = self.fontMetrics().height()
        plot = QRectF(2.4 * line, 1.8 * line, self.width() - 3.2 * line, self.height() - 3.4 * line)
        text = self.palette().color(QPalette.ColorRole.WindowText)
        strong, weak = self.palette().color(QPalette.ColorRole.Highlight), _faint(text, 130)
        self._paint_axes(painter, plot, text)
        losses = [value / max(self._losses) for value in self._losses] if any(self._losses) else []
        self._paint_line(painter, plot, losses, QPen(weak, 1.5, Qt.PenStyle.DashLine))
        self._paint_line(painter, plot, self._precisions, QPen(strong, 2.2))
        best = self.best()
        if best is not None:
            painter.setPen(QPen(strong, 2))
            painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
            painter.drawEllipse(self._place(plot, best, self._precisions[best - 1]), 4, 4)
        self._paint_legend(painter, plot, text, (QPen(strong, 2.2), QPen(weak, 1.5, Qt.PenStyle.DashLine)))

    def _place(self, plot: QRectF, epoch: int, value: float) -> QPointF:
        last = max(len(self._precisions), FEWEST_EPOCHS)
        return QPointF(plot.left() + (epoch - 1) / (last - 1) * plot.width(), plot.bottom() - value * plot.height())

    def _paint_axes(self, painter: QPainter, plot: QRectF, text: QColor) -> None:
        metrics = painter.fontMetrics()
        for tick in TICKS:
            y = plot.bottom() - tick * plot.height()
            painter.setPen(QPen(_faint(text, 45), 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            label = f"{tick:g}"
            painter.setPen(_faint(text, 170))
            left = plot.left() - metrics.horizontalAdvance(label) - 0.4 * metrics.height()
            painter.drawText(QPointF(left, y + 0.35 * metrics.ascent()), label)
        last = max(len(self._precisions), FEWEST_EPOCHS)
        for epoch in (1, last):
            label = str(epoch)
            wide = metrics.horizontalAdvance(label)
            x = self._place(plot, epoch, 0).x() - wide / 2
            painter.drawText(QPointF(x, plot.bottom() + 1.2 * metrics.ascent()), label)

    def _paint_line(self, painter: QPainter, plot: QRectF, values: Sequence[float], pen: QPen) -> None:
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        points = [self._place(plot, epoch, value) for epoch, value in enumerate(values, 1)]
        if len(points) > 1:
            painter.drawPolyline(QPolygonF(points))

    def _paint_legend(self, painter: QPainter, plot: QRectF, text: QColor, pens: Sequence[QPen]) -> None:
        metrics = painter.fontMetrics()
        left, y = plot.left(), 0.9 * metrics.height()
        for name, pen in zip(self._names, pens):
            painter.setPen(pen)
            painter.drawLine(QPointF(left, y), QPointF(left + 1.4 * metrics.height(), y))
            painter.setPen(text)
            left += 1.8 * metrics.height()
            painter.drawText(QPointF(left, y + 0.35 * metrics.ascent()), name)
            left += metrics.horizontalAdvance(name) + metrics.height()


def _faint(color: QColor, alpha: int) -> QColor:
    faint = QColor(color)
    faint.setAlpha(alpha)
    return faint
