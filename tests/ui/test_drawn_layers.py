"""Layers as the map shows them: a style or a group becomes a picture with the pixels that one sees."""

import gc

import numpy as np
import pytest
from osgeo import gdal
from qgis.core import (
    QgsContrastEnhancement,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsGroupLayer,
    QgsHillshadeRenderer,
    QgsProcessingContext,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterLayer,
    QgsRectangle,
)
from tilehawk.core.job.errors import InvalidJob, RasterError
from tilehawk.ui.algorithms.fetching import is_online
from tilehawk.ui.algorithms.sources import drawn_source, group_source
from tilehawk.ui.algorithms.views import GROUP, VIEWS, input_raster

from tests.ui.map_server import MapServer
from tests.ui.test_fetching import fetched_source, plan_of_source

CONTEXT = QgsCoordinateTransformContext()
KINDS = {"uint8": gdal.GDT_Byte, "uint16": gdal.GDT_UInt16, "float32": gdal.GDT_Float32}
LEFT, TOP, PIXEL = 480000.0, 3760000.0, 2.0


@pytest.fixture(autouse=True)
def nothing_left():
    """Errors keep their frames, and those the layers, which must not outlive QGIS."""
    yield
    QgsProject.instance().clear()
    gc.collect()


def layer_of(path, values, column=0, crs="EPSG:26911", pixel=PIXEL):
    """Write (bands, rows, columns) as a GeoTIFF, `column` pixels right of the corner, and load it."""
    bands, rows, columns = values.shape
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), columns, rows, bands, KINDS[values.dtype.name])
    dataset.SetGeoTransform((LEFT + column * pixel, pixel, 0, TOP, 0, -pixel))
    dataset.SetProjection(QgsCoordinateReferenceSystem(crs).toWkt())
    dataset.WriteArray(values)
    dataset.FlushCache()
    layer = QgsRasterLayer(str(path), path.stem)
    QgsProject.instance().addMapLayer(layer, False)
    return layer


def colours(level, rows=40, columns=60):
    return np.broadcast_to(np.array(level, np.uint8)[:, None, None], (3, rows, columns)).copy()


def grouped(name, *layers):
    """Put layers into a group of the project, the first on top."""
    group = QgsProject.instance().layerTreeRoot().addGroup(name)
    for layer in layers:
        group.addLayer(layer)
    return group


def drawn(source, tmp_path):
    """Fetch all of a source: red, green, blue and alpha."""
    outcome = fetched_source(source, plan_of_source(source, source.provider.extent(), None), tmp_path)
    return gdal.Open(outcome.path)


def test_a_plain_picture_is_drawn_as_it_is(tmp_path):
    values = np.random.default_rng(2).integers(0, 256, (3, 40, 60)).astype(np.uint8)
    layer = layer_of(tmp_path / "plain.tif", values)
    here = drawn(drawn_source(layer, CONTEXT), tmp_path)
    assert here.GetGeoTransform() == (LEFT, PIXEL, 0, TOP, 0, -PIXEL)
    assert (here.ReadAsArray()[:3] == values).all()
    assert (here.ReadAsArray()[3] == 255).all()


def test_the_stretch_of_16_bit_is_drawn(tmp_path):
    values = np.linspace(200, 1200, 3 * 40 * 60).reshape(3, 40, 60).astype(np.uint16)
    layer = layer_of(tmp_path / "deep.tif", values)
    layer.setContrastEnhancement(QgsContrastEnhancement.ContrastEnhancementAlgorithm.StretchToMinimumMaximum)
    renderer = layer.renderer()
    for enhancement in (
        renderer.redContrastEnhancement(),
        renderer.greenContrastEnhancement(),
        renderer.blueContrastEnhancement(),
    ):
        enhancement.setMinimumValue(200)
        enhancement.setMaximumValue(1200)
    here = drawn(drawn_source(layer, CONTEXT), tmp_path).ReadAsArray()[:3]
    assert np.abs(here - (values - 200.0) / 1000 * 255).max() <= 1


def test_a_hillshade_is_drawn_and_its_style_is_a_copy(tmp_path):
    slope = np.broadcast_to(np.arange(60, dtype=np.float32) * 2, (1, 40, 60)).copy()
    layer = layer_of(tmp_path / "heights.tif", slope)
    layer.setRenderer(QgsHillshadeRenderer(layer.dataProvider(), 1, 270, 45))
    source = drawn_source(layer, CONTEXT)
    layer.setRenderer(QgsHillshadeRenderer(layer.dataProvider(), 1, 90, 45))
    here = drawn(source, tmp_path).ReadAsArray()
    lit = here[0, 5:35, 5:55]
    assert (here[0] == here[1]).all()
    assert lit.min() == lit.max() > 200


def test_a_group_is_one_picture_on_the_pixels_of_its_finest(tmp_path):
    left = layer_of(tmp_path / "left.tif", colours((200, 10, 10)))
    right = layer_of(tmp_path / "right.tif", colours((10, 200, 10), rows=80, columns=60), column=110, pixel=1.0)
    grouped("mosaic", left, right)
    source = group_source(left, QgsProject.instance(), CONTEXT)
    assert source.name == "mosaic"
    assert source.pixel == 1.0
    here = drawn(source, tmp_path)
    assert here.GetGeoTransform() == (LEFT, 1.0, 0, TOP, 0, -1.0)
    values = here.ReadAsArray()
    assert values.shape == (4, 80, 170)
    assert (values[:, :, :120] == np.array([200, 10, 10, 255])[:, None, None]).all()  # left is on top
    assert (values[:, :, 120:] == np.array([10, 200, 10, 255])[:, None, None]).all()


