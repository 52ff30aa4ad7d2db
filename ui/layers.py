"""How result layers look on the map, for the project and for scripts that draw maps."""

from __future__ import annotations

import math

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsLinePatternFillSymbolLayer,
    QgsPalLayerSettings,
    QgsRendererCategory,
    QgsSimpleFillSymbolLayer,
    QgsSingleSymbolRenderer,
    QgsSymbolLayer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor

from ..core.job.card import ModelCard
from .wording import tr

FILL_ALPHA = 40
CASING = QColor(0, 0, 0, 150)
OUTLINE_MM = 0.35
CASING_MM = 0.75
LABELLED_MM = 1.5  # labels appear once the smallest objects are this large on the map
LABEL_SCALE = 5000.0  # where the model does not say how large a pixel is


def style_detections(layer: QgsVectorLayer, card: ModelCard, threshold: float | None = None) -> None:
    """Style boxes by class in the card's colours, label them, and show those at or above the threshold.

    `threshold` None takes the card's. The layer stays whole: moving `set_threshold` shows more or fewer.
    """
    set_threshold(layer, card.threshold if threshold is None else threshold)
    categories = [QgsRendererCategory(known.name, _box_symbol(known.color), known.name) for known in card.classes]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    layer.setLabeling(QgsVectorLayerSimpleLabeling(_labels(card)))
    layer.setLabelsEnabled(True)
    area = "box_area_m2" if layer.fields().indexFromName("box_area_m2") >= 0 else "area_m2"  # as in a Shapefile
    aliases = {
        "id": tr("Number"),
        "class": tr("Class"),
        "score": tr("Confidence"),
        area: tr("Area of the box (m²)"),
    }
    for name, alias in aliases.items():
        index = layer.fields().indexFromName(name)
        if index >= 0:
            layer.setFieldAlias(index, alias)
    layer.setDisplayExpression('"class" || \' \' || format_number("score", 2)')
    layer.setMapTipTemplate(
        '<b>[% "class" %]</b><br>'
        f'{tr("Confidence")} [% format_number("score", 2) %]<br>'
        f'[% format_number("{area}", 1) %] m²'
    )
    layer.triggerRepaint()


def set_threshold(layer: QgsVectorLayer, threshold: float) -> None:
    """Show the boxes at or above a confidence; the others stay in the file. One repaint, no new run."""
    layer.setSubsetString(f'"score" >= {threshold:.4g}')


def style_not_examined(layer: QgsVectorLayer) -> None:
    """Hatch the ground that was not looked at."""
    hatch = QgsLinePatternFillSymbolLayer()
    hatch.setLineAngle(45)
    hatch.setDistance(3)
    hatch.setColor(QColor(230, 230, 230, 160))
    hatch.setLineWidth(0.2)
    edge = QgsSimpleFillSymbolLayer(
        QColor(0, 0, 0, 0), Qt.BrushStyle.NoBrush, QColor(230, 230, 230, 200), Qt.PenStyle.DashLine, 0.3
    )
    layer.setRenderer(QgsSingleSymbolRenderer(_symbol(hatch, edge)))
    layer.setMapTipTemplate(f'<b>{tr("Not examined")}</b><br>[% "reason" %]')
    layer.triggerRepaint()


def _box_symbol(color: str) -> QgsFillSymbol:
    """Draw a translucent box with a thin bright outline on a dark casing, to be seen on any ground."""
    fill, line = QColor(color), QColor(color)
    fill.setAlpha(FILL_ALPHA)
    join = Qt.PenJoinStyle.MiterJoin
    casing = QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.SolidPattern, CASING, Qt.PenStyle.SolidLine, CASING_MM, join)
    outline = QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.NoBrush, line, Qt.PenStyle.SolidLine, OUTLINE_MM, join)
    return _symbol(casing, outline)


def _symbol(lower: QgsSymbolLayer, upper: QgsSymbolLayer) -> QgsFillSymbol:
    symbol = QgsFillSymbol()  # a list of layers in its constructor would be deleted by Python while in use
    symbol.changeSymbolLayer(0, lower)
    symbol.appendSymbolLayer(upper)
    return symbol


def _labels(card: ModelCard) -> QgsPalLayerSettings:
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor(0, 0, 0, 190))
    text = QgsTextFormat()
    text.setSize(8)
    text.setColor(QColor(255, 255, 255))
    text.setBuffer(halo)
    settings = QgsPalLayerSettings()
    settings.setFormat(text)
    settings.fieldName = '"class" || \' \' || format_number("score", 2)'
    settings.isExpression = True
    settings.placement = Qgis.LabelPlacement.OutsidePolygons
    settings.scaleVisibility = True
    settings.minimumScale = label_scale(card)
    return settings


def label_scale(card: ModelCard) -> float:
    """Denominator of the smallest map scale with labels: the model's smallest objects are then 1.5 mm large."""
    if card.resolution_m is None:
        return LABEL_SCALE
    denominator = min(card.architecture.anchor_sizes) * card.resolution_m / (LABELLED_MM / 1000)
    step = 10.0 ** (math.floor(math.log10(denominator)) - 1)
    return round(denominator / step) * step
