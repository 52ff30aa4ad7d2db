"""What a result layer tells of itself: its run, its raster, its counts, and pictures of its objects."""

import base64

import pytest
from qgis.core import (
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QImage
from tilehawk.core.job.errors import OutputError
from tilehawk.ui.background import Work, start_work
from tilehawk.ui.layers import PICTURE
from tilehawk.ui.results.counting import counting, whole_source
from tilehawk.ui.results.origin import origin_of, raster_of
from tilehawk.ui.results.picture import PictureFunction

from tests.ui.scenery import CARD, CRS, wait_until


def counted(layer, *limits):
    values, problems = [], []
    work = Work("counting", counting(layer, "box_area_m2", *(limits or (None, None))))
    work.done.connect(values.append)
    work.failed.connect(problems.append)
    start_work(work)
    wait_until(lambda: values or problems)
    assert problems == []
    return values[0]


def test_run_model_and_raster_come_from_the_metadata(found, raster_layer, raster):
    origin = origin_of(found)
    assert (origin.threshold, origin.raster, origin.area_field) == (0.4, raster, "box_area_m2")
    assert origin.card() == CARD
    assert raster_of(found, origin, QgsProject.instance()) is raster_layer


def test_raster_is_opened_where_the_project_has_it_no_longer(found, raster_layer):
    QgsProject.instance().removeMapLayer(raster_layer)
    assert raster_of(found, origin_of(found), QgsProject.instance()).isValid()


def test_other_layers_are_no_results(raster_layer, zones):
    assert origin_of(None) is None
    assert origin_of(raster_layer) is None
    assert origin_of(zones) is None


def test_a_layer_is_counted_whole_whatever_its_filter_shows(found):
    found.setSubsetString('"score" >= 0.95')
    figures = counted(found)
    assert {name: count for name, (count, _) in figures.at(0.4).items()} == {"pool": 2, "tree": 1}
    assert {name: count for name, (count, _) in figures.at(0.0).items()} == {"pool": 3, "tree": 2}
    assert figures.at(0.4)["pool"][1] == pytest.approx(2 * 51.84)
    assert figures.largest_m2 == 51.84
    assert found.subsetString() == '"score" >= 0.95'


def test_not_examined_ground_is_measured(found):
    """Two squares of 7.2 m; the ground is .05 % off UTM's grid at most."""
    assert counted(found).not_examined_m2 == pytest.approx(2 * 7.2 * 7.2, rel=2e-3)


def test_limits_of_size(found):
    assert counted(found, 60.0, None).at(0.0) == {}
    assert counted(found, None, 60.0).at(0.0)["pool"][0] == 3


def test_a_layer_that_is_gone_is_a_sentence(found):
    found.setDataSource(whole_source(found).replace("found", "lost"), "found", "ogr")
    with pytest.raises(OutputError, match="cannot be read"):
        counting(found, None, None, None)


@pytest.fixture
def function():
    function = PictureFunction()
    QgsExpression.registerFunction(function)
    yield function
    QgsExpression.unregisterFunction(PICTURE)


def tip(layer):
    context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
    context.setFeature(next(layer.getFeatures()))
    return QgsExpression.replaceExpressionText(layer.mapTipTemplate(), context)


def test_map_tip_shows_the_object_on_its_raster(found, function):
    text = tip(found)
    assert "<b>pool</b>" in text
    assert "0.90" in text
    assert "51.8 m²" in text
    image = QImage()
    assert image.loadFromData(base64.b64decode(text.split("base64,")[1].split('"')[0]))
    assert image.pixelColor(150, 150).getRgb()[:3] == (60, 120, 180)  # the raster's bands
    colors = {image.pixelColor(x, image.height() // 2).name() for x in range(image.width())}
    assert CARD.classes[0].color in colors


def test_map_tip_without_raster_has_no_picture(found, raster_layer, function, tmp_path):
    QgsProject.instance().removeMapLayer(raster_layer)
    (tmp_path / "suburb.tif").unlink()
    assert 'src=""' in tip(found)
    assert "0.90" in tip(found)


def test_map_tip_of_a_layer_elsewhere_is_projected(found, function, tmp_path):
    from qgis.core import QgsCoordinateReferenceSystem, QgsVectorFileWriter

    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "detections"
    project = QgsProject.instance()
    from qgis.core import QgsCoordinateTransform

    options.ct = QgsCoordinateTransform(found.crs(), QgsCoordinateReferenceSystem("EPSG:4326"), project)
    target = str(tmp_path / "degrees.gpkg")
    QgsVectorFileWriter.writeAsVectorFormatV3(found, target, project.transformContext(), options)
    layer = QgsVectorLayer(f"{target}|layername=detections", "degrees")
    layer.setMetadata(found.metadata())
    project.addMapLayer(layer)
    layer.setMapTipTemplate(found.mapTipTemplate())
    assert QgsRasterLayer(origin_of(layer).raster).crs().authid() == CRS
    assert "base64," in tip(layer)
