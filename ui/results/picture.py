"""A small picture of an object, cut out of its raster: for map tips."""

from __future__ import annotations

import time

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionFunction,
    QgsExpressionNodeFunction,
    QgsFeature,
    QgsMapRendererCustomPainterJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice, QRectF, QSize, Qt
from qgis.PyQt.QtGui import QColor, QImage, QPainter, QPen

from ..layers import PICTURE, shown_classes
from .origin import origin_of, raster_of

SIDE_PX = 160
AROUND = 2.5  # side of the picture in longer sides of the object
KEPT_SECONDS = 60.0


class PictureFunction(QgsExpressionFunction):
    """`tilehawk_picture()`: the object of a result layer on its raster, as the address of an image.

    Only rasters in local files are drawn, which takes some milliseconds; the map tip of another has no picture. Empty
    too where there is no raster.
    """

    def __init__(self) -> None:
        super().__init__(PICTURE, 0, "Tilehawk", self._help(), False, False, True)
        self._opened: tuple[str, float, QgsRasterLayer | None] = ("", 0.0, None)

    def func(
        self,
        values: list[object],
        context: QgsExpressionContext,
        parent: QgsExpression,
        node: QgsExpressionNodeFunction,
    ) -> str:
        """Draw the picture of the feature in hand; called by QGIS."""
        layer = QgsProject.instance().mapLayer(str(context.variable("layer_id") or ""))
        raster = self._raster(layer) if isinstance(layer, QgsVectorLayer) else None
        if raster is None or not context.feature().hasGeometry():
            return ""
        try:
            image = object_picture(layer, context.feature(), raster)
        except QgsCsException:
            return ""
        return f"data:image/png;base64,{_png(image)}"

    def usesGeometry(self, node: QgsExpressionNodeFunction) -> bool:
        """Ask for the feature's geometry; called by QGIS."""
        return True

    def close(self) -> None:
        """Let go of the raster that was opened last."""
        self._opened = ("", 0.0, None)

    def _raster(self, layer: QgsVectorLayer) -> QgsRasterLayer | None:
        """Find the layer's raster, remembered for a minute: a file need not be opened for every tip."""
        layer_id, since, raster = self._opened
        try:
            known = layer_id == layer.id() and time.monotonic() - since < KEPT_SECONDS and raster.isValid()
        except (AttributeError, RuntimeError):  # none, or removed from the project since
            known = False
        if not known:
            origin = origin_of(layer)
            raster = raster_of(layer, origin, QgsProject.instance()) if origin is not None else None
            if raster is not None and (raster.providerType() != "gdal" or raster.source().startswith("/vsi")):
                raster = None
            self._opened = (layer.id(), time.monotonic(), raster)
        return raster

    @staticmethod
    def _help() -> str:
        from ..wording import tr

        return tr("Picture of an object of a Tilehawk result, cut out of the raster, as the address of an image.")


def object_picture(layer: QgsVectorLayer, feature: QgsFeature, raster: QgsRasterLayer, side: int = SIDE_PX) -> QImage:
    """Draw an object's surroundings with its box in its class's colour; `side` in px. Raises QgsCsException."""
    to_raster = QgsCoordinateTransform(layer.crs(), raster.crs(), QgsProject.instance().transformContext())
    box = to_raster.transformBoundingBox(feature.geometry().boundingBox())
    half = max(box.width(), box.height()) * AROUND / 2
    middle = box.center()
    view = QgsRectangle(middle.x() - half, middle.y() - half, middle.x() + half, middle.y() + half)
    settings = QgsMapSettings()
    settings.setLayers([raster])
    settings.setDestinationCrs(raster.crs())
    settings.setExtent(view)
    settings.setOutputSize(QSize(side, side))
    image = QImage(side, side, QImage.Format.Format_RGB32)
    image.fill(QColor(128, 128, 128))
    painter = QPainter(image)
    job = QgsMapRendererCustomPainterJob(settings, painter)
    job.renderSynchronously()
    scale = side / (2 * half)
    drawn = QRectF(
        (box.xMinimum() - view.xMinimum()) * scale,
        (view.yMaximum() - box.yMaximum()) * scale,
        box.width() * scale,
        box.height() * scale,
    )
    color, _ = shown_classes(layer).get(str(feature["class"]), (QColor("white"), True))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)  # whole px are crisp
    for pen in (QPen(QColor(0, 0, 0, 150), 4), QPen(color, 2)):
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.drawRect(drawn.toRect())
    painter.end()
    return image


def _png(image: QImage) -> str:
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(data.toBase64()).decode("ascii")
