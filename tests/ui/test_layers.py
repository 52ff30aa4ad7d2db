"""How results look: classes in the card's colours, labels, and a threshold that is only a filter."""

import shutil
from dataclasses import replace

import pytest
from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor
from tilehawk.ui.layers import label_scale, set_threshold, style_detections, style_not_examined

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
    assert {known.color for known in CARD.classes} <= colors


def test_ground_not_examined_is_hatched(layer):
    unseen = QgsVectorLayer(layer.source().replace("detections", "not_examined"), "unseen")
    style_not_examined(unseen)
    assert unseen.renderer().symbol().symbolLayer(0).layerType() == "LinePatternFill"
    assert "reason" in unseen.mapTipTemplate()
