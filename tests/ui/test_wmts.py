"""WMTS: the tiles' own pixels are fetched, wherever the layer says it ends, and what is not there is missing."""

import gc

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
)
from tilehawk.core.job.errors import RasterError
from tilehawk.ui.algorithms import fetching
from tilehawk.ui.algorithms.sources import drawn_source, raster_source

from tests.ui.map_server import WMTS_TILE_PX, MapServer
from tests.ui.test_fetching import fetched, fetched_source, plan_of, plan_of_source
from tests.ui.tiles import write_tiled_raster

ZOOM, SIDE_PX = 18, 512


@pytest.fixture(autouse=True)
def nothing_left():
    """Errors keep their frames, and those the layers, which must not outlive QGIS."""
    yield
    QgsProject.instance().clear()
    gc.collect()


@pytest.fixture(scope="module")
def mercator_file(tmp_path_factory):
    return write_tiled_raster(tmp_path_factory.mktemp("mercator") / "noise.tif", 2, ZOOM, 45000, 104000)


@pytest.fixture(scope="module")
def degrees_file(mercator_file, tmp_path_factory):
    """The same pixels as if they were of EPSG:4326, whose first axis is north."""
    path = tmp_path_factory.mktemp("degrees") / "noise.tif"
    left, top, side = -118.200013, 34.810021, SIDE_PX * 5e-6
    corners = [left, top, left + side, top - side]
    gdal.Translate(str(path), str(mercator_file), outputSRS="EPSG:4326", outputBounds=corners)
    return path


@pytest.fixture(params=["mercator_file", "degrees_file"])
def served_file(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def server_of(monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_SECONDS", (0.02, 0.02))
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1e9)
    servers = []

    def serve(path):
        servers.append(MapServer(path))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def server(server_of, served_file):
    return server_of(served_file)


def layer_of(server):
    layer = QgsRasterLayer(server.wmts_uri(), "web", "wms")
    assert layer.isValid()
    return layer


def inner_plan(layer, served_file, coarser=1.0):
    """Plan to fetch the middle of the file, a quarter of four tiles each, for its pixels or coarser ones."""
    extent = QgsRasterLayer(str(served_file)).extent()
    part = QgsRectangle.fromCenterAndSize(extent.center(), extent.width() / 4, extent.height() / 4)
    pixel = extent.height() / SIDE_PX
    ground_m = pixel / fetching.map_units(layer.crs(), part, 1.0, QgsCoordinateTransformContext())
    return plan_of(layer, part, coarser * ground_m)


def assert_pixels_are_the_files(path, served_file):
    """Every pixel that came is the file's at its place, to a thousandth of a pixel; gives how many came."""
    here, there = gdal.Open(path), gdal.Open(str(served_file))
    left, pixel, _, top, *_ = here.GetGeoTransform()
    file_left, file_pixel, _, file_top, *_ = there.GetGeoTransform()
    assert pixel == pytest.approx(file_pixel, rel=1e-9)
    x, y = (left - file_left) / pixel, (file_top - top) / pixel
    assert (x, y) == pytest.approx((round(x), round(y)), abs=1e-3)
    x, y, values = round(x), round(y), here.ReadAsArray()
    came, file = values[3] > 0, there.ReadAsArray()
    expected = 0 * values[:3]
    rows, columns = (
        slice(max(0, -y), min(SIDE_PX - y, came.shape[0])),
        slice(max(0, -x), min(SIDE_PX - x, came.shape[1])),
    )
    expected[:, rows, columns] = file[:, rows.start + y : rows.stop + y, columns.start + x : columns.stop + x]
    assert (values[:3][:, came] == expected[:, came]).all()
    return int(came.sum())


def test_the_tiles_own_pixels_are_fetched(server, served_file, tmp_path):
    """The layer says that it ends in the midst of a pixel, as layers do: nothing is resampled for that."""
    layer = layer_of(server)
    pixel = QgsRasterLayer(str(served_file)).rasterUnitsPerPixelX()
    begins = (layer.extent().xMinimum() - QgsRasterLayer(str(served_file)).extent().xMinimum()) / pixel
    assert abs(begins - round(begins)) > 0.01
    plan = inner_plan(layer, served_file)
    assert plan.width % WMTS_TILE_PX == plan.height % WMTS_TILE_PX == 0
    outcome = fetched(layer, plan, tmp_path)
    assert outcome.missing == 0
    assert assert_pixels_are_the_files(outcome.path, served_file) == plan.width * plan.height
    assert max(server.asked.values()) == 1


def test_the_zoom_is_the_coarsest_that_is_fine_enough(server, served_file):
    layer = layer_of(server)
    native = inner_plan(layer, served_file).pixel
    assert inner_plan(layer, served_file, coarser=3.0).pixel == pytest.approx(2 * native)
    assert inner_plan(layer, served_file, coarser=9.0).pixel == pytest.approx(4 * native)
    assert inner_plan(layer, served_file, coarser=0.2).pixel == pytest.approx(native)


@pytest.mark.parametrize("by_path", [False, True])
@pytest.mark.parametrize(
    ("answer", "words"), [(404, "no picture here"), (500, "fails at the moment"), ("exception", "having its lunch")]
)
def test_a_tile_that_does_not_come_is_missing_not_black(mercator_file, server_of, by_path, answer, words, tmp_path):
    server = server_of(mercator_file)
    server.by_path = by_path
    layer = layer_of(server)
    plan = inner_plan(layer, mercator_file)
    middle = WMTS_TILE_PX / 2 * plan.pixel
    first = QgsPointXY(plan.extent.xMinimum() + middle, plan.extent.yMaximum() - middle)
    server.answer_with = lambda box, times: answer if QgsRectangle(*box).contains(first) else None
    outcome = fetched(layer, plan, tmp_path)
    side = WMTS_TILE_PX * plan.pixel
    tile = QgsRectangle(
        plan.extent.xMinimum(), plan.extent.yMaximum() - side, plan.extent.xMinimum() + side, plan.extent.yMaximum()
    )
    assert outcome.missing == pytest.approx(tile.intersect(plan.asked).area() / plan.asked.area(), abs=0.01)
    assert 0.1 < outcome.missing < 0.9
    assert words in outcome.why
    assert assert_pixels_are_the_files(outcome.path, mercator_file) == plan.width * plan.height - WMTS_TILE_PX**2


def test_a_dead_server_is_told(mercator_file, server_of, tmp_path):
    server = server_of(mercator_file)
    layer = layer_of(server)
    plan = inner_plan(layer, mercator_file)
    server.close()
    with pytest.raises(RasterError, match=r"'web' delivered no picture.*The server 127.0.0.1 cannot be reached"):
        fetched(layer, plan, tmp_path)


def test_tiles_in_a_file_keep_their_pixels_and_are_no_server(mercator_file, tmp_path):
    """As the map shows them: QGIS takes an MBTiles file for tiles of a server."""
    gdal.Translate(str(tmp_path / "tiles.mbtiles"), str(mercator_file), format="MBTILES")
    layer = QgsRasterLayer(f"type=mbtiles&url=file://{tmp_path / 'tiles.mbtiles'}", "tiles", "wms")
    extent = QgsRasterLayer(str(mercator_file)).extent()
    source = drawn_source(layer, QgsCoordinateTransformContext())
    assert not fetching.is_online(source.provider)
    outcome = fetched_source(source, plan_of_source(source, extent, None), tmp_path)
    assert outcome.missing == 0
    assert assert_pixels_are_the_files(outcome.path, mercator_file) == SIDE_PX**2
    assert raster_source(layer).path == str(tmp_path / "tiles.mbtiles")
