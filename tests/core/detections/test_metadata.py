import json
import sqlite3
from xml.etree import ElementTree

from core.detections.metadata import layer_metadata

RUN = {"raster": "C:\\Bilder\\Straße <1> & 2.tif", "threshold": 0.35, "objects": {"pool": 3, "tree": 4}, "notices": []}


def test_the_abstract_is_readable_and_the_history_holds_everything():
    root = ElementTree.fromstring(layer_metadata("detections", RUN))
    assert root.tag == "qgis"
    assert root.findtext("title") == "detections"
    lines = root.findtext("abstract").split("\n")
    assert lines[0] == "Made by Tilehawk."
    assert "raster: C:\\Bilder\\Straße <1> & 2.tif" in lines
    assert "objects: pool 3, tree 4" in lines
    assert "notices: none" in lines
    assert json.loads(root.findtext("history")) == RUN


def test_signs_that_xml_cannot_hold_are_replaced():
    root = ElementTree.fromstring(layer_metadata("detections", {"raster": "a\x00b\x1fc\ud800"}))
    assert root.findtext("abstract").endswith("raster: a?b?c?")


def test_sqlite_takes_the_text():
    database = sqlite3.connect(":memory:")
    text = layer_metadata("detections", RUN)
    assert database.execute("SELECT ?", (text,)).fetchone() == (text,)
