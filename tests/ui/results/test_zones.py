"""Counts by zone: of what is shown, by the objects' centres, in all and by class."""

import pytest
from qgis.core import QgsProject
from tilehawk.ui.layers import show_class
from tilehawk.ui.results.zones import ZoneCount

from tests.ui.results.conftest import attributes
from tests.ui.scenery import wait_until

pytestmark = pytest.mark.usefixtures("qgis_processing")


def count(found, zones):
    ends = []
    counting = ZoneCount(found, zones)
    counting.done.connect(ends.append)
    counting.failed.connect(ends.append)
    counting.start()
    wait_until(lambda: ends)
    wait_until(lambda: counting._context is None)
    return ends[0]


def test_objects_by_zone_and_class(found, zones):
    layer = count(found, zones)
    assert layer.fields().names() == ["name", "objects", "pool", "tree"]
    assert attributes(layer, "name", "objects", "pool", "tree") == [("west", 2, 2, 0), ("middle", 1, 0, 1)]
    assert layer.name() == "found by zones"
    assert layer.labelsEnabled()
    QgsProject.instance().addMapLayer(layer)


def test_only_what_is_shown_counts(found, zones):
    found.setSubsetString('"score" >= 0.55')
    show_class(found, "tree", False)
    layer = count(found, zones)
    assert attributes(layer, "name", "objects") == [("west", 2), ("middle", 0)]
    found.setSubsetString('"score" >= 0.7')
    assert attributes(count(found, zones), "objects") == [(1,), (0,)]


def test_fields_of_the_zones_are_kept(found, zones):
    from qgis.core import QgsField
    from qgis.PyQt.QtCore import QMetaType

    zones.dataProvider().addAttributes([QgsField("Objects", QMetaType.Type.Int)])
    zones.updateFields()
    show_class(found, "tree", False)
    assert count(found, zones).fields().names() == ["name", "Objects", "objects_2"]
