"""WMS and WCS: what is fetched is what the server has, and what it has not, or answers in words, is never ground."""

import gc
import threading
import time

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
)
from tilehawk.core.job.errors import Cancelled, RasterError
from tilehawk.ui.algorithms import fetching
from tilehawk.ui.algorithms.fetching import is_online

from tests.ui.map_server import MapServer
from tests.ui.test_fetching import fetched, plan_of
from tests.ui.tiles import resolution, write_tiled_raster

ZOOM, TILES = 18, 2
SIDE_PX, BLOCK_PX = TILES * 256, 200  # nine parts


@pytest.fixture(autouse=True)
def nothing_left():
    """Errors keep their frames, and those the layers, which must not outlive QGIS."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def raster_file(tmp_path_factory):
    return write_tiled_raster(tmp_path_factory.mktemp("map") / "noise.tif", TILES, ZOOM, 45000, 104000)


@pytest.fixture
def server(raster_file, monkeypatch):
    monkeypatch.setattr(fetching, "RETRY_SECONDS", (0.02, 0.02))
    monkeypatch.setattr(fetching, "BLOCK_PX", BLOCK_PX)
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1e9)
    server = MapServer(raster_file)
    yield server
    server.close()


@pytest.fixture(params=["wms", "wcs"])
def layer(request, server):
    layer = QgsRasterLayer(getattr(server, f"{request.param}_uri")(), "web", request.param)
    assert layer.isValid()
    server.asked.clear()
    return layer


def native_plan(layer):
    plan = plan_of(layer, layer.extent(), None if layer.providerType() == "wcs" else ground_m(layer))
    assert (plan.width, plan.height) == (SIDE_PX, SIDE_PX)
    return plan


def ground_m(layer):
    """Ground metres of a pixel of the file, in the middle of the layer."""
    unit = fetching.map_units(layer.crs(), layer.extent(), 1.0, QgsCoordinateTransformContext())
    return resolution(ZOOM) / unit


def first_part(layer):
    """Whether a box that was asked for is the first part's: the upper left."""
    extent, pixel = layer.extent(), resolution(ZOOM)
    middle = (extent.xMinimum() + BLOCK_PX / 2 * pixel, extent.yMaximum() - BLOCK_PX / 2 * pixel)
    return lambda box: box[0] < middle[0] < box[2] and box[1] < middle[1] < box[3]


def valid_of(path):
    """Which pixels of a file are valid."""
    dataset = gdal.Open(path)
    return dataset.GetRasterBand(1).GetMaskBand().ReadAsArray() > 0


def test_pixels_are_those_of_the_file(layer, raster_file, tmp_path):
    outcome = fetched(layer, native_plan(layer), tmp_path)
    assert outcome.missing == 0
    there, here = gdal.Open(str(raster_file)), gdal.Open(outcome.path)
    assert here.GetGeoTransform() == pytest.approx(there.GetGeoTransform(), abs=1e-6)
    assert (here.ReadAsArray()[:3] == there.ReadAsArray()).all()
    assert valid_of(outcome.path).all()


@pytest.mark.parametrize("answer", [404, 500, "exception"])
def test_a_part_that_does_not_come_is_missing_not_black(layer, server, tmp_path, answer):
    first = first_part(layer)
    server.answer_with = lambda box, times: answer if first(box) else None
    outcome = fetched(layer, native_plan(layer), tmp_path)
    assert outcome.missing == pytest.approx(BLOCK_PX**2 / SIDE_PX**2)
    assert outcome.why
    valid = valid_of(outcome.path)
    assert not valid[:BLOCK_PX, :BLOCK_PX].any()
    assert valid[BLOCK_PX:].all()
    assert valid[:, BLOCK_PX:].all()


@pytest.mark.parametrize("answer", [429, "exception"])
def test_a_part_is_asked_for_again(layer, server, tmp_path, answer):
    first, asked = first_part(layer), []

    def answer_with(box, times):
        asked.extend([box] if first(box) else [])
        return answer if first(box) and len(asked) <= 2 else None

    server.answer_with = answer_with
    assert fetched(layer, native_plan(layer), tmp_path).missing == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (401, "asks for a login"),
        (403, "refuses access"),
        (429, "too many requests"),
        (500, "fails at the moment"),
        ("exception", "an error in place of the picture: The layer is having its lunch"),
        ("page", "a page of text in place of the picture"),
    ],
)
def test_a_server_that_gives_nothing_is_left_alone_soon(layer, server, tmp_path, answer, words):
    server.answer_with = lambda box, times: answer
    with pytest.raises(RasterError, match=rf"'web' delivered no picture of this area.*{words}"):
        fetched(layer, native_plan(layer), tmp_path)
    assert len(server.asked) <= fetching.REFUSALS


