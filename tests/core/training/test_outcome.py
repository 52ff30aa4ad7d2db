import numpy as np
import pytest

from core.detections.detections import Detections
from core.training.outcome import areas, test_figures
from core.training.pictures import Picture


def pair(found: int, missed: int, false: int = 0) -> tuple[Detections, Detections]:
    """A picture on which so many objects are found, missed and made up."""
    boxes = np.array([[20.0 * i, 0, 20 * i + 10, 10] for i in range(found + missed)]).reshape(-1, 4)
    wrong = np.array([[20.0 * i, 50, 20 * i + 10, 60] for i in range(false)]).reshape(-1, 4)
    seen = np.concatenate([boxes[:found], wrong])
    scores = np.concatenate([np.full(found, 0.9), np.full(false, 0.8)])
    return Detections(seen, scores, np.zeros(len(seen), np.int64)), Detections.truth(boxes)


def test_figures_have_an_interval_that_holds_them():
    values = test_figures([pair(8, 2), pair(2, 8), pair(10, 0), pair(5, 5, 2)] * 3, 0.5, 0.5)
    assert values["recall"] == pytest.approx(25 / 40)
    assert (values["images"], values["objects"]) == (12, 120)
    for name, (low, high) in values["intervals"].items():
        assert low < values[name] < high, name


def test_pictures_that_are_all_alike_give_a_narrow_interval_and_unlike_ones_a_wide_one():
    alike = test_figures([pair(5, 5)] * 10, 0.5, 0.5)["intervals"]["recall"]
    unlike = test_figures([pair(10, 0), pair(0, 10)] * 5, 0.5, 0.5)["intervals"]["recall"]
    assert alike == [0.5, 0.5]
    assert unlike[1] - unlike[0] > 0.3


def test_a_single_picture_has_no_interval():
    assert "intervals" not in test_figures([pair(8, 2)], 0.5, 0.5)


def test_the_threshold_is_the_one_given():
    assert test_figures([pair(5, 0, 5)] * 2, 0.5, 0.85)["precision"] == 1
    assert test_figures([pair(5, 0, 5)] * 2, 0.5, 0.5)["precision"] == 0.5


def test_areas_are_told_in_degrees_by_image():
    values, truth = np.zeros((3, 100, 100), np.uint8), Detections.empty()
    place = {"path": "/a.tif", "crs": "EPSG:32611"}
    left = Picture(values, truth, "a", transform=(10.0, 0.0, 400_000.0, 0.0, -10.0, 3_760_000.0), **place)
    right = Picture(values, truth, "a", transform=(10.0, 0.0, 401_000.0, 0.0, -10.0, 3_760_000.0), **place)
    nowhere = Picture(values, truth, "b")
    ((west, south, east, north),) = areas([left, right, nowhere])
    assert (west, north) == pytest.approx((-118.084, 33.976), abs=0.005)
    assert east - west == pytest.approx(2000 / 92_000, abs=0.003)
    assert north - south == pytest.approx(1000 / 111_000, abs=0.003)
