"""A server's layer gives the file's own detections, and what it did not deliver is not taken for empty ground."""

import gc
import os
import subprocess
import threading
from contextlib import contextmanager
from math import ceil, floor
from pathlib import Path

import pytest
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsProcessingFeedback,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QByteArray
from qgis.PyQt.QtGui import QImage
from tilehawk.core.job.errors import OutputError, RasterError
from tilehawk.core.job.worker import Worker
from tilehawk.ui.algorithms import fetching, worker_algorithm
from tilehawk.ui.algorithms.detect_job import refuse_open_target
from tilehawk.ui.algorithms.preparing import picture_beside
from tilehawk.ui.models import default_model
from tilehawk.ui.results.origin import origin_of, raster_of
from tilehawk.ui.results.picture import PictureFunction, object_picture

from tests.ui.installed import ROOT
from tests.ui.map_server import MapServer
from tests.ui.test_real_worker import WORKER_PYTHON
from tests.ui.tiles import HALF, TILE_PX, TileServer, resolution

ZOOM = 18
SIDE = 640
OWN = {}  # the file's own detections
pytestmark = pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")


@pytest.fixture(autouse=True)
def nothing_left():
    """Errors keep their frames, and those the layers, which must not outlive QGIS."""
    yield
    QgsProject.instance().removeAllMapLayers()
    gc.collect()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A drawn suburb of 0.6 m with many pools, in UTM."""
    path = tmp_path_factory.mktemp("scene") / "scene.tif"
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    draw = [str(WORKER_PYTHON), "-m", "core.scene", "demo", str(path), "--size", str(SIDE), "--density", "3"]
    subprocess.run([*draw, "--seed", "5", "--bands", "3"], env=environment, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def tiled(scene, tmp_path_factory):
    """The same in EPSG:3857, on the pixels of zoom 18 and over whole tiles."""
    rectangle = in_mercator(QgsRasterLayer(str(scene)))
    side = TILE_PX * resolution(ZOOM)
    left, right = floor((rectangle.xMinimum() + HALF) / side), ceil((rectangle.xMaximum() + HALF) / side)
    top, bottom = floor((HALF - rectangle.yMaximum()) / side), ceil((HALF - rectangle.yMinimum()) / side)
    path = tmp_path_factory.mktemp("tiled") / "tiled.tif"
    gdal.Warp(
        str(path), str(scene), dstSRS="EPSG:3857", resampleAlg="cubic",
        outputBounds=(left * side - HALF, HALF - bottom * side, right * side - HALF, HALF - top * side),
        width=(right - left) * TILE_PX, height=(bottom - top) * TILE_PX, creationOptions=["TILED=YES"],
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def worker():
    """One for all runs, as starting it takes the longest."""
    with Worker(str(WORKER_PYTHON), root=str(ROOT)) as worker:
        yield worker


@pytest.fixture
def server(tiled, monkeypatch, worker):
    @contextmanager
    def lend(_):
        yield worker

    monkeypatch.setattr(worker_algorithm, "open_worker", lend)
    monkeypatch.setattr(fetching, "RETRY_SECONDS", (0.05,))
    monkeypatch.setenv("TILEHAWK_PYTHON", str(WORKER_PYTHON))
    server = TileServer(tiled, ZOOM)
    yield server
    server.close()


@pytest.fixture
def web(server):
    layer = QgsRasterLayer(server.uri(), "web", "wms")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def inner(scene):
    """All of the scene but its edge."""
    file = QgsRasterLayer(str(scene))
    return QgsReferencedRectangle(file.extent().buffered(-40), file.crs())


@pytest.fixture
def own(algorithm, context, server, scene, inner, tmp_path_factory):
    """The file's own detections, looked for once."""
    if not OWN:
        OWN.update(run(algorithm, context, str(scene), inner, tmp_path_factory.mktemp("own") / "file.gpkg")[0])
    return OWN


@pytest.fixture(params=["wms", "wcs"])
def service(request, server, scene):
    """A layer of a map service that serves the scene, with its server."""
    service = MapServer(scene)
    provider = "wms" if request.param == "wmts" else request.param
    layer = QgsRasterLayer(getattr(service, f"{request.param}_uri")(), "web", provider)
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    yield layer, service
    service.close()


def in_mercator(layer):
    crs = QgsCoordinateReferenceSystem("EPSG:3857")
    return QgsCoordinateTransform(layer.crs(), crs, QgsProject.instance()).transformBoundingBox(layer.extent())


def loaded(source):
    """Open a result as a layer of the project."""
    layer = QgsVectorLayer(source, "found")
    QgsProject.instance().addMapLayer(layer)
    return layer


