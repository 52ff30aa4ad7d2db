"""How result layers look on the map, for the project and for scripts that draw maps."""

from __future__ import annotations

import math

from qgis.core import (
    Qgis,
    QgsCategorizedSymbolRenderer,
    QgsCentroidFillSymbolLayer,
    QgsFillSymbol,
    QgsLinePatternFillSymbolLayer,
    QgsMarkerSymbol,
    QgsPalLayerSettings,
    QgsProperty,
    QgsRendererCategory,
    QgsSimpleFillSymbolLayer,
    QgsSimpleMarkerSymbolLayer,
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
from .wording import class_name, tr

FILL_ALPHA = 40
CASING_ALPHA = 150
OUTLINE_MM = 0.35
CASING_MM = 0.75
POINT_MM = 2.6
FAINTEST = 0.35  # opacity of an object without any confidence; from SURE on it is whole
SURE = 0.9
LABELLED_MM = 1.5  # labels appear once the smallest objects are this large on the map
LABEL_SCALE = 5000.0  # where the model does not say how large a pixel is
PALETTE = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#d55e00", "#0072b2")  # Okabe and Ito 2008
NAMED = """"class" || coalesce(' ' || format_number("score", 2), '')"""
POINTS_PROPERTY = "tilehawk/points"
PICTURE = "tilehawk_picture"  # expression function that cuts the object out of the raster
STRENGTH = (
    "CASE WHEN attribute('review') IN ('accepted', 'changed', 'drawn') THEN 1 "
    f'ELSE coalesce(scale_linear("score", 0, {SURE}, {FAINTEST}, 1), 1) END'
)


def style_detections(layer: QgsVectorLayer, card: ModelCard | None, threshold: float | None = None) -> None:
    """Style boxes by class in the card's colours, label them, and show those at or above the threshold.

    `card` None, or a class that it does not know: colours of a palette safe for the colour-blind. `threshold` None
    takes the card's. The layer stays whole: moving `set_threshold` shows more or fewer.
    """
    if threshold is None:
        threshold = 0.0 if card is None else card.threshold
    set_threshold(layer, threshold)
    colors = class_colors(layer, card)
    categories = [QgsRendererCategory(name, _box_symbol(color), class_name(name)) for name, color in colors.items()]
    layer.setRenderer(QgsCategorizedSymbolRenderer("class", categories))
    layer.setLabeling(QgsVectorLayerSimpleLabeling(_labels(card)))
    layer.setLabelsEnabled(True)
    area = "box_area_m2" if layer.fields().indexFromName("box_area_m2") >= 0 else "area_m2"  # as in a Shapefile
    aliases = {
        "id": tr("Number"),
        "class": tr("Class"),
        "score": tr("Confidence"),
        area: tr("Area of the box (m²)"),
        "review": tr("Review"),
    }
    for name, alias in aliases.items():
        index = layer.fields().indexFromName(name)
        if index >= 0:
            layer.setFieldAlias(index, alias)
    layer.setDisplayExpression(NAMED)
    layer.setMapTipTemplate(map_tip(area))
    layer.triggerRepaint()


def set_threshold(layer: QgsVectorLayer, threshold: float) -> None:
    """Show the boxes at or above a confidence; the others stay in the file. One repaint, no new run."""
    layer.setSubsetString(f'"score" >= {threshold:.4g}')


def class_colors(layer: QgsVectorLayer, card: ModelCard | None) -> dict[str, str]:
    """Colours by class: those of the card; without one, of the classes that the layer shows, from the palette."""
    colors = {} if card is None else {known.name: known.color for known in card.classes}
    if card is None:
        found = layer.uniqueValues(layer.fields().indexFromName("class"))
        for place, name in enumerate(sorted(str(value) for value in found if value)):
            colors[name] = PALETTE[place % len(PALETTE)]
    return colors


def add_class(layer: QgsVectorLayer, name: str) -> None:
    """Give a class that has come up in a review a colour of its own, unless it has one."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer) or renderer.categoryIndexForValue(name) >= 0:
        return
    changed = renderer.clone()
    symbol = _point_symbol if shows_points(layer) else _box_symbol
    color = PALETTE[len(changed.categories()) % len(PALETTE)]
    changed.addCategory(QgsRendererCategory(name, symbol(color), class_name(name)))
    layer.setRenderer(changed)
    layer.emitStyleChanged()
    layer.triggerRepaint()


def shown_classes(layer: QgsVectorLayer) -> dict[str, tuple[QColor, bool]]:
    """Classes in the order of the legend, each with its colour and whether it is switched on."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer):
        return {}
    return {
        str(category.value()): (_color_of(category.symbol()), category.renderState())
        for category in renderer.categories()
        if category.value() not in (None, "")
    }


def show_class(layer: QgsVectorLayer, name: str, visible: bool) -> None:
    """Switch a class on or off, as its box in the legend does."""
    renderer = layer.renderer()
    index = renderer.categoryIndexForValue(name) if isinstance(renderer, QgsCategorizedSymbolRenderer) else -1
    if index < 0 or renderer.categories()[index].renderState() == visible:
        return
    changed = renderer.clone()
    changed.updateCategoryRenderState(index, visible)
    layer.setRenderer(changed)
    layer.emitStyleChanged()
    layer.triggerRepaint()


def shows_points(layer: QgsVectorLayer) -> bool:
    """Tell whether a layer is drawn as centre points."""
    return bool(layer.customProperty(POINTS_PROPERTY, False))


def show_points(layer: QgsVectorLayer, points: bool) -> None:
    """Draw centre points instead of boxes, or boxes again; what is switched off stays so."""
    renderer = layer.renderer()
    if not isinstance(renderer, QgsCategorizedSymbolRenderer) or points == shows_points(layer):
        return
    changed = renderer.clone()
    for index, category in enumerate(renderer.categories()):
        color = _color_of(category.symbol()).name()
        changed.updateCategorySymbol(index, _point_symbol(color) if points else _box_symbol(color))
    layer.setCustomProperty(POINTS_PROPERTY, points)
    layer.setRenderer(changed)
    layer.emitStyleChanged()
    layer.triggerRepaint()


def map_tip(area_field: str) -> str:
    """HTML for the pointer resting on an object: its picture, and what is known of it."""
    return (
        f'<img src="[% {PICTURE}() %]" style="border-radius:3px"><br>'
        '<b>[% "class" %]</b>'
        "[% CASE WHEN attribute('review') <> '' THEN ' (' || attribute('review') || ')' ELSE '' END %]<br>"
        f"{tr('Confidence')} [% coalesce(format_number(\"score\", 2), '–') %]<br>"
        f"[% coalesce(format_number(\"{area_field}\", 1), '–') %] m²"
    )


def style_not_examined(layer: QgsVectorLayer) -> None:
    """Darken and hatch the ground that was not looked at, light on dark, to be seen on any map."""
    light = QColor(245, 245, 245, 220)
    veil = QgsSimpleFillSymbolLayer(
        QColor(40, 40, 40, 90), Qt.BrushStyle.SolidPattern, light, Qt.PenStyle.DashLine, OUTLINE_MM
    )
    symbol = _symbol(veil, _hatch(QColor(30, 30, 30, 150), 2 * OUTLINE_MM))
    symbol.appendSymbolLayer(_hatch(light, OUTLINE_MM))
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    layer.setMapTipTemplate(f'<b>{tr("Not examined")}</b><br>[% "reason" %]')
    layer.triggerRepaint()


def _hatch(color: QColor, width_mm: float) -> QgsLinePatternFillSymbolLayer:
    hatch = QgsLinePatternFillSymbolLayer()
    hatch.setLineAngle(45)
    hatch.setDistance(3)
    hatch.setColor(color)
    hatch.setLineWidth(width_mm)
    return hatch


def _box_symbol(color: str) -> QgsFillSymbol:
    """Draw a translucent box with a thin bright outline on a dark casing, fainter the less sure the model is."""
    fill, line = QColor(color), QColor(color)
    fill.setAlpha(FILL_ALPHA)
    dark = QColor(0, 0, 0, CASING_ALPHA)
    join = Qt.PenJoinStyle.MiterJoin
    casing = QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.SolidPattern, dark, Qt.PenStyle.SolidLine, CASING_MM, join)
    outline = QgsSimpleFillSymbolLayer(fill, Qt.BrushStyle.NoBrush, line, Qt.PenStyle.SolidLine, OUTLINE_MM, join)
    _fade(casing, QgsSymbolLayer.Property.PropertyFillColor, fill)
    _fade(casing, QgsSymbolLayer.Property.PropertyStrokeColor, dark)
    _fade(outline, QgsSymbolLayer.Property.PropertyStrokeColor, line)
    return _symbol(casing, outline)


