import numpy as np
import pytest

from core.detections.detections import Detections
from core.detections.lattice import Lattice
from core.detections.waiting import Waiting, agreement, as_waiting, cut_sides

WINDOWS = np.array([[0.0, 0, 100, 100], [80, 0, 180, 100]])
VIEWS = np.array([[-np.inf, -np.inf, 100, np.inf], [80, -np.inf, np.inf, np.inf]])
PAIR = Lattice(WINDOWS, VIEWS, 2, np.ones(2, bool))


def found(*boxes):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(boxes, np.linspace(0.9, 0.5, len(boxes)), np.zeros(len(boxes), np.int64))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((40, 40, 97.9, 60), [False, False, True, False]),  # 2.1 px away, but within 20 % of 58 px
        ((85, 40, 97, 60), [False, False, False, False]),  # 3 px away, 20 % are 2.4 px, but at least 2 px count
        ((87, 40, 98, 60), [False, False, True, False]),
        ((1, 1, 99, 99), [True, True, True, True]),
        ((0, 45, 10, 50), [True, False, False, False]),
    ],
)
def test_a_side_is_cut_near_the_edge_of_its_view(box, expected):
    view = np.array([[0.0, 0, 100, 100]])
    assert cut_sides(np.array([box], float), view).tolist() == [expected]


def test_the_edge_of_the_raster_cuts_nothing():
    view = np.array([[-np.inf, -np.inf, np.inf, np.inf]])
    assert not cut_sides(np.array([[0.0, 0, 100, 100]]), view).any()


def test_boxes_are_compared_where_both_tiles_look():
    boxes = np.array([[50.0, 10, 100, 30], [80, 10, 160, 30], [90, 10, 160, 30]])
    views = VIEWS[[0, 1, 1]]
    assert agreement(boxes, views, np.array([0, 0]), np.array([1, 2])) == pytest.approx([1, 0.5])


def test_what_a_tile_shows_moves_into_the_grid_and_stays_in_its_tile():
    waiting = as_waiting([(1, found((10, 10, 30, 30), (90, 10, 120, 30), (100, 0, 110, 10)))], PAIR)
    assert waiting.boxes.tolist() == [[90, 10, 110, 30], [170, 10, 180, 30]]
    assert waiting.part_tile.tolist() == [1, 1]


def test_only_sides_with_a_tile_beyond_face_one():
    waiting = as_waiting([(1, found((0, 0, 10, 10), (90, 90, 100, 100)))], PAIR)
    assert waiting.part_faces.tolist() == [[True, False, False, False], [False] * 4]


def test_parts_stay_with_their_objects():
    one = as_waiting([(0, found((0, 0, 9, 9), (20, 20, 29, 29)))], PAIR)
    two = as_waiting([(1, found((50, 50, 59, 59)))], PAIR)
    both = Waiting.concatenate([one, two])
    assert both.part_of.tolist() == [0, 1, 2]
    kept = both.take(np.array([False, True, True]))
    assert kept.part_of.tolist() == [0, 1]
    assert kept.part_tile.tolist() == [0, 1]
    assert np.array_equal(kept.boxes[kept.part_of], kept.part_boxes)


def test_tiles_taken_together_are_what_they_are_one_by_one():
    shown = [(1, found((0, 0, 10, 10), (30, 20, 60, 80))), (0, found()), (0, found((90, 90, 100, 100)))]
    together = as_waiting(shown, PAIR)
    one_by_one = Waiting.concatenate([as_waiting([one], PAIR) for one in shown])
    assert all(np.array_equal(column, getattr(one_by_one, name)) for name, column in vars(together).items())
    assert len(as_waiting([], PAIR)) == 0