def test_a_dead_server_fails_with_a_sentence(layer, server, tmp_path):
    server.close()
    with pytest.raises(RasterError, match=r"The server 127.0.0.1 cannot be reached"):
        fetched(layer, native_plan(layer), tmp_path)


def test_a_server_that_dies_on_the_way_is_not_asked_for_ever(layer, server, tmp_path):
    def answer_with(box, times):
        return "hang up" if len(server.asked) > 2 else None

    server.answer_with = answer_with
    outcome = fetched(layer, native_plan(layer), tmp_path)
    assert outcome.missing == pytest.approx(1 - 2 * BLOCK_PX**2 / SIDE_PX**2)
    assert "cannot be reached" in outcome.why
    assert len(server.asked) <= 2 + fetching.UNANSWERED


def test_clear_ground_of_a_picture_is_not_asked_for_again(server, tmp_path):
    layer = QgsRasterLayer(server.wms_uri(), "web", "wms")
    server.answer_with = lambda box, times: "clear" if times else None
    server.asked.clear()
    with pytest.raises(RasterError, match="Zoom to it in the map"):
        fetched(layer, native_plan(layer), tmp_path)
    assert set(server.asked.values()) == {1}


def test_cancel_does_not_wait_for_a_slow_server(layer, server, tmp_path):
    patience = threading.Event()
    server.answer_with = lambda box, times: patience.wait(30) and None
    feedback = QgsProcessingFeedback()
    timer = threading.Timer(0.3, feedback.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        fetched(layer, native_plan(layer), tmp_path, feedback)
    assert time.monotonic() - started < 15
    patience.set()
    timer.join()


def test_requests_are_slowed_down(layer, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(fetching._Fetching, "_pause", lambda self, seconds: pauses.append(seconds))
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1000)
    assert is_online(layer.dataProvider())
    fetched(layer, native_plan(layer), tmp_path)
    assert max(pauses) > 100


def test_progress_is_told(layer, tmp_path):
    told = []

    class Feedback(QgsProcessingFeedback):
        def setProgressText(self, text):
            told.append(text)

    fetched(layer, native_plan(layer), tmp_path, Feedback())
    assert [text.split(",")[1].strip() for text in told] == [f"part {part} of 9" for part in range(1, 10)]


def test_the_size_is_that_of_the_model(server):
    layer = QgsRasterLayer(server.wms_uri(), "web", "wms")
    half = plan_of(layer, layer.extent(), 2 * ground_m(layer))
    assert (half.width, half.height) == (SIDE_PX // 2, SIDE_PX // 2)
    assert half.download_bytes == pytest.approx((SIDE_PX // 2) ** 2 / 4)
    assert not [size for size in server.sizes if size == (SIDE_PX, SIDE_PX)]


def test_values_of_a_coverage_are_kept(tmp_path, monkeypatch):
    """16 bit, four bands and no value for no data: one is made up for what did not come."""
    monkeypatch.setattr(fetching, "RETRY_SECONDS", ())
    path = tmp_path / "values.tif"
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 600, 300, 4, gdal.GDT_UInt16)
    dataset.SetGeoTransform((480000, 2, 0, 3760000, 0, -2))
    dataset.SetProjection(QgsCoordinateReferenceSystem("EPSG:26911").toWkt())
    for band in range(1, 5):
        dataset.GetRasterBand(band).Fill(1000 * band)
    dataset.FlushCache()
    del dataset
    server = MapServer(path)
    layer = QgsRasterLayer(server.wcs_uri(), "heights", "wcs")
    plan = plan_of(layer, layer.extent(), None)
    assert (plan.width, plan.height) == (600, 300)
    server.answer_with = lambda box, times: 404 if box[2] > 481100 else None
    outcome = fetched(layer, plan, tmp_path)
    server.close()
    here = gdal.Open(outcome.path)
    assert outcome.missing == pytest.approx(88 / 600)
    assert [here.GetRasterBand(band).DataType for band in range(1, 5)] == [gdal.GDT_UInt16] * 4
    values = here.ReadAsArray()
    assert (values[:, :, :512] == [[[1000]], [[2000]], [[3000]], [[4000]]]).all()
    assert (values[:, :, 512:] == 65535).all()
    assert here.GetRasterBand(4).GetNoDataValue() == 65535
    assert plan.download_bytes == 600 * 300 * 4 * 2