def _point_symbol(color: str) -> QgsFillSymbol:
    """Draw a dot at the middle of a box, with a dark rim."""
    dot = QgsSimpleMarkerSymbolLayer(Qgis.MarkerShape.Circle, POINT_MM)
    fill, dark = QColor(color), QColor(0, 0, 0, CASING_ALPHA)
    dot.setColor(fill)
    dot.setStrokeColor(dark)
    dot.setStrokeWidth(OUTLINE_MM)
    _fade(dot, QgsSymbolLayer.Property.PropertyFillColor, fill)
    _fade(dot, QgsSymbolLayer.Property.PropertyStrokeColor, dark)
    marker = QgsMarkerSymbol()
    marker.changeSymbolLayer(0, dot)
    centre = QgsCentroidFillSymbolLayer()
    centre.setSubSymbol(marker)
    symbol = QgsFillSymbol()
    symbol.changeSymbolLayer(0, centre)
    return symbol


def _fade(layer: QgsSymbolLayer, part: QgsSymbolLayer.Property, color: QColor) -> None:
    """Let a colour's opacity follow the confidence; what a person has rejected is grey."""
    expression = (
        f"CASE WHEN attribute('review') = 'rejected' THEN color_rgba(150, 150, 150, {color.alpha() // 2}) "
        f"ELSE color_rgba({color.red()}, {color.green()}, {color.blue()}, {color.alpha()} * ({STRENGTH})) END"
    )
    layer.setDataDefinedProperty(part, QgsProperty.fromExpression(expression))