def assert_same_objects(found, expected):
    """Each object is found at its place; scores differ a little where less ground around is seen than of the file."""
    assert f1(found, expected, 0.9) == 1
    assert [score for score, _ in found] == pytest.approx([score for score, _ in expected], abs=0.02)


def assert_chip_is_of(found, raster):
    """The map tip's picture of the best object shows what the raster has there."""
    best = max(found.getFeatures(), key=lambda feature: feature["score"])
    context = QgsExpressionContext()
    context.appendScope(QgsExpressionContextUtils.layerScope(found))
    context.setFeature(best)
    function = PictureFunction()
    address = function.func([], context, None, None)
    function.close()
    image = QImage.fromData(QByteArray.fromBase64(address.split(",")[1].encode()))
    expected = object_picture(found, best, raster)
    for x, y in ((80, 80), (20, 80), (80, 20), (140, 140)):
        one, other = image.pixelColor(x, y), expected.pixelColor(x, y)
        assert abs(one.lightness() - other.lightness()) < 40
    assert image.size() == expected.size()


def run(algorithm, context, raster, extent, target, **values):
    feedback = QgsProcessingFeedback()
    parameters = {"INPUT": raster, "MODEL": default_model(), "EXTENT": extent, "OUTPUT": str(target), "DEVICE": "cpu"}
    results, ok = algorithm.run({**parameters, **values}, context, feedback, catchExceptions=False)
    assert ok, feedback.textLog()
    return results, feedback.textLog()


def boxes(results, crs=None):
    """Boxes at or above the threshold, best first, in the given CRS."""
    layer = QgsVectorLayer(results["OUTPUT"])
    transform = QgsCoordinateTransform(layer.crs(), crs or layer.crs(), QgsProject.instance())
    found = [(f["score"], transform.transformBoundingBox(f.geometry().boundingBox())) for f in layer.getFeatures()]
    return sorted((each for each in found if each[0] >= results["THRESHOLD_USED"]), key=lambda each: -each[0])


def f1(found, truth, iou=0.3):
    def overlap(one, other):
        shared = one.intersect(other)
        area = 0.0 if shared.isEmpty() else shared.area()
        return area / (one.area() + other.area() - area)

    left, hits = [box for _, box in truth], 0
    for _, box in found:
        best = max(left, key=lambda other: overlap(box, other), default=None)
        if best is not None and overlap(box, best) >= iou:
            left.remove(best)
            hits += 1
    return 2 * hits / (len(found) + len(truth))


def test_native_zoom_gives_the_files_own_detections(algorithm, context, server, web, tiled, tmp_path):
    file = QgsRasterLayer(str(tiled))
    inner = file.extent().buffered(-TILE_PX * resolution(ZOOM) - 3)  # no bound on a multiple of the network's stride
    extent = QgsReferencedRectangle(inner, file.crs())
    own, _ = run(algorithm, context, str(tiled), extent, tmp_path / "file.gpkg", RESOLUTION="native")
    fetched, log = run(algorithm, context, web, extent, tmp_path / "web.gpkg", RESOLUTION="native")
    expected, seen = boxes(own), boxes(fetched)
    assert len(expected) >= 5
    assert [score for score, _ in seen] == pytest.approx([score for score, _ in expected])
    for (_, one), (_, other) in zip(seen, expected, strict=True):
        assert one.center().distance(other.center()) < 1e-3
    assert fetched["NOT_EXAMINED_AREA"] == 0
    assert "Whether its terms allow that is yours to check" in log


def test_reprojected_tiles_find_what_the_file_has(algorithm, context, web, own, inner, tmp_path):
    fetched, _ = run(algorithm, context, web, inner, tmp_path / "web.gpkg")
    expected, seen = boxes(own), boxes(fetched, inner.crs())
    assert len(expected) >= 15
    assert f1(seen, expected) >= 0.95


@pytest.mark.parametrize("service", ["wms", "wcs", "wmts"], indirect=True)
def test_a_map_service_finds_what_the_file_has(algorithm, context, service, scene, own, inner, tmp_path):
    layer, server = service
    values = {"RESOLUTION": "native"} if "tileMatrixSet" in layer.source() else {}
    fetched, log = run(algorithm, context, layer, inner, tmp_path / "web.gpkg", **values)
    server.close()
    expected, seen = boxes(own), boxes(fetched, inner.crs())
    assert len(expected) >= 15
    assert f1(seen, expected) >= 0.95
    if layer.providerType() == "wcs" or values:  # it has the file's pixels; of a WMS those of the model are asked for
        assert_same_objects(seen, expected)
    assert fetched["NOT_EXAMINED_AREA"] == 0
    assert "Whether its terms allow that is yours to check" in log

    picture = tmp_path / "web_picture.tif"
    assert f"kept beside the result: {picture}" in log
    found = loaded(fetched["OUTPUT"])
    assert raster_of(found, origin_of(found), QgsProject.instance()).source() == str(picture)
    assert_chip_is_of(found, QgsRasterLayer(str(scene)))


