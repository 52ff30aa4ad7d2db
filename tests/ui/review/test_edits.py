"""Edits of a review are in the file at once, can be taken back one by one, and leave all else alone."""

import sqlite3

import pytest
from qgis.core import NULL, QgsRectangle, QgsVectorLayer
from tilehawk.core.job.errors import OutputError
from tilehawk.ui.background import Work
from tilehawk.ui.layers import shown_classes
from tilehawk.ui.results.export import exporting
from tilehawk.ui.results.filter import Filter
from tilehawk.ui.results.origin import origin_of
from tilehawk.ui.review.edits import ReviewEdits, require_reviewable
from tilehawk.ui.review.loading import reading

from tests.ui.scenery import ORIGIN


def stored(layer):
    """Rows of the file, read by nobody of QGIS."""
    with sqlite3.connect(layer.source().split("|")[0]) as database:
        return database.execute("SELECT id, class, score, box_area_m2, review FROM detections ORDER BY id").fetchall()


@pytest.fixture
def edits(found):
    return ReviewEdits(found, origin_of(found), 6)


def test_field_is_added_by_the_first_review_only(found, edits):
    assert found.fields().names().count("review") == 1
    ReviewEdits(found, origin_of(found), 6)
    assert found.fields().names().count("review") == 1
    assert found.subsetString() == '"score" >= 0.4'
    assert origin_of(found).reviewed


def test_states_are_in_the_file_at_once(found, edits):
    edits.mark(1, "accepted")
    edits.mark(2, "rejected")
    edits.reclass(3, "tub")
    assert stored(found) == [
        (1, "pool", 0.9, 51.84, "accepted"),
        (2, "pool", 0.6, 51.84, "rejected"),
        (3, "tub", 0.5, 51.84, "changed"),
        (4, "pool", 0.2, 51.84, None),
        (5, "tree", 0.1, 51.84, None),
    ]
    assert "tub" in shown_classes(found)


def test_filter_hides_the_rejected_and_keeps_the_confirmed(found, edits):
    edits.mark(2, "rejected")
    edits.mark(4, "doubtful")
    edits.mark(5, "accepted")
    found.setSubsetString(Filter(0.4).subset("box_area_m2", True))
    assert sorted(f["id"] for f in found.getFeatures()) == [1, 3, 5]
    found.setSubsetString(Filter(0.4, rejected=True).subset("box_area_m2", True))
    assert sorted(f["id"] for f in found.getFeatures()) == [1, 2, 3, 5]


def test_another_box_and_a_new_one(found, edits):
    x, y = ORIGIN
    edits.redraw(1, QgsRectangle(x, y - 20, x + 10, y - 10))
    fid = edits.draw(QgsRectangle(x + 30, y - 40, x + 40, y - 20), "pool")
    rows = stored(found)
    assert rows[0][3] == pytest.approx(100, rel=2e-3)
    assert rows[0][4] == "changed"
    assert rows[5][:3] == (6, "pool", None)
    assert rows[5][3] == pytest.approx(200, rel=2e-3)
    assert rows[5][4] == "drawn"
    assert edits.feature(fid).geometry().boundingBox().width() == pytest.approx(10)
    assert edits.draw(QgsRectangle(x, y - 40, x + 10, y - 30), "pool") != fid
    assert stored(found)[6][0] == 7


def test_every_step_can_be_taken_back(found, edits):
    before = stored(found)
    shapes = {f["id"]: f.geometry().asWkt() for f in found.getFeatures()}
    x, y = ORIGIN
    edits.mark(1, "accepted")
    edits.reclass(1, "tree")
    edits.redraw(2, QgsRectangle(x, y - 20, x + 10, y - 10))
    edits.draw(QgsRectangle(x, y - 20, x + 10, y - 10), "pool")
    assert [edits.undo() for _ in range(5)] == [None, 2, 1, 1, None]
    assert stored(found) == before
    assert {f["id"]: f.geometry().asWkt() for f in found.getFeatures()} == shapes
    assert not edits.can_undo


def test_an_object_that_is_gone_is_a_sentence(edits):
    with pytest.raises(OutputError, match="no longer in the layer"):
        edits.mark(99, "accepted")


def test_what_cannot_keep_a_review_is_refused(found, tmp_path):
    found.startEditing()
    with pytest.raises(OutputError, match="being edited"):
        require_reviewable(found)
    found.rollBack()
    work = exporting(found, str(tmp_path / "pools.shp"), True, False)
    work(Work("saving", work))
    with pytest.raises(OutputError, match="GeoPackage, not in a Shapefile"):
        require_reviewable(QgsVectorLayer(str(tmp_path / "pools.shp"), "pools"))


def read(layer, shown, sampled=False):
    work = reading(layer, origin_of(layer), shown, sampled)
    return work(Work("reading", work))


def test_what_is_shown_is_reviewed_and_what_was_found_is_sampled(found):
    objects = read(found, Filter(0.4))
    assert sorted(objects.least_sure_first) == [1, 2, 3]
    assert objects.next_id == 6
    edits = ReviewEdits(found, origin_of(found), objects.next_id)
    edits.mark(2, "rejected")
    edits.mark(5, "accepted")
    edits.draw(QgsRectangle(*ORIGIN, ORIGIN[0] + 5, ORIGIN[1] + 5), "pool")
    again = read(found, Filter(0.4))
    assert sorted(again.by_place) == sorted(again.least_sure_first) == [1, 2, 3, 5, 6]
    assert again.states == {2: "rejected", 5: "accepted", 6: "drawn"}
    sampled = read(found, Filter(0.4), sampled=True)
    assert sorted(sampled.by_place) == [1, 2, 3]
    assert sampled.next_id == 7
    assert found.getFeature(6)["score"] == NULL
