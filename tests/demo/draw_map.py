"""Draws a detection as QGIS shows it: the whole raster, and beside it a part of it close up. For QGIS's Python.

    draw_map.py PLUGINS RASTER DETECTIONS MODEL PICTURE.png

PLUGINS is the folder in which the plugin lies as `tilehawk`; the boxes have the style that the plugin gives them.
"""

import sys

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QPointF, QRectF, QSize, QSizeF, Qt
from qgis.PyQt.QtGui import QColor, QFont, QImage, QPainter, QPen

PANEL_PX = 1000
MARGIN_PX = 24
TITLE_PX = 72
DPI = 120
CLOSE_UP = 1 / 6  # side of the close-up, of the raster's
PAPER, INK, FRAME = QColor("#10161c"), QColor("#f2f5f7"), QColor("#ffd54f")
STEPS = (1, 2, 5)  # a scale bar's length is one of these times a power of ten


def main(plugins: str, raster: str, detections: str, model: str, picture: str) -> None:
    sys.path.insert(0, plugins)
    from tilehawk.core.job.card import read_card
    from tilehawk.ui.layers import style_detections

    card = read_card(model)
    ground = QgsRasterLayer(raster, "raster")
    boxes = QgsVectorLayer(f"{detections}|layername=detections", "detections")
    if not ground.isValid() or not boxes.isValid():
        sys.exit(f"QGIS cannot open {raster} or {detections}.")
    style_detections(boxes, card)
    close_up = richest_part(boxes, ground.extent())
    title = (
        f"{card.title or card.name}: {boxes.featureCount():,} objects with a confidence of {card.threshold:.2f} or more"
    )
    panels = [render([boxes, ground], extent) for extent in (square(ground.extent()), close_up)]
    compose(panels, [square(ground.extent()), close_up], title).save(picture)


def square(extent: QgsRectangle) -> QgsRectangle:
    """Grow an extent to a square around its centre."""
    side = max(extent.width(), extent.height())
    return QgsRectangle.fromCenterAndSize(extent.center(), side, side)


def richest_part(boxes: QgsVectorLayer, whole: QgsRectangle) -> QgsRectangle:
    """Square part of the raster, around one of the objects and within the raster, that holds the most objects."""
    side = max(whole.width(), whole.height()) * CLOSE_UP
    reach = QgsRectangle(whole)
    reach.grow(-side / 2)
    centres = [feature.geometry().boundingBox().center() for feature in boxes.getFeatures()]
    places = sorted((point for point in centres if reach.contains(point)), key=lambda point: (point.x(), point.y()))
    parts = [QgsRectangle.fromCenterAndSize(point, side, side) for point in places or [QgsPointXY(whole.center())]]
    return max(parts, key=lambda part: sum(part.contains(point) for point in centres))


def render(layers: list, extent: QgsRectangle) -> QImage:
    """Render layers, the topmost first, as a square panel."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[-1].crs())
    settings.setExtent(extent)
    settings.setOutputSize(QSize(PANEL_PX, PANEL_PX))
    settings.setOutputDpi(DPI)
    settings.setBackgroundColor(PAPER)
    labels = settings.labelingEngineSettings()
    labels.setFlag(Qgis.LabelingFlag.UsePartialCandidates, False)
    settings.setLabelingEngineSettings(labels)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    return job.renderedImage()


def compose(panels: list[QImage], extents: list[QgsRectangle], title: str) -> QImage:
    """Set the two panels side by side, with a title, scale bars, and the close-up's frame on the whole."""
    size = QSize(3 * MARGIN_PX + 2 * PANEL_PX, TITLE_PX + PANEL_PX + MARGIN_PX)
    paper = QImage(size, QImage.Format.Format_RGB32)
    paper.fill(PAPER)
    painter = QPainter(paper)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setFont(font(26))
    painter.setPen(INK)
    line = QRectF(MARGIN_PX, 0, size.width() - 2 * MARGIN_PX, TITLE_PX)
    painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, title)
    places = [QRectF(MARGIN_PX + i * (PANEL_PX + MARGIN_PX), TITLE_PX, PANEL_PX, PANEL_PX) for i in range(2)]
    for place, panel, extent in zip(places, panels, extents, strict=True):
        painter.drawImage(place.topLeft(), panel)
        draw_scale_bar(painter, place, extent.width())
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(FRAME, 3))
    painter.drawRect(places[1])
    whole, part = extents
    scale = PANEL_PX / whole.width()
    corner = QPointF((part.xMinimum() - whole.xMinimum()) * scale, (whole.yMaximum() - part.yMaximum()) * scale)
    painter.drawRect(QRectF(places[0].topLeft() + corner, QSizeF(part.width() * scale, part.height() * scale)))
    painter.end()
    return paper


def draw_scale_bar(painter: QPainter, place: QRectF, width: float) -> None:
    """Draw a bar of a round length, at most a quarter of the panel, in the panel's lower left corner."""
    longest = width / 4
    power = 10 ** (len(str(int(longest))) - 1)
    length = max(step * power for step in STEPS if step * power <= longest)
    bar = QRectF(place.left() + 16, place.bottom() - 20, length / width * PANEL_PX, 6)
    painter.fillRect(bar.adjusted(-8, -32, 8, 10), QColor(0, 0, 0, 170))
    painter.fillRect(bar, INK)
    painter.setFont(font(20))
    painter.setPen(INK)
    painter.drawText(bar.adjusted(0, -30, 0, -6), Qt.AlignmentFlag.AlignCenter, f"{length:g} m")


def font(size_px: int) -> QFont:
    """Font of a size in px."""
    found = QFont("Open Sans")
    found.setPixelSize(size_px)
    return found


if __name__ == "__main__":
    application = QgsApplication([], False)
    application.initQgis()
    main(*sys.argv[1:])
    application.exitQgis()
