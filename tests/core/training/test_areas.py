import numpy as np
import pytest
import shapely

from core.detections.detections import Detections
from core.training.areas import CELL_PX, outside_boxes, outward, with_ignored
from core.training.labels import within


def test_bounds_grow_to_whole_pixels_but_not_for_rounding():
    assert outward((0.4, 1.0, 7.2, 9.0)) == (0, 1, 8, 9)
    assert outward((0.9999999, 1.0000001, 7.0000001, 8.9999999)) == (1, 1, 7, 9)


def test_nothing_lies_outside_of_a_whole_frame():
    assert outside_boxes(shapely.box(0, 0, 50, 30), 50, 30).shape == (0, 4)


def test_a_strip_outside_is_one_box():
    assert outside_boxes(shapely.box(0, 0, 32, 40), 48, 40).tolist() == [[32, 0, 48, 40]]


@pytest.mark.parametrize("seed", range(5))
def test_boxes_cover_each_cell_outside_once_and_no_other(seed):
    random = np.random.default_rng(seed)
    area = shapely.union_all(
        [shapely.Point(*random.uniform(0, 100, 2)).buffer(random.uniform(5, 40)) for _ in range(4)]
    )
    width, height = 101, 77
    covered = np.zeros((height, width), int)
    for x0, y0, x1, y1 in outside_boxes(area, width, height).astype(int).tolist():
        covered[y0:y1, x0:x1] += 1
    y, x = np.mgrid[0:height, 0:width] // CELL_PX * CELL_PX + CELL_PX / 2
    outside = ~shapely.intersects_xy(area, np.minimum(x, width - 1e-3), np.minimum(y, height - 1e-3))
    assert (covered == outside).all()


def test_ground_to_ignore_is_so_for_every_class():
    truth = with_ignored(Detections.truth(np.array([[1, 1, 2, 2]])), np.array([[0, 0, 9, 9], [9, 9, 12, 12]]), 2)
    assert truth.labels.tolist() == [0, 0, 0, 1, 1]
    assert truth.ignore.tolist() == [False, True, True, True, True]


def test_objects_outside_of_an_area_go_and_those_on_its_border_are_to_ignore():
    truth = Detections.truth(
        np.array([[0, 0, 10, 10], [15, 0, 25, 10], [19.6, 0, 20.4, 1], [30, 0, 40, 10], [10.3, 0, 20.2, 5]])
    )
    found = within(truth, shapely.box(0, 0, 20, 20))
    assert found.boxes[:, 0].tolist() == [0, 15, 19.6, 10.3]
    assert found.ignore.tolist() == [False, True, True, False]
