"""One window of the imagery set aside, with its labels and what the model finds there now: painted anew every round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qgis.core import QgsMapRendererCustomPainterJob, QgsMapSettings, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QLinearGradient, QPainter, QPaintEvent, QPalette, QPen
from qgis.PyQt.QtWidgets import QSizePolicy, QWidget

from ..wording import tr

RENDERED_PX = 768  # longer side of the picture that is scaled to the widget
LINE = 0.1  # width of outlines in lines of text
LINES_WIDE, LINES_HIGH = 16.0, 18.0
UNSURE, SURE = QColor("#ff9500"), QColor("#00e5ff")  # of scores from 0 to 1; between them through green
TRUTH = QColor("#ffffff")
HALO = QColor(0, 0, 0, 150)  # keeps lines visible on any ground
GREY = QColor(128, 128, 128)

Box = Sequence[float]


class SampleView(QWidget):
    """Shows events `sample` of a training: the imagery once, labels dashed, detections in the colour of their score."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[str, tuple[float, ...]] | None = None
        self.image: QImage | None = None
        self.round = 0
        self._extent = QgsRectangle()
        self._found: list[tuple[float, Box]] = []
        self._truth: list[Box] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip(
            tr(
                "A window of the labels set aside for choosing. Dashed: what is labelled. Solid: what the model finds "
                "at its best threshold so far, by its score."
            )
        )

    def clear(self) -> None:
        """Begin anew."""
        self._shown = self.image = None
        self.round, self._found, self._truth = 0, [], []
        self.update()

    def show_sample(self, event: Mapping[str, Any], epoch: int) -> None:
        """Take an event `sample`, of a round counted from 1; boxes are in the coordinates of its image."""
        extent = tuple(event["extent"])
        if (event["image"], extent) != self._shown:
            self._shown, self._extent = (event["image"], extent), QgsRectangle(*extent)
            self.image = _rendered(event["image"], self._extent)
        self.round = epoch
        self._found = sorted(zip(event["scores"], event["boxes"]), key=lambda each: each[0])  # the surest on top
        self._truth = list(event["truth"])
        self.update()

    def sizeHint(self) -> QSize:
        """Some lines of text wide and high."""
        line = self.fontMetrics().height()
        return QSize(round(LINES_WIDE * line), round(LINES_HIGH * line))

    def minimumSizeHint(self) -> QSize:
        """Half as large as it would like to be."""
        return self.sizeHint() / 2

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint title, imagery, boxes and legend; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        line = self.fontMetrics().height()
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        head = QRectF(0, 0, self.width(), 1.5 * line)
        if self._shown is None:
            words = tr("What the model finds in one window is shown after every round.")
            middle = int(Qt.AlignmentFlag.AlignCenter) | int(Qt.TextFlag.TextWordWrap)
            painter.drawText(QRectF(self.rect()).adjusted(line, line, -line, -line), middle, words)
            return
        title = tr("One window after round {epoch}").format(epoch=self.round)
        painter.drawText(head, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), title)
        legend = self._legend_lines()
        frame = self._frame(QRectF(0, head.bottom(), self.width(), self.height() - head.bottom() - legend * 1.4 * line))
        if self.image is None:
            painter.fillRect(frame, GREY)
        else:
            painter.drawImage(frame, self.image)
        painter.save()
        painter.setClipRect(frame)
        for box in self._truth:
            draw_outline(painter, self._place(box, frame), TRUTH, LINE * line, dashed=True)
        for score, box in self._found:
            draw_outline(painter, self._place(box, frame), color_of(score), LINE * line)
        painter.restore()
        self._paint_legend(painter, frame.bottom() + 0.3 * line, legend)

    def _frame(self, room: QRectF) -> QRectF:
        """Where the imagery goes: as large as its shape allows, at the top left of its room."""
        wide, high = max(self._extent.width(), 1e-9), max(self._extent.height(), 1e-9)
        scale = max(0.0, min(room.width() / wide, room.height() / high))
        return QRectF(room.left(), room.top(), wide * scale, high * scale)

    def _place(self, box: Box, frame: QRectF) -> QRectF:
        extent, scale = self._extent, frame.width() / max(self._extent.width(), 1e-9)
        return QRectF(
            frame.left() + (box[0] - extent.xMinimum()) * scale,
            frame.top() + (extent.yMaximum() - box[3]) * scale,
            (box[2] - box[0]) * scale,
            (box[3] - box[1]) * scale,
        )

    def _labels(self) -> tuple[str, str]:
        return tr("labelled: {n}").format(n=len(self._truth)), tr("found: {n}, by score").format(n=len(self._found))

    def _legend_lines(self) -> int:
        """One line where both entries have room side by side, else two."""
        metrics = self.fontMetrics()
        needed = sum(metrics.horizontalAdvance(text) for text in self._labels()) + 7 * metrics.height()
        return 1 if needed <= self.width() else 2

    def _paint_legend(self, painter: QPainter, top: float, lines: int) -> None:
        metrics = self.fontMetrics()
        line = metrics.height()
        left, y = 0.0, top + 0.7 * line
        text = self.palette().color(QPalette.ColorRole.WindowText)
        for place, words in enumerate(self._labels()):
            if place and lines == 2:
                left, y = 0.0, y + 1.2 * line
            sign = QRectF(left, y - 0.35 * line, 1.8 * line, 0.7 * line)
            if place:
                colors = QLinearGradient(sign.topLeft(), sign.topRight())
                for score in (0.0, 0.25, 0.5, 0.75, 1.0):
                    colors.setColorAt(score, color_of(score))
                painter.fillRect(sign, colors)
            else:
                painter.fillRect(sign, GREY)
                painter.setPen(QPen(TRUTH, LINE * line, Qt.PenStyle.DashLine))
                painter.drawLine(QPointF(sign.left(), y), QPointF(sign.right(), y))
            painter.setPen(text)
            painter.drawText(QPointF(sign.right() + 0.4 * line, y + 0.35 * metrics.ascent()), words)
            left = sign.right() + 1.4 * line + metrics.horizontalAdvance(words)


def color_of(score: float) -> QColor:
    """Colour of a score from 0 to 1."""
    share = min(max(score, 0.0), 1.0)
    hue = UNSURE.hueF() + share * (SURE.hueF() - UNSURE.hueF())
    return QColor.fromHsvF(hue, 1.0, 1.0)


def draw_outline(painter: QPainter, place: QRectF, color: QColor, width: float, *, dashed: bool = False) -> None:
    """Draw a box that is seen on any ground."""
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(HALO, 2.2 * width), QPen(color, width)):
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        if dashed:
            pen.setCapStyle(Qt.PenCapStyle.FlatCap)
            pen.setDashPattern([2.5 * width / pen.widthF(), 2 * width / pen.widthF()])
        painter.setPen(pen)
        painter.drawRect(place)


def _rendered(path: str, extent: QgsRectangle) -> QImage | None:
    """A window of a raster file as QGIS draws it; None where it is no file on this computer, or cannot be read."""
    if not Path(path).is_file() or extent.isEmpty():
        return None
    layer = QgsRasterLayer(path, "sample")
    if not layer.isValid():
        return None
    scale = RENDERED_PX / max(extent.width(), extent.height())
    size = QSize(max(1, round(extent.width() * scale)), max(1, round(extent.height() * scale)))
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(extent)
    settings.setOutputSize(size)
    image = QImage(size, QImage.Format.Format_RGB32)
    image.fill(GREY)
    painter = QPainter(image)
    job = QgsMapRendererCustomPainterJob(settings, painter)
    job.renderSynchronously()
    painter.end()
    return image