def test_ground_that_no_layer_covers_is_transparent(tmp_path):
    left = layer_of(tmp_path / "left.tif", colours((200, 10, 10), rows=20))
    right = layer_of(tmp_path / "right.tif", colours((10, 200, 10)), column=60)
    grouped("mosaic", left, right)
    alpha = drawn(group_source(right, QgsProject.instance(), CONTEXT), tmp_path).ReadAsArray()[3]
    assert not alpha[20:, :60].any()
    assert alpha[:20].all()
    assert alpha[:, 60:].all()


def test_a_layer_of_other_coordinates_is_brought_into_the_chosen_ones(tmp_path):
    here = layer_of(tmp_path / "here.tif", colours((200, 10, 10)))
    other = layer_of(tmp_path / "other.tif", colours((10, 200, 10)), crs="EPSG:26911")
    gdal.Warp(str(tmp_path / "degrees.tif"), str(tmp_path / "other.tif"), dstSRS="EPSG:4326")
    degrees = QgsRasterLayer(str(tmp_path / "degrees.tif"), "degrees")
    QgsProject.instance().addMapLayer(degrees, False)
    grouped("mosaic", degrees, here)
    assert other.isValid()
    source = group_source(here, QgsProject.instance(), CONTEXT)
    assert source.crs.authid() == "EPSG:26911"
    block = source.provider.block(
        1, QgsRectangle(LEFT + 20, TOP - 60, LEFT + 100, TOP - 20), 40, 20, QgsRasterBlockFeedback()
    )
    assert block.image().pixelColor(20, 10).getRgb()[:3] == (10, 200, 10)


def test_only_what_is_switched_on_is_drawn(tmp_path):
    top = layer_of(tmp_path / "top.tif", colours((200, 10, 10)))
    below = layer_of(tmp_path / "below.tif", colours((10, 200, 10)))
    group = grouped("views", top, below)
    group.findLayer(top.id()).setItemVisibilityChecked(False)
    source = group_source(top, QgsProject.instance(), CONTEXT)
    assert (drawn(source, tmp_path).ReadAsArray()[1] == 200).all()
    group.findLayer(below.id()).setItemVisibilityChecked(False)
    with pytest.raises(RasterError, match="No raster of the group 'views' is switched on"):
        group_source(top, QgsProject.instance(), CONTEXT)


def test_a_layer_in_no_group_is_refused(tmp_path):
    alone = layer_of(tmp_path / "alone.tif", colours((200, 10, 10)))
    QgsProject.instance().layerTreeRoot().addLayer(alone)
    with pytest.raises(RasterError, match="'alone' is in no group"):
        group_source(alone, QgsProject.instance(), CONTEXT)


def test_a_server_in_a_group_is_asked_slowly_and_its_gaps_are_missing(tmp_path):
    layer_of(tmp_path / "served.tif", colours((200, 10, 10)))
    server = MapServer(tmp_path / "served.tif")
    web = QgsRasterLayer(server.wms_uri(), "web", "wms")
    QgsProject.instance().addMapLayer(web, False)
    file = layer_of(tmp_path / "right.tif", colours((10, 200, 10)), column=60)
    grouped("mosaic", web, file)
    source = group_source(file, QgsProject.instance(), CONTEXT)
    assert is_online(source.provider)
    server.close()
    with pytest.raises(RasterError, match="cannot be reached"):
        drawn(source, tmp_path)


class TestChoosing:
    """What INPUT and VIEW make of each other."""

    def taken(self, algorithm, **values):
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        _, sentence = algorithm.checkParameterValues({"OUTPUT": "x.gpkg", **values}, context)
        assert "INPUT" not in sentence, sentence
        return input_raster(algorithm, values, context)

    def test_a_file_is_its_path_unless_asked_for_as_shown(self, algorithm, tmp_path):
        layer = layer_of(tmp_path / "file.tif", colours((1, 2, 3)))
        assert self.taken(algorithm, INPUT=layer.id()).provider is None
        shown = self.taken(algorithm, INPUT=layer.id(), VIEW=1)
        assert shown.provider is not None
        assert shown.place != self.taken(algorithm, INPUT=layer.id(), VIEW=0).place

    def test_a_group_is_chosen_by_any_of_its_rasters(self, algorithm, tmp_path):
        left = layer_of(tmp_path / "left.tif", colours((200, 10, 10)))
        right = layer_of(tmp_path / "right.tif", colours((10, 200, 10)), column=60)
        group = grouped("mosaic", left, right)
        source = self.taken(algorithm, INPUT=left.id(), VIEW=VIEWS.index(GROUP))
        assert source.name == "mosaic"
        assert source.extent.width() == 240
        group.convertToGroupLayer(QgsGroupLayer.LayerOptions(CONTEXT))  # 'Render layers as a group'
        assert self.taken(algorithm, INPUT=right.id(), VIEW=VIEWS.index(GROUP)).place == source.place

    def test_bands_are_refused_where_none_are_looked_at(self, algorithm, tmp_path):
        layer = layer_of(tmp_path / "file.tif", colours((1, 2, 3)))
        with pytest.raises(InvalidJob, match="'Bands' counts for the layer's own pixels"):
            self.taken(algorithm, INPUT=layer.id(), VIEW=1, BANDS=[1, 2, 3])
