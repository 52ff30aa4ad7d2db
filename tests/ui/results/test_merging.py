"""Detecting again: what was reviewed is never touched, numbers are kept, and only the area looked at is replaced."""

import random

import pytest
from qgis.core import QgsFeature, QgsGeometry, QgsProject, QgsRectangle, QgsVectorLayer
from tilehawk.core.job.errors import OutputError
from tilehawk.ui.background import Work
from tilehawk.ui.results.agreement import Box, plan_merge
from tilehawk.ui.results.merging import apply_changes, earlier_result, merging
from tilehawk.ui.results.origin import origin_of
from tilehawk.ui.review.edits import ReviewEdits

from tests.ui.results.conftest import open_result, write_result
from tests.ui.scenery import CARD, ORIGIN, write_card


def box(fid, x, y, side=10.0, name="pool", score=0.5, state=""):
    return Box(fid, name, score, state, x, y, x + side, y + side)


def test_a_box_found_again_keeps_its_number():
    plan = plan_merge([box(1, 0, 0)], [box(7, 1, 1)])
    assert {old: new.fid for old, new in plan.updates.items()} == {1: 7}
    assert plan.additions == plan.deletions == []


def test_boxes_that_agree_too_little_or_are_of_another_class_are_added():
    new = [box(7, 6, 0), box(8, 1, 0, name="tree")]
    plan = plan_merge([box(1, 0, 0)], new)
    assert plan.additions == new
    assert plan.updates == {}


@pytest.mark.parametrize("state", ["accepted", "rejected", "changed", "drawn", "doubtful"])
def test_reviewed_boxes_are_never_touched_and_come_back_under_no_name(state):
    old = [box(1, 0, 0, name="tub", state=state)]
    plan = plan_merge(old, [box(7, 1, 0)], inside=lambda x, y: True)
    assert plan.updates == {}
    assert plan.additions == plan.deletions == []


def test_the_best_pairs_first_and_one_to_one():
    plan = plan_merge([box(1, 0, 0), box(2, 2, 0)], [box(7, 2, 0), box(8, 1, 0)])
    assert {old: new.fid for old, new in plan.updates.items()} == {2: 7, 1: 8}


def test_only_what_lies_in_the_area_goes():
    old = [box(1, 0, 0), box(2, 100, 0), box(3, 20, 0, state="accepted"), box(4, 40, 0)]
    plan = plan_merge(old, [box(7, 40, 0)], inside=lambda x, y: x < 50)
    assert plan.deletions == [1]
    assert list(plan.updates) == [4]


def test_the_grid_misses_nothing():
    """Against all pairs: which new boxes agree with an old one."""
    draw = random.Random(5)
    old = [box(n, draw.uniform(-300, 300), draw.uniform(-300, 300), draw.choice([3, 10, 900])) for n in range(300)]
    new = [box(n, draw.uniform(-300, 300), draw.uniform(-300, 300), draw.choice([3, 10, 900])) for n in range(300)]
    alone = [each.fid for each in new if not any(each.iou(other) > 0.5 for other in old)]
    added = {each.fid for each in plan_merge(old, new).additions}
    assert set(alone) <= added
    reviewed = [Box(b.fid, b.name, b.score, "accepted", b.xmin, b.ymin, b.xmax, b.ymax) for b in old]
    assert [each.fid for each in plan_merge(reviewed, new).additions] == alone


def merge(earlier, new, looked_at=None, replace=False):
    work = merging(earlier, new, looked_at, replace)
    return apply_changes(earlier, work(Work("merging", work)))


def table(layer):
    layer.dataProvider().reloadData()
    layer.setSubsetString("")
    fields = layer.fields().names()
    return {
        feature["id"]: (feature["class"], feature["score"], feature["review"] if "review" in fields else None)
        for feature in layer.getFeatures()
    }


@pytest.fixture
def again(found, tmp_path, raster):
    """A second run: the pools at places 0 and 1 again, surer; nothing at 2 to 4; a tree at place 5."""
    model = tmp_path / "pools-and-trees.safetensors"
    rows = [("pool", 0.95), ("pool", 0.75), ("x", 0.0), ("x", 0.0), ("x", 0.0), ("tree", 0.8)]
    layer = open_result(write_result(tmp_path / "again.gpkg", model, raster, rows), "again")
    layer.setSubsetString("")
    layer.dataProvider().deleteFeatures([feature.id() for feature in layer.getFeatures() if feature["class"] == "x"])
    return layer


def test_merge_updates_and_adds(found, again):
    ReviewEdits(found, origin_of(found), 6).mark(2, "rejected")
    outcome = merge(found, again)
    assert (outcome.updated, outcome.added, outcome.deleted) == (1, 1, 0)
    rows = table(found)
    assert rows[1][:2] == ("pool", 0.95)
    assert rows[2] == ("pool", 0.6, "rejected")
    assert rows[6][:2] == ("tree", 0.8)
    assert sorted(rows) == [1, 2, 3, 4, 5, 6]


def test_merging_twice_changes_nothing_more(found, again):
    merge(found, again)
    rows = table(found)
    outcome = merge(found, again)
    assert (outcome.updated, outcome.added, outcome.deleted) == (3, 0, 0)
    assert table(found) == rows


def test_replace_deletes_only_in_the_area_and_never_what_was_reviewed(found, again):
    ReviewEdits(found, origin_of(found), 6).mark(3, "accepted")
    x, y = ORIGIN
    west = QgsGeometry.fromRect(QgsRectangle(x, y - 50, x + 3 + 9 * 4 - 1, y))  # places 0 to 3
    outcome = merge(found, again, west, replace=True)
    assert (outcome.updated, outcome.added, outcome.deleted) == (2, 1, 1)
    assert sorted(table(found)) == [1, 2, 3, 5, 6]


def test_replace_keeps_what_lies_on_ground_that_was_not_examined(found, again):
    path = again.source().split("|")[0]
    gaps = QgsVectorLayer(f"{path}|layername=not_examined", "gaps")
    gap = QgsFeature(gaps.fields())
    x, y = ORIGIN
    gap.setGeometry(QgsGeometry.fromRect(QgsRectangle(x + 3 + 9 * 3, y - 50, x + 500, y)))  # from place 3 on
    assert gaps.dataProvider().addFeature(gap)
    merge(found, again, None, replace=True)
    assert sorted(table(found)) == [1, 2, 4, 5, 6]


def test_earlier_results_are_of_the_same_model_and_raster(found, again, raster_layer, tmp_path, raster):
    assert earlier_result(again) is found
    assert earlier_result(found) is again
    other = write_card(tmp_path / "others.safetensors", CARD)
    alone = open_result(write_result(tmp_path / "alone.gpkg", other, raster, []), "alone")
    assert earlier_result(alone) is None
    QgsProject.instance().removeMapLayer(again)
    found.startEditing()
    assert earlier_result(found) is None
    with pytest.raises(OutputError, match="being edited"):
        merging(found, alone, None, False)
    found.rollBack()
