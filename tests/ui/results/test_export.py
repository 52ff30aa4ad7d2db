"""Exports: what is shown or everything, with the field names, encodings and coordinates that each format asks for."""

import csv
import json
from pathlib import Path

import pytest
from osgeo import ogr
from qgis.core import QgsProject, QgsVectorLayer
from tilehawk.core.job.errors import OutputError
from tilehawk.ui.background import Work, start_work
from tilehawk.ui.layers import show_class
from tilehawk.ui.results.export import FORMATS, exporting

from tests.ui.scenery import wait_until


def export(layer, path, only_shown=True, centres=False):
    ends = []
    work = Work("exporting", exporting(layer, str(path), only_shown, centres))
    work.done.connect(lambda value: ends.append(value))
    work.failed.connect(ends.append)
    start_work(work)
    wait_until(lambda: ends)
    return ends[0]


def reopened(path):
    layer = QgsVectorLayer(str(path), "again")
    assert layer.isValid()
    return layer


def test_shapefile_has_its_parts_short_names_and_letters_of_any_script(found, tmp_path):
    found.dataProvider().changeAttributeValues({1: {found.fields().indexFromName("class"): "Größe プール"}})
    path = tmp_path / "Zürich pools ü.shp"
    assert export(found, path) == (str(path), 3)
    assert (tmp_path / "Zürich pools ü.cpg").read_text() == "UTF-8"
    assert "UTM" in (tmp_path / "Zürich pools ü.prj").read_text()
    layer = reopened(path)
    assert layer.fields().names() == ["id", "class", "score", "area_m2"]
    assert sorted(f["class"] for f in layer.getFeatures()) == ["Größe プール", "pool", "tree"]
    assert layer.crs() == found.crs()


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.title)
def test_only_what_is_shown_or_everything(found, tmp_path, form):
    assert export(found, tmp_path / f"shown{form.suffix}")[1] == 3
    show_class(found, "tree", False)
    assert export(found, tmp_path / f"without_trees{form.suffix}")[1] == 2
    assert export(found, tmp_path / f"all{form.suffix}", only_shown=False)[1] == 5
    assert reopened(tmp_path / f"all{form.suffix}").featureCount() == 5


def test_geojson_is_in_degrees(found, tmp_path):
    path = tmp_path / "pools.geojson"
    export(found, path)
    first = json.loads(path.read_text())["features"][0]
    x, y = first["geometry"]["coordinates"][0][0]
    assert -118 < x < -116
    assert 33 < y < 35
    assert first["properties"]["box_area_m2"] == 51.84


def test_table_holds_centres_in_both_coordinates(found, tmp_path):
    path = tmp_path / "pools.csv"
    export(found, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["X"]) == pytest.approx(480006.6)
    assert float(rows[0]["latitude"]) == pytest.approx(33.98, abs=0.01)
    assert rows[0]["class"] == "pool"


def test_kml_names_its_objects(found, tmp_path):
    path = tmp_path / "pools.kml"
    export(found, path)
    assert "<name>pool 1</name>" in path.read_text()


def test_centres_lie_in_the_middle(found, tmp_path):
    path = tmp_path / "centres.gpkg"
    export(found, path, centres=True)
    data = ogr.Open(str(path))
    layer = data.GetLayer(0)
    assert layer.GetGeomType() == ogr.wkbPoint
    assert layer.GetNextFeature().GetGeometryRef().GetPoint_2D() == pytest.approx((480006.6, 3759990.4))


def test_a_file_of_the_project_is_refused(found):
    with pytest.raises(OutputError, match="open in the project"):
        exporting(found, found.source().split("|")[0], True, False)


def test_unknown_formats_and_folders_are_sentences(found, tmp_path):
    with pytest.raises(OutputError, match=r"\.kml"):
        exporting(found, "pools.doc", True, False)
    assert "cannot be written" in export(found, tmp_path / "nowhere" / "pools.gpkg")


def test_cancelled_exports_leave_nothing(found, tmp_path):
    path = tmp_path / "pools.shp"
    work = Work("exporting", exporting(found, str(path), True, False))
    work.cancel()
    assert not work.run()
    assert [file.name for file in tmp_path.iterdir() if file.stem == "pools"] == []


def test_layers_without_crs_cannot_be_in_degrees(found, tmp_path):
    from qgis.core import QgsCoordinateReferenceSystem

    found.setCrs(QgsCoordinateReferenceSystem())
    with pytest.raises(OutputError, match="no coordinate system"):
        exporting(found, str(tmp_path / "pools.kml"), True, False)
    assert export(found, tmp_path / "pools.csv")[1] == 3
    assert Path(tmp_path / "pools.csv").exists()
    assert QgsProject.instance().mapLayers()
