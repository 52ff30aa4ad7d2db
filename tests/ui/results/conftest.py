"""A result layer as a run leaves it: many boxes, the run in its metadata, on a raster of the project."""

import random

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsVectorLayer
from tilehawk.core.detections.metadata import layer_metadata, record_in_geopackage
from tilehawk.ui.background import cancel_work
from tilehawk.ui.layers import style_detections

from tests.ui.scenery import CARD, CRS, ORIGIN, write_card, write_detections

STEP_M = 9.0


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    cancel_work()


def write_result(path, model, raster, rows, gaps=0):
    """Write a result with its run in the metadata."""
    write_detections(path, rows, gaps)
    run = {"model": str(model), "raster": str(raster), "threshold": 0.4, "objects": {"pool": 2}}
    record_in_geopackage(path, {name: layer_metadata(name, run) for name in ("detections", "not_examined")})
    return path


def random_rows(count, seed=1):
    draw = random.Random(seed)
    return [(draw.choice(["pool", "tree"]), draw.randrange(500, 10_000) / 10_000) for _ in range(count)]


def open_result(path, name="found", card=CARD):
    layer = QgsVectorLayer(f"{path}|layername=detections", name)
    assert layer.isValid()
    QgsProject.instance().addMapLayer(layer)
    style_detections(layer, card)
    return layer


@pytest.fixture
def found(tmp_path, raster_layer, raster):
    """Layer of the five detections of the scenery, three of them at or above the threshold, with ground not seen."""
    from tests.ui.scenery import DETECTIONS

    model = write_card(tmp_path / "pools-and-trees.safetensors", CARD)
    return open_result(write_result(tmp_path / "found.gpkg", model, raster, DETECTIONS, gaps=2))


@pytest.fixture
def many(tmp_path, raster_layer, raster):
    """Layer of forty detections in a row."""
    model = write_card(tmp_path / "pools-and-trees.safetensors", CARD)
    return open_result(write_result(tmp_path / "many.gpkg", model, raster, random_rows(40)), "many")


@pytest.fixture
def zones(tmp_path):
    """Two zones: one over the first two objects, one over the third, and nothing over the others."""
    layer = QgsVectorLayer(f"Polygon?crs={CRS}&field=name:string", "zones", "memory")
    rows = []
    for name, first, last in (("west", 0, 2), ("middle", 2, 3)):
        x, y = ORIGIN[0] + STEP_M * first, ORIGIN[1]
        right = ORIGIN[0] + STEP_M * last
        rows.append((name, f"POLYGON(({x} {y},{right} {y},{right} {y - 30},{x} {y - 30},{x} {y}))"))
    for name, wkt in rows:
        feature = QgsFeature(layer.fields())
        feature["name"] = name
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        layer.dataProvider().addFeature(feature)
    QgsProject.instance().addMapLayer(layer)
    return layer


def attributes(layer, *names):
    return [tuple(feature[name] for name in names) for feature in layer.getFeatures()]