@pytest.mark.parametrize("service", ["wms", "wcs", "wmts"], indirect=True)
def test_what_a_map_service_fails_to_give_is_not_examined(algorithm, context, service, scene, tmp_path):
    layer, server = service
    answer = 500 if layer.providerType() == "wms" else "exception"
    ground = QgsRasterLayer(str(scene)).extent()
    server.answer_with = lambda box, times: answer if box[2] > ground.xMaximum() - 10 else None
    south = QgsRectangle(ground.xMinimum() + 9, ground.yMinimum() + 9, ground.xMaximum(), ground.yMinimum() + 150)
    found, log = run(algorithm, context, layer, QgsReferencedRectangle(south, layer.crs()), tmp_path / "gaps.gpkg")
    assert "of the picture was not delivered by 'web'; it counts as not examined" in log
    assert ("fails at the moment" if answer == 500 else "having its lunch") in log
    gaps = QgsVectorLayer(f"{tmp_path / 'gaps.gpkg'}|layername=not_examined")
    assert found["NOT_EXAMINED_AREA"] == pytest.approx(south.height() * ground.width() * 128 / SIDE, rel=0.2)
    assert gaps.extent().xMaximum() == pytest.approx(ground.xMaximum(), abs=1)
    assert len(boxes(found)) >= 5
    assert all(box.center().x() < gaps.extent().xMinimum() + 5 for _, box in boxes(found))


def test_a_failed_run_leaves_no_picture(algorithm, context, service, worker, tmp_path, monkeypatch):
    layer, _ = service
    seen = []

    def fail(job, *_):
        seen.append(Path(job.raster))
        assert seen[0].exists()
        raise RasterError("The sky is falling.")

    monkeypatch.setattr(worker, "run", fail)
    extent = QgsReferencedRectangle(layer.extent().buffered(-100), layer.crs())
    with pytest.raises(Exception, match="sky is falling"):
        run(algorithm, context, layer, extent, tmp_path / "web.gpkg")
    assert seen == [tmp_path / "web_picture.tif"]
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_cancelled_while_fetching_leaves_no_picture(algorithm, context, service, tmp_path, monkeypatch):
    layer, _ = service
    monkeypatch.setattr(fetching, "PX_PER_SECOND", 1000)
    feedback = QgsProcessingFeedback()
    timer = threading.Timer(1, feedback.cancel)
    timer.start()
    values = {"INPUT": layer, "MODEL": default_model(), "OUTPUT": str(tmp_path / "web.gpkg")}
    results, _ = algorithm.run(values, context, feedback, catchExceptions=False)
    timer.join()
    assert results == {}
    assert list(tmp_path.iterdir()) == []
    assert "Fetching 640 x 640 pixels" in feedback.textLog()


def test_a_group_of_files_finds_what_one_file_has(algorithm, context, server, scene, own, inner, tmp_path):
    """A mosaic: objects on the seam of two files are found whole. Its picture is found also where it is moved."""
    half = SIDE // 2
    group = QgsProject.instance().layerTreeRoot().addGroup("mosaic")
    for name, left in (("west", 0), ("east", half)):
        gdal.Translate(str(tmp_path / f"{name}.tif"), str(scene), srcWin=[left, 0, half, SIDE])
        layer = QgsRasterLayer(str(tmp_path / f"{name}.tif"), name)
        QgsProject.instance().addMapLayer(layer, False)
        group.addLayer(layer)
    results, log = run(algorithm, context, layer, inner, tmp_path / "group.gpkg", VIEW=2)
    assert_same_objects(boxes(results), boxes(own))
    assert "terms" not in log
    assert origin_of(loaded(results["OUTPUT"])).raster == str(tmp_path / "group_picture.tif")

    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for file in ("group.gpkg", "group_picture.tif"):
        (tmp_path / file).rename(moved / file)
    found = loaded(f"{moved / 'group.gpkg'}|layername=detections")
    assert origin_of(found).raster == str(moved / "group_picture.tif")