def _color_of(symbol: QgsFillSymbol) -> QColor:
    """Colour of a class, as `_box_symbol` or `_point_symbol` have drawn it, or a user since."""
    last = symbol.symbolLayer(symbol.symbolLayerCount() - 1)
    if isinstance(last, QgsCentroidFillSymbolLayer):
        return last.subSymbol().color()
    drawn = last.strokeColor() if last.strokeColor().isValid() else symbol.color()
    return QColor(drawn.name())


def _symbol(lower: QgsSymbolLayer, upper: QgsSymbolLayer) -> QgsFillSymbol:
    symbol = QgsFillSymbol()  # a list of layers in its constructor would be deleted by Python while in use
    symbol.changeSymbolLayer(0, lower)
    symbol.appendSymbolLayer(upper)
    return symbol


def _labels(card: ModelCard | None) -> QgsPalLayerSettings:
    """Label objects that are large enough on the map with their class and score."""
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
    settings.fieldName = NAMED
    settings.isExpression = True
    settings.placement = Qgis.LabelPlacement.OutsidePolygons
    settings.scaleVisibility = True
    settings.minimumScale = label_scale(card)
    return settings


def label_scale(card: ModelCard | None) -> float:
    """Denominator of the smallest map scale with labels: the model's smallest objects are then 1.5 mm large."""
    if card is None or card.resolution_m is None:
        return LABEL_SCALE
    denominator = min(card.architecture.anchor_sizes) * card.resolution_m / (LABELLED_MM / 1000)
    step = 10.0 ** (math.floor(math.log10(denominator)) - 1)
    return round(denominator / step) * step
