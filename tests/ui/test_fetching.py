"""Layers that are no files: what is fetched of a tile server is what it has, and what it has not is said."""

import gc
import threading

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
    QgsRectangle,
)
from tilehawk.core.job.errors import Cancelled, RasterError
from tilehawk.ui.algorithms import fetching
from tilehawk.ui.algorithms.fetching import fetch, plan_fetch
from tilehawk.ui.algorithms.sources import raster_source

from tests.ui.tiles import TILE_PX, TileServer, resolution, write_tiled_raster

ZOOM, COLUMN, ROW, TILES = 18, 45000, 104000, 3
CONTEXT = QgsCoordinateTransformContext()


@pytest.fixture(autouse=True)
def nothing_left():
    """Errors keep their frames, and those the layers, which must not outlive QGIS."""
    yield
    gc.collect()


@pytest.fixture
def raster_file(tmp_path):
    return write_tiled_raster(tmp_path / "noise.tif", TILES, ZOOM, COLUMN, ROW)


@pytest.fixture
def server(raster_file, monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_SECONDS", (0.05, 0.05))
    server = TileServer(raster_file, ZOOM)
    yield server
    server.close()


@pytest.fixture
def layer(server):
    layer = QgsRasterLayer(server.uri(), "web", "wms")
    assert layer.isValid()
    return layer


@pytest.fixture
def extent(raster_file):
    return QgsRasterLayer(str(raster_file)).extent()


def plan_of(layer, extent, resolution_m=0.6, margin_px=0):
    return plan_of_source(raster_source(layer), extent, resolution_m, margin_px)


def plan_of_source(source, extent, resolution_m=0.6, margin_px=0):
    return plan_fetch(source.provider, source.name, extent, resolution_m, margin_px, CONTEXT)


def fetched(layer, plan, tmp_path, feedback=None):
    return fetched_source(raster_source(layer), plan, tmp_path, feedback)


def fetched_source(source, plan, tmp_path, feedback=None):
    """Fetch as a run does: with a copy of the provider, in a thread."""
    outcome = []

    def work():
        try:
            arguments = (source.provider, source.name, plan, str(tmp_path / "fetched.tif"))
            outcome.append(fetch(*arguments, feedback or QgsProcessingFeedback()))
        except Exception as problem:
            outcome.append(problem)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    (end,) = outcome
    if isinstance(end, Exception):
        raise end
    return end


def test_the_zoom_is_the_coarsest_that_is_fine_enough(layer, extent):
    assert plan_of(layer, extent).pixel == pytest.approx(resolution(18))  # 0.5 m on the ground there
    assert plan_of(layer, extent, 1.0).pixel == pytest.approx(resolution(17))
    assert plan_of(layer, extent, 0.01).pixel == pytest.approx(resolution(18))  # there is no finer one
    assert plan_of(layer, extent, None).pixel == pytest.approx(resolution(18))


def test_whole_tiles_are_fetched(layer, extent):
    plan = plan_of(layer, extent)
    assert (plan.width, plan.height) == (TILES * TILE_PX, TILES * TILE_PX)
    part = plan_of(layer, QgsRectangle.fromCenterAndSize(extent.center(), 10, 10))
    assert (part.width, part.height) == (TILE_PX, TILE_PX)
    wider = plan_of(layer, extent, margin_px=64)
    assert (wider.width, wider.height) == ((TILES + 2) * TILE_PX, (TILES + 2) * TILE_PX)


def test_pixels_are_those_of_the_file(layer, extent, raster_file, tmp_path):
    outcome = fetched(layer, plan_of(layer, extent), tmp_path)
    assert outcome.missing == 0
    there, here = gdal.Open(str(raster_file)), gdal.Open(outcome.path)
    assert here.GetGeoTransform() == pytest.approx(there.GetGeoTransform(), abs=1e-6)
    assert here.RasterCount == 4
    assert here.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    assert (here.ReadAsArray()[:3] == there.ReadAsArray()).all()


def test_missing_tiles_are_counted_and_transparent(layer, server, extent, tmp_path):
    server.status = lambda column, row, times: 404 if (column, row) == (COLUMN, ROW) else 200
    outcome = fetched(layer, plan_of(layer, extent), tmp_path)
    assert outcome.missing == pytest.approx(1 / 9)
    alpha = gdal.Open(outcome.path).ReadAsArray()[3]
    assert not alpha[:TILE_PX, :TILE_PX].any()
    assert alpha[TILE_PX:].all()


def test_a_server_that_wants_a_pause_gets_one(layer, server, extent, tmp_path):
    server.status = lambda column, row, times: 429 if times <= 4 else 200  # QGIS itself asks four times
    assert fetched(layer, plan_of(layer, extent), tmp_path).missing == 0


@pytest.mark.parametrize(
    ("status", "words"),
    [(429, "too many requests"), (403, "refuses access"), (500, "fails at the moment"), (404, "404")],
)
def test_a_server_that_gives_nothing_fails_with_a_sentence(layer, server, extent, tmp_path, status, words):
    server.status = lambda column, row, times: status
    with pytest.raises(RasterError, match=rf"'web' delivered no picture of this area.*{words}"):
        fetched(layer, plan_of(layer, extent), tmp_path)


def test_a_dead_server_fails_with_a_sentence(layer, server, extent, tmp_path):
    server.close()
    with pytest.raises(RasterError, match=r"The server 127.0.0.1 cannot be reached"):
        fetched(layer, plan_of(layer, extent), tmp_path)


def test_too_much_and_nothing_are_refused_before_the_first_request(layer, server, extent):
    with pytest.raises(RasterError, match="too much to fetch: at most 400 million pixels"):
        plan_of(layer, layer.extent())
    with pytest.raises(RasterError, match="outside of the layer 'web'"):
        plan_of(layer, QgsRectangle(1e9, 1e9, 1e9 + 5, 1e9 + 5))
    assert not server.asked


def test_cancel_stops_it(layer, extent, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1000)  # ten minutes
    feedback = QgsProcessingFeedback()
    timer = threading.Timer(0.5, feedback.cancel)
    timer.start()
    with pytest.raises(Cancelled):
        fetched(layer, plan_of(layer, extent), tmp_path, feedback)
    timer.join()


def test_requests_are_slowed_down(layer, extent, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetching._Fetching, "_pause", lambda self, seconds: pauses.append(seconds))
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1000)
    fetched(layer, plan_of(layer, extent), tmp_path)
    assert max(pauses) > 500