def test_no_picture_of_another_result_is_overwritten(tmp_path):
    result = str(tmp_path / "web.gpkg")
    assert picture_beside(result) == str(tmp_path / "web_picture.tif")
    (tmp_path / "web_picture.tif").touch()
    assert picture_beside(result) == str(tmp_path / "web_picture_2.tif")


def test_one_of_the_rasters_in_a_geopackage_is_read_as_the_file_it_is(
    algorithm, context, server, scene, own, inner, tmp_path
):
    path = tmp_path / "rasters of mine.gpkg"
    black = gdal.Translate("/vsimem/black.tif", str(scene), scaleParams=[[0, 255, 0, 0]])
    for name, raster in (("black", black), ("pools", gdal.Open(str(scene)))):
        options = [f"RASTER_TABLE={name}", "TILE_FORMAT=PNG", "VERSION=1.2", "APPEND_SUBDATASET=YES"]
        gdal.Translate(str(path), raster, format="GPKG", creationOptions=options)
    results, log = run(algorithm, context, f"GPKG:{path}:pools", inner, tmp_path / "found.gpkg")
    assert_same_objects(boxes(results), boxes(own))
    assert "Fetching" not in log
    layer = QgsRasterLayer(f"GPKG:{path}:pools", "pools")
    QgsProject.instance().addMapLayer(layer)
    found = loaded(results["OUTPUT"])
    assert raster_of(found, origin_of(found), QgsProject.instance()) is layer
    size = path.stat().st_size
    with pytest.raises(OutputError, match="is open in the project as 'pools'"):
        refuse_open_target(str(path), context)
    with pytest.raises(Exception, match="would overwrite the raster"):
        run(algorithm, context, layer, inner, path)
    assert path.stat().st_size == size


def test_tiles_in_a_file_are_read_as_the_file_they_are(algorithm, context, server, tiled, own, inner, tmp_path):
    path = tmp_path / "tiles of mine.mbtiles"
    gdal.Translate(str(path), str(tiled), format="MBTILES")
    (found,) = QgsProviderRegistry.instance().querySublayers(str(path))
    layer = QgsRasterLayer(found.uri(), "tiles", found.providerKey())
    assert (layer.isValid(), layer.providerType()) == (True, "wms")  # QGIS takes it for tiles of a server
    QgsProject.instance().addMapLayer(layer)
    results, log = run(algorithm, context, layer, inner, tmp_path / "found.gpkg")
    assert f1(boxes(results, inner.crs()), boxes(own)) >= 0.95
    assert "Fetching" not in log
    assert not list(tmp_path.glob("*_picture*"))


def test_missing_tiles_are_not_examined_and_warned_of(algorithm, context, server, web, tiled, tmp_path):
    lost = QgsRasterLayer(str(tiled)).extent()
    column = round((lost.xMinimum() + HALF) / resolution(ZOOM) / TILE_PX) + 1
    server.status = lambda x, y, times: 404 if x == column else 200
    extent = QgsReferencedRectangle(lost.buffered(-TILE_PX * resolution(ZOOM)), web.crs())
    found, log = run(algorithm, context, web, extent, tmp_path / "gaps.gpkg")
    assert "of the picture was not delivered by 'web'; it counts as not examined" in log
    assert found["NOT_EXAMINED_AREA"] > 0
    gaps = QgsVectorLayer(f"{tmp_path / 'gaps.gpkg'}|layername=not_examined")
    west = lost.xMinimum() + TILE_PX * resolution(ZOOM)
    strip = QgsRectangle(west, gaps.extent().yMinimum(), west + TILE_PX * resolution(ZOOM), gaps.extent().yMaximum())
    assert gaps.extent().xMinimum() == pytest.approx(strip.xMinimum(), abs=20)
    assert gaps.extent().xMaximum() == pytest.approx(strip.xMaximum(), abs=20)
    assert all(not strip.buffered(-10).contains(box.center()) for _, box in boxes(found))


def test_a_dead_server_fails_the_run_and_leaves_no_file(algorithm, context, server, web, tiled, tmp_path):
    server.close()
    extent = QgsReferencedRectangle(QgsRasterLayer(str(tiled)).extent(), web.crs())
    with pytest.raises(
        Exception, match=r"'web' delivered no picture of this area\. The server 127.0.0.1 cannot be reach"
    ):
        run(algorithm, context, web, extent, tmp_path / "dead.gpkg")
    assert not (tmp_path / "dead.gpkg").exists()


def test_whole_world_is_refused(algorithm, context, web, tmp_path):
    with pytest.raises(Exception, match="too much to fetch"):
        run(algorithm, context, web, None, tmp_path / "world.gpkg")
