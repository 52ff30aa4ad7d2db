"""A loaded plugin, a small raster, a model card, and a worker that speaks the protocol without any torch."""

import sys
import traceback

import pytest
import tilehawk
from qgis.core import QgsApplication, QgsProcessingContext, QgsProject, QgsRasterLayer, QgsSettings

from tests.ui.scenery import CARD, DETECTIONS, SIDE_PX, StandIn, write_card, write_detections, write_raster


@pytest.fixture(autouse=True)
def clean_state(qgis_app, monkeypatch, tmp_path):
    """No layers, no settings, no interpreter of the environment outside reaches a test."""
    QgsProject.instance().removeAllMapLayers()
    QgsProject.instance().layerTreeRoot().clear()
    QgsSettings().remove("tilehawk")
    monkeypatch.delenv("TILEHAWK_PYTHON", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user-data"))  # where environments lie


@pytest.fixture(autouse=True)
def slot_errors(monkeypatch):
    """An exception in a slot fails the test, where PyQt would abort the whole run without a word."""
    errors = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: errors.append("".join(traceback.format_exception(*error))))
    yield
    assert not errors, "\n".join(errors)


@pytest.fixture
def plugin(qgis_iface, qgis_processing):
    plugin = tilehawk.classFactory(qgis_iface)
    plugin.initGui()
    yield plugin
    if plugin.provider is not None:
        plugin.unload()


@pytest.fixture
def detect_dialog(plugin, stand_in, raster_layer, model):
    """The Detect dialog, open and filled in."""
    plugin.show_dialog()
    plugin.dialog.form.set_raster(raster_layer)
    plugin.dialog.form.model.set_path(model)
    return plugin.dialog


@pytest.fixture
def algorithm(plugin):
    return QgsApplication.processingRegistry().createAlgorithmById("tilehawk:detect")


@pytest.fixture
def context():
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    yield context
    context.temporaryLayerStore().removeAllMapLayers()  # a failed test keeps its frames, and QGIS dies of late layers


@pytest.fixture
def raster(tmp_path):
    """Path of a grey 96 x 96 px GeoTIFF of 0.6 m in UTM zone 11N."""
    return str(write_raster(tmp_path / "suburb.tif", SIDE_PX))


@pytest.fixture
def raster_layer(raster):
    layer = QgsRasterLayer(raster, "suburb")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def model(tmp_path):
    """Path of a model file with a card and one weight, enough for all that QGIS reads."""
    return str(write_card(tmp_path / "pools-and-trees.safetensors", CARD))


@pytest.fixture
def values(raster, model, tmp_path):
    """Parameters of a run that is in order."""
    return {"INPUT": raster, "MODEL": model, "OUTPUT": str(tmp_path / "found.gpkg")}


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """Path of a result file as the worker writes it."""
    return write_detections(tmp_path_factory.mktemp("result") / "result.gpkg", DETECTIONS)


@pytest.fixture
def stand_in(tmp_path, result, monkeypatch):
    """The worker's stand-in: an executable in place of Python, doing what `stand_in.plan(...)` says."""
    worker = StandIn(tmp_path / "stand_in", result)
    monkeypatch.setenv("TILEHAWK_PYTHON", str(worker.python))
    return worker
