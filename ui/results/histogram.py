"""A slider over the confidence with the histogram of the scores behind it, painted; no class of QGIS's."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QWheelEvent
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

STEP = 0.01
PAGE = 0.1
LINES_HIGH = 6.0
TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
KEYS = {
    Qt.Key.Key_Left: -STEP,
    Qt.Key.Key_Down: -STEP,
    Qt.Key.Key_Right: STEP,
    Qt.Key.Key_Up: STEP,
    Qt.Key.Key_PageDown: -PAGE,
    Qt.Key.Key_PageUp: PAGE,
    Qt.Key.Key_Home: -1.0,
    Qt.Key.Key_End: 1.0,
}


class ConfidenceHistogram(QWidget):
    """Bars of how many objects have which score; a handle cuts them at a confidence from 0 to 1, in hundredths.

    Heights are square roots of counts, so that a few objects beside thousands are still seen. `value_changed` follows
    the mouse, the wheel and the keys.
    """

    value_changed = pyqtSignal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bins: tuple[int, ...] = ()
        self._value = 0.0
        self._margin = 8.0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.SizeHorCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def value(self) -> float:
        """Confidence at the handle."""
        return self._value

    def set_value(self, value: float) -> None:
        """Move the handle; `value_changed` follows where it moved."""
        value = min(max(value, 0.0), 1.0)
        if value != self._value:
            self._value = value
            self.update()
            self.value_changed.emit(value)

    def set_bins(self, bins: Sequence[int]) -> None:
        """Show other counts, of as many equal ranges from 0 to 1."""
        self._bins = tuple(bins)
        self.update()

    def sizeHint(self) -> QSize:
        """Some lines of text high, and wide enough to aim."""
        line = self.fontMetrics().height()
        return QSize(16 * line, round((LINES_HIGH + 1.4) * line))

    def minimumSizeHint(self) -> QSize:
        """Half as wide as it would like to be."""
        return QSize(self.sizeHint().width() // 2, self.sizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint bars, ticks and handle; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        plot = self._plot()
        group = QPalette.ColorGroup.Normal if self.isEnabled() else QPalette.ColorGroup.Disabled
        strong = self.palette().color(group, QPalette.ColorRole.Highlight)
        text = self.palette().color(group, QPalette.ColorRole.WindowText)
        self._paint_bars(painter, plot, strong, _faint(text, 70))
        painter.setPen(QPen(_faint(text, 110), 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        self._paint_ticks(painter, plot, _faint(text, 170))
        self._paint_handle(painter, plot, text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle to the mouse; called by Qt."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._take(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the handle; called by Qt."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._take(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Move by a step where the widget has the focus, so that scrolling past changes nothing; called by Qt."""
        if not self.hasFocus():
            event.ignore()
            return
        self._step(STEP if event.angleDelta().y() > 0 else -STEP)
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move by steps and pages; called by Qt."""
        step = KEYS.get(event.key())
        if step is None:
            super().keyPressEvent(event)
        else:
            self._step(step)

    def place_of(self, value: float) -> float:
        """Where a confidence lies, px from the left."""
        plot = self._plot()
        return plot.left() + value * plot.width()

    def _plot(self) -> QRectF:
        line = self.fontMetrics().height()
        self._margin = 0.6 * line
        return QRectF(self._margin, 2, max(1.0, self.width() - 2 * self._margin), self.height() - 1.4 * line - 2)

    def _take(self, event: QMouseEvent) -> None:
        plot = self._plot()
        place = event.position().x() if hasattr(event, "position") else event.x()
        self._step_to((place - plot.left()) / plot.width())

    def _step(self, step: float) -> None:
        self._step_to(self._value + step)

    def _step_to(self, value: float) -> None:
        self.set_value(min(max(round(value / STEP) * STEP, 0.0), 1.0))

    def _paint_bars(self, painter: QPainter, plot: QRectF, strong: QColor, weak: QColor) -> None:
        top = math.sqrt(max(self._bins, default=0))
        if not top:
            return
        width = plot.width() / len(self._bins)
        gap = 1.0 if width > 3 else 0.0
        painter.setPen(Qt.PenStyle.NoPen)
        cut = self.place_of(self._value)
        for place, count in enumerate(self._bins):
            if not count:
                continue
            high = max(1.5, math.sqrt(count) / top * (plot.height() - 4))
            bar = QRectF(plot.left() + place * width, plot.bottom() - high, width - gap, high)
            for color, clip in (
                (weak, QRectF(0, 0, cut, self.height())),
                (strong, QRectF(cut, 0, self.width(), self.height())),
            ):
                part = bar.intersected(clip)
                if not part.isEmpty():
                    painter.fillRect(part, color)

    def _paint_ticks(self, painter: QPainter, plot: QRectF, color: QColor) -> None:
        font = painter.font()
        font.setPointSizeF(0.85 * font.pointSizeF())
        painter.setFont(font)
        painter.setPen(color)
        for tick in TICKS:
            place = self.place_of(tick)
            label = f"{tick:g}"
            wide = painter.fontMetrics().horizontalAdvance(label)
            left = min(max(place - wide / 2, 0), self.width() - wide)
            painter.drawText(QPointF(left, self.height() - painter.fontMetrics().descent()), label)

    def _paint_handle(self, painter: QPainter, plot: QRectF, color: QColor) -> None:
        place, radius = self.place_of(self._value), 0.7 * self._margin
        painter.setPen(QPen(color, 1.5))
        painter.drawLine(QPointF(place, plot.top()), QPointF(place, plot.bottom()))
        painter.setBrush(self.palette().color(QPalette.ColorRole.Base))
        if self.hasFocus():
            painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2.5))
        painter.drawEllipse(QPointF(place, plot.bottom()), radius, radius)


def _faint(color: QColor, alpha: int) -> QColor:
    faint = QColor(color)
    faint.setAlpha(alpha)
    return faint
