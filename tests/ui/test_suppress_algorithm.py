"""Non maximum suppression: what it refuses, what it asks the worker for, and the whole way with the real one."""

from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from tests.ui.algorithm_calls import memory_layer, refusal, run, square
from tests.ui.installed import WORKER_PYTHON


@pytest.fixture
def algorithm(plugin):
    return QgsApplication.processingRegistry().createAlgorithmById("tilehawk:nonmaximumsuppression")


@pytest.fixture
def layer():
    """Boxes of 10 m in a memory layer: two pools on one another, and a tree over the better one."""
    rows = ((0, "pool", 0.9, "best"), (2, "pool", 0.8, "worse"), (0.2, "tree", 0.7, "another"))
    squares = [(square(500_000 + x, 0, 10), *attributes) for x, *attributes in rows]
    layer = memory_layer("all", "field=kind:string&field=score:double&field=note:string", squares)
    layer.renderer().symbol().setColor(QColor("#12ab34"))
    return layer


@pytest.fixture
def values(layer, tmp_path):
    return {"INPUT": layer, "CLASS_FIELD": "kind", "OUTPUT": str(tmp_path / "left.gpkg")}


def test_listed_with_its_parameters(algorithm):
    names = [parameter.name() for parameter in algorithm.parameterDefinitions()]
    assert names == ["INPUT", "OVERLAP", "ACROSS", "CLASS_FIELD", "SCORE_FIELD", "OUTPUT"]
    assert all(parameter.help() for parameter in algorithm.parameterDefinitions())
    assert algorithm.shortHelpString() and algorithm.displayName() == "Non maximum suppression"


def test_values_in_order_are_accepted(algorithm, values, context, stand_in):
    assert algorithm.checkParameterValues(values, context) == (True, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"OUTPUT": "/nowhere/left.gpkg"}, "The folder '/nowhere' for the result does not exist."),
        ({"OUTPUT": "/tmp/left.dxf"}, "not as 'left.dxf'"),
        ({"OUTPUT": "memory:"}, "file"),
    ],
)
def test_refused_in_a_sentence(algorithm, values, context, stand_in, changes, sentence):
    assert sentence in refusal(algorithm, {**values, **changes}, context)


@pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
def test_the_whole_way_with_the_real_worker(algorithm, values, context, layer, tmp_path, monkeypatch):
    monkeypatch.setenv("TILEHAWK_PYTHON", str(WORKER_PYTHON))
    details = QgsProcessingContext.LayerDetails("left", QgsProject.instance(), "OUTPUT")
    context.setLayersToLoadOnCompletion({values["OUTPUT"]: details})
    results, ok = run(algorithm, values, context)
    assert ok
    assert (results["OBJECT_COUNT"], results["DROPPED"], results["DROPPED_ACROSS"]) == (1, 1, 1)
    left = QgsVectorLayer(results["OUTPUT"])
    assert [feature["note"] for feature in left.getFeatures()] == ["best"]
    assert left.crs() == layer.crs()
    styler = context.layerToLoadOnCompletionDetails(values["OUTPUT"]).postProcessor()
    styler.postProcessLayer(left, context, QgsProcessingFeedback())
    assert left.renderer().symbol().color().name() == "#12ab34"

    layer.selectByExpression("note <> 'best'")
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), True)
    results, ok = run(algorithm, {**values, "INPUT": selected, "OUTPUT": str(tmp_path / "two.gpkg")}, context)
    assert ok
    notes = {feature["note"] for feature in QgsVectorLayer(results["OUTPUT"]).getFeatures()}
    assert notes == {"worse", "another"}
    assert {path.name for path in Path(tmp_path).glob("*.gpkg")} == {"left.gpkg", "two.gpkg"}
