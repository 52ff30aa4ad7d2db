"""Logins and keys of a layer's source are used where its server is asked, and written down nowhere."""

import json

import pytest
from qgis.core import QgsProcessingOutputLayerDefinition, QgsProject, QgsRasterLayer, QgsReferencedRectangle
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QUrl
from tilehawk.ui.algorithms import map_server
from tilehawk.ui.algorithms.sources import TO_FETCH, raster_source
from tilehawk.ui.public_values import public_inputs
from tilehawk.ui.run_again import parameters_of

from tests.ui.scenery import wait_until
from tests.ui.tiles import TileServer, write_tiled_raster

HIDDEN = "hush3141"
ZOOM, COLUMN, ROW = 18, 45000, 104000


@pytest.fixture
def server(tmp_path):
    server = TileServer(write_tiled_raster(tmp_path / "noise.tif", 1, ZOOM, COLUMN, ROW), ZOOM)
    yield server
    server.close()


@pytest.fixture
def web(server):
    """An online map with a key in its address, a login and a header."""
    source = server.uri().replace(".png", f".png?key%3D{HIDDEN}")
    layer = QgsRasterLayer(f"{source}&username=me&password={HIDDEN}&http-header:X-Key={HIDDEN}", "web", "wms")
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_a_run_writes_no_login_down(plugin, stand_in, web, server, values, tmp_path):
    file = QgsRasterLayer(str(tmp_path / "noise.tif"))
    extent = QgsReferencedRectangle(file.extent().buffered(-30), file.crs())
    output = QgsProcessingOutputLayerDefinition(values["OUTPUT"], QgsProject.instance())
    run = plugin.runs.start({**values, "INPUT": web, "EXTENT": extent, "OUTPUT": output})
    wait_until(lambda: not run.running)
    assert run.layer is not None, run.results

    assert HIDDEN in web.source()
    properties = [run.layer.customProperty(name) for name in run.layer.customPropertyKeys()]
    assert HIDDEN not in json.dumps(properties, default=str)
    assert HIDDEN not in json.dumps(run.layer.metadata().history())
    entries = QgsGui.historyProviderRegistry().queryEntries(providerId="processing")
    assert HIDDEN not in json.dumps([entry.entry for entry in entries], default=str)
    assert web.id() in json.dumps(entries[-1].entry, default=str)
    assert HIDDEN not in json.dumps([str(job) for job in stand_in.jobs()])
    for path in tmp_path.glob("found*"):
        assert HIDDEN.encode() not in path.read_bytes()

    assert parameters_of(run.layer)["INPUT"] == web.id()
    plugin.show_dialog()
    plugin.dialog.form.set_parameters(parameters_of(run.layer))
    chosen = plugin.dialog.form.parameters()["INPUT"]
    assert getattr(chosen, "id", lambda: chosen)() in (web.id(), web.source())


def test_the_same_layer_has_the_same_place_whatever_the_login(web, server):
    other = QgsRasterLayer(web.source().replace(f"password={HIDDEN}", "password=else"), "web", "wms")
    assert raster_source(other).place == raster_source(web).place
    elsewhere = QgsRasterLayer(web.source().replace("zmax=18", "zmax=17"), "web", "wms")
    assert raster_source(elsewhere).place != raster_source(web).place


def test_a_server_is_asked_with_the_layers_login(server, web, monkeypatch):
    sent = []

    def get(plain, login):
        sent.append(({bytes(name): bytes(plain.rawHeader(name)) for name in plain.rawHeaderList()}, login))

    monkeypatch.setattr(map_server, "_get", get)
    map_server.ask(QUrl("http://127.0.0.1/"), web.source())
    map_server.ask(QUrl("http://127.0.0.1/"), "url=http://127.0.0.1/&authcfg=abc1234&username=me")
    (headers, login), (bare, authcfg) = sent
    assert headers[b"X-Key"] == HIDDEN.encode()
    assert headers[b"Authorization"].startswith(b"Basic ")
    assert login == ""
    assert authcfg == "abc1234"
    assert b"Authorization" not in bare


def test_a_raster_in_a_database_is_no_file():
    """GDAL's name for it holds the login, and the worker's GDAL has no driver for it."""
    layer = QgsRasterLayer(f"PG:dbname='none' password='{HIDDEN}' table='t'", "x", "gdal")
    assert raster_source(layer).path == TO_FETCH


def test_what_is_no_secret_is_kept(algorithm, web, raster, tmp_path):
    odd = tmp_path / "a=b@c.tif"
    odd.touch()
    area = {"source": f"{raster}|layername=x", "selected_features_only": True}
    for inputs in (
        {"INPUT": raster, "CLASSES": "what=ever", "OUTPUT": "/new/a=b.gpkg"},
        {"INPUT": str(odd)},
        {"INPUT": "GPKG:/data/two.gpkg:one", "MASK": area},
    ):
        assert public_inputs(algorithm, inputs, QgsProject.instance()) == inputs
    secret = {"INPUT": f"wms://{web.source()}", "MASK": {"source": f"dbname='x' password='{HIDDEN}'"}}
    assert public_inputs(algorithm, secret, QgsProject.instance()) == {"INPUT": web.id()}
