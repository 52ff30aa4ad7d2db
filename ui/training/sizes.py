"""How large objects are, painted as bars; no class of QGIS's."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

LINES_HIGH = 4.5


class SizeHistogram(QWidget):
    """A bar for each range of sizes, from the first that holds anything to the last."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._edges: list[float] = []
        self._counts: list[int] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_counts(self, edges: Sequence[float], counts: Sequence[int]) -> None:
        """Show counts of ranges that begin at `edges`, px; the last range is open."""
        filled = [place for place, count in enumerate(counts) if count]
        kept = slice(filled[0], filled[-1] + 1) if filled else slice(0, 0)
        self._edges, self._counts = list(edges[kept]), list(counts[kept])
        self.update()

    def sizeHint(self) -> QSize:
        """Some lines of text high."""
        line = self.fontMetrics().height()
        return QSize(12 * line, round((LINES_HIGH + 1.3) * line))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint bars and the sizes they begin at; called by Qt."""
        if not self._counts:
            return
        painter = QPainter(self)
        line = self.fontMetrics().height()
        plot = QRectF(0.4 * line, 2, self.width() - 0.8 * line, self.height() - 1.3 * line)
        width, top = plot.width() / len(self._counts), max(self._counts)
        strong = self.palette().color(QPalette.ColorRole.Highlight)
        text = QColor(self.palette().color(QPalette.ColorRole.WindowText))
        text.setAlpha(170)
        font = painter.font()
        font.setPointSizeF(0.85 * font.pointSizeF())
        painter.setFont(font)
        painter.setPen(Qt.PenStyle.NoPen)
        for place, count in enumerate(self._counts):
            high = count / top * (plot.height() - 2)
            bar = QRectF(plot.left() + place * width + 1, plot.bottom() - high, width - 2, high)
            painter.fillRect(bar, strong)
        painter.setPen(QPen(text, 1))
        painter.drawLine(plot.bottomLeft(), plot.bottomRight())
        for place, edge in enumerate(self._edges):
            label = f"{edge:g}" if place else f"{edge:g} px"
            painter.drawText(QPointF(plot.left() + place * width, self.height() - 0.2 * line), label)