def test_numbers_of_a_computed_layer_are_kept(tmp_path):
    """A raster in QGIS's memory has values, not colours: all its bands come, with nodata."""
    memory = gdal.GetDriverByName("GTiff").Create("/vsimem/heights.tif", 40, 30, 2, gdal.GDT_Int16)
    memory.SetGeoTransform((500000, 2, 0, 4000000, 0, -2))
    for band in (1, 2):
        memory.GetRasterBand(band).Fill(-300 * band)
        memory.GetRasterBand(band).SetNoDataValue(-9999)
    memory.FlushCache()
    del memory
    layer = QgsRasterLayer("/vsimem/heights.tif", "heights")
    plan = plan_of(layer, layer.extent())
    assert (plan.width, plan.height, plan.pixel) == (40, 30, 2)
    here = gdal.Open(fetched(layer, plan, tmp_path).path)
    assert here.GetRasterBand(2).DataType == gdal.GDT_Int16
    assert here.GetRasterBand(2).GetNoDataValue() == -9999
    assert (here.ReadAsArray()[1] == -600).all()
    gdal.Unlink("/vsimem/heights.tif")


def test_a_file_is_not_fetched(raster_layer, raster):
    source = raster_source(raster_layer)
    assert source.path == raster
    assert source.provider is None
