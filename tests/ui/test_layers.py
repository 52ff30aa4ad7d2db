"""How results look: classes in the card's colours, labels, and a threshold that is only a filter."""

import shutil
from dataclasses import replace

import pytest
from qgis.core import QgsExpression, QgsExpressionContext, QgsMapRendererParallelJob, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
from tilehawk.ui.layers import (
    PALETTE,
    add_class,
    label_scale,
    set_threshold,
    show_class,
    show_points,
    shown_classes,
    style_detections,
    style_not_examined,
)

from tests.ui.scenery import CARD


@pytest.fixture
def layer(result, tmp_path):
    copy = shutil.copy(result, tmp_path / "found.gpkg")
    return QgsVectorLayer(f"{copy}|layername=detections", "found")


def test_classes_in_the_cards_colours(layer):
    style_detections(layer, CARD)
    renderer = layer.renderer()
    assert renderer.classAttribute() == "class"
    assert [category.value() for category in renderer.categories()] == ["pool", "tree"]
    for category, known in zip(renderer.categories(), CARD.classes, strict=True):
        casing, outline = category.symbol().symbolLayers()
        assert outline.strokeColor() == QColor(known.color)
        assert outline.strokeWidth() < casing.strokeWidth()
        assert 0 < casing.fillColor().alpha() < 128


def test_threshold_is_a_filter_that_moves(layer):
    style_detections(layer, CARD)
    assert layer.subsetString() == '"score" >= 0.4'
    assert layer.featureCount() == 3
    set_threshold(layer, 0.55)
    assert layer.featureCount() == 2
    set_threshold(layer, 0.0)
    assert layer.featureCount() == 5


def test_labels_aliases_and_map_tip(layer):
    style_detections(layer, CARD, 0.5)
    assert layer.subsetString() == '"score" >= 0.5'
    assert layer.labelsEnabled()
    labels = layer.labeling().settings()
    assert labels.isExpression
    assert labels.format().buffer().enabled()
    assert labels.scaleVisibility
    assert labels.minimumScale == label_scale(CARD)
    aliases = {field.name(): field.alias() for field in layer.fields()}
    assert aliases["score"] == "Confidence"
    assert "Area" in aliases["box_area_m2"]
    assert '"class"' in layer.mapTipTemplate()


def test_label_scale_follows_the_size_of_objects():
    """32 px anchors of 0.6 m are 19.2 m, which are 1.5 mm at 1:12,800, in two digits 1:13,000."""
    assert label_scale(CARD) == pytest.approx(13_000)
    coarse = replace(CARD, resolution_m=10.0)
    assert label_scale(coarse) == pytest.approx(210_000)
    assert label_scale(replace(CARD, resolution_m=None)) == 5_000


def test_boxes_are_drawn_in_their_colour(layer):
    style_detections(layer, CARD)
    settings = QgsMapSettings()
    settings.setLayers([layer])
    settings.setDestinationCrs(layer.crs())
    settings.setExtent(layer.extent().buffered(3))
    settings.setOutputSize(QSize(400, 200))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    colors = {image.pixelColor(x, y).name() for x in range(400) for y in range(200)}
    assert CARD.classes[0].color in colors  # of an object with a score of .9
    assert CARD.classes[1].color not in colors  # the only tree scores .5: it is fainter


def test_ground_not_examined_is_hatched(layer):
    unseen = QgsVectorLayer(layer.source().replace("detections", "not_examined"), "unseen")
    style_not_examined(unseen)
    kinds = [symbol.layerType() for symbol in unseen.renderer().symbol().symbolLayers()]
    assert kinds == ["SimpleFill", "LinePatternFill", "LinePatternFill"]
    assert "reason" in unseen.mapTipTemplate()


def test_layers_without_a_model_take_colours_of_the_palette(layer):
    style_detections(layer, None)
    assert layer.subsetString() == '"score" >= 0'
    assert {name: color.name() for name, (color, _) in shown_classes(layer).items()} == {
        "pool": PALETTE[0],
        "tree": PALETTE[1],
    }


def test_points_and_boxes_keep_colours_and_what_is_switched_off(layer):
    style_detections(layer, CARD)
    show_class(layer, "tree", False)
    before = shown_classes(layer)
    assert [visible for _, visible in before.values()] == [True, False]
    show_points(layer, True)
    assert layer.renderer().categories()[0].symbol().symbolLayer(0).layerType() == "CentroidFill"
    assert shown_classes(layer) == before
    show_points(layer, False)
    assert shown_classes(layer) == before
    assert len(layer.renderer().categories()[0].symbol().symbolLayers()) == 2


def test_a_class_of_a_review_gets_a_colour_once(layer):
    style_detections(layer, CARD)
    add_class(layer, "tub")
    add_class(layer, "tub")
    assert list(shown_classes(layer)) == ["pool", "tree", "tub"]
    colors = [color.name() for color, _ in shown_classes(layer).values()]
    assert len(set(colors)) == 3


def test_a_label_names_class_and_score(layer):
    for card in (CARD, replace(CARD, classes=CARD.classes[:1])):
        style_detections(layer, card)
        feature = next(layer.getFeatures())
        context = QgsExpressionContext()
        context.setFeature(feature)
        label = QgsExpression(layer.labeling().settings().fieldName).evaluate(context)
        assert label == f"{feature['class']} {feature['score']:.2f}"
