"""A review as labels: confirmed ones to learn, doubtful and unseen ones to ignore, rejected ones as plain ground."""

import pytest
from osgeo import ogr
from qgis.core import QgsRectangle
from tilehawk.core.job.errors import InvalidJob
from tilehawk.ui.background import Work
from tilehawk.ui.results.filter import Filter
from tilehawk.ui.results.origin import origin_of
from tilehawk.ui.review.edits import ReviewEdits
from tilehawk.ui.review.training_inputs import training_inputs

from tests.ui.scenery import ORIGIN


def inputs(layer):
    work = training_inputs(layer, origin_of(layer), Filter(0.05))
    return work(Work("writing", work))


def rows(source):
    path, layer = source.split("|layername=")
    data = ogr.Open(path)
    return [(feature.items(), feature.GetGeometryRef().Clone()) for feature in data.GetLayerByName(layer)]


def test_what_was_said_becomes_labels_and_ground(many, raster):
    edits = ReviewEdits(many, origin_of(many), 41)
    edits.mark(1, "accepted")
    edits.mark(2, "rejected")
    edits.reclass(3, "tub")
    edits.mark(4, "doubtful")
    x, y = ORIGIN
    edits.draw(QgsRectangle(x + 3, y - 30, x + 10, y - 23), "pool")
    given = inputs(many)
    assert (given.positives, given.negatives, given.ignored) == (3, 1, 1)
    assert given.raster == raster
    assert given.classes == ("pool", "tree", "tub")
    assert given.start_from.endswith("pools-and-trees.safetensors")
    ((_, area),) = rows(given.area)
    labels = rows(given.labels)
    fields = [(items[given.class_field], items[given.ignore_field]) for items, _ in labels]
    assert fields[1][0] == "tub"
    assert [ignore for _, ignore in fields[:3]] == [0, 0, 1]
    assert fields[-1] == ("pool", 0)
    centres = [shape.Centroid().GetX() for _, shape in labels]
    assert not any(abs(centre - (x + 15.6)) < 1 for centre in centres[:-1])  # the rejected one has no label
    assert area.Contains(ogr.CreateGeometryFromWkt(f"POINT({x + 15.6} {y - 9.6})"))  # but is known ground
    assert all(ignore == 1 for _, ignore in fields[3:-1])  # not looked at
    assert 5 < len(labels) < 40  # those far from any answer are left out
    assert all(area.Intersects(shape) for _, shape in labels)


def test_without_answers_there_is_nothing_to_learn(many):
    with pytest.raises(InvalidJob, match="Review some objects first"):
        inputs(many)
    ReviewEdits(many, origin_of(many), 41).mark(1, "doubtful")
    with pytest.raises(InvalidJob, match="Review some objects first"):
        inputs(many)
