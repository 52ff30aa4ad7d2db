import numpy as np
import pytest

from core.detections.detections import Detections
from core.detections.joining import join
from core.detections.lattice import Lattice
from core.detections.waiting import as_waiting

# Four tiles of 100 px, 80 px apart: 0 and 1 above 2 and 3.
WINDOWS = np.array([[0.0, 0, 100, 100], [80, 0, 180, 100], [0, 80, 100, 180], [80, 80, 180, 180]])
EDGES = np.array([0.0, 0, 180, 180])
VIEWS = np.where(WINDOWS == EDGES, [-np.inf, -np.inf, np.inf, np.inf], WINDOWS)
SQUARE = Lattice(WINDOWS, VIEWS, 2, np.ones(4, bool))


def joined(*parts, labels=None):
    """Join boxes in the grid frame, each given with its tile and its score."""
    shown = []
    for k, (tile, score, box) in enumerate(parts):
        local = np.array([box], float) - WINDOWS[tile, [0, 1, 0, 1]]
        label = 0 if labels is None else labels[k]
        shown.append((tile, Detections(local, np.array([score]), np.array([label]))))
    found = join(as_waiting(shown, SQUARE), SQUARE)
    return sorted(zip(found.boxes.tolist(), found.scores.tolist(), strict=True))


def test_parts_on_both_sides_of_a_seam_become_their_bounding_rectangle():
    assert joined((0, 0.5, (40, 10, 100, 30)), (1, 0.7, (80, 12, 150, 30))) == [([40, 10, 150, 30], 0.7)]


def test_parts_around_a_corner_are_joined_through_their_neighbours():
    parts = [(0, 0.5, (60, 60, 100, 100)), (1, 0.6, (80, 60, 120, 100)), (2, 0.7, (60, 80, 100, 120))]
    parts.append((3, 0.8, (80, 80, 120, 120)))
    assert joined(*parts) == [([60, 60, 120, 120], 0.8)]


def test_tiles_that_touch_by_a_corner_only_are_not_joined():
    assert len(joined((0, 0.5, (60, 60, 100, 100)), (3, 0.8, (80, 80, 120, 120)))) == 2


@pytest.mark.parametrize(
    "second",
    [
        (95, 10, 150, 30),  # agrees too little where both look
        (80, 35, 150, 50),  # beside
    ],
)
def test_what_does_not_agree_stays_apart(second):
    assert len(joined((0, 0.5, (40, 10, 100, 30)), (1, 0.7, second))) == 2


def test_parts_that_miss_the_edge_are_joined_if_they_share_enough():
    # Where both look, 80 to 100: 80-92 and 87-100 share a quarter of what they cover, and all of it up to the edges.
    assert joined((0, 0.5, (20, 10, 92, 30)), (1, 0.7, (87, 10, 160, 30))) == [([20, 10, 160, 30], 0.7)]
    assert len(joined((0, 0.5, (20, 10, 92, 30)), (1, 0.7, (87, 10, 160, 46)))) == 2, "not as high"
    assert len(joined((0, 0.5, (20, 10, 90, 30)), (1, 0.7, (90, 10, 160, 30)))) == 2, "two that stand end to end"


def test_a_partner_that_agrees_as_it_is_comes_first():
    # The left tile sees all of one object; the right one sees its end, and the next object.
    whole, end, next_one = (20, 10, 92, 30), (80, 10, 91, 30), (88, 10, 160, 30)
    assert joined((0, 0.9, whole), (1, 0.4, end), (1, 0.8, next_one)) == [
        ([20, 10, 92, 30], 0.9),
        ([88, 10, 160, 30], 0.8),
    ]


def test_a_whole_object_joins_nothing():
    assert len(joined((0, 0.5, (60, 10, 90, 40)), (1, 0.7, (80, 10, 90, 40)))) == 2


def test_another_class_is_another_object():
    assert len(joined((0, 0.5, (40, 10, 100, 30)), (1, 0.7, (80, 10, 150, 30)), labels=(0, 1))) == 2


def test_only_the_best_partner_is_joined():
    found = joined((0, 0.5, (40, 10, 100, 30)), (1, 0.9, (80, 13, 150, 33)), (1, 0.6, (80, 10, 140, 29)))
    assert found == [([40, 10, 140, 30], 0.6), ([80, 13, 150, 33], 0.9)]
