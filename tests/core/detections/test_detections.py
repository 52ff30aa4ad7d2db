import numpy as np
import pytest

from core.detections.detections import Detections


def some(n=3, dtype=np.float32):
    boxes = np.arange(4 * n, dtype=dtype).reshape(n, 4)
    return Detections(boxes, np.linspace(0.1, 0.9, n), np.arange(n))


def test_take_by_index_and_mask_keeps_rows_together():
    d = some()
    assert d.take(np.array([2, 0])).labels.tolist() == [2, 0]
    picked = d.take(d.scores > 0.3)
    assert len(picked) == 2
    assert picked.boxes[0].tolist() == d.boxes[1].tolist()


def test_moved_is_exact_far_from_the_origin():
    box = Detections(np.array([[1.25, 2.5, 3.75, 5]], np.float32), np.ones(1), np.zeros(1, np.int64))
    moved = box.moved(1_000_000, 2_000_000)
    assert moved.boxes.dtype == np.float64
    assert moved.boxes.tolist() == [[1_000_001.25, 2_000_002.5, 1_000_003.75, 2_000_005]]


def test_concatenate_is_the_inverse_of_taking_apart():
    d = some(5)
    again = Detections.concatenate([d.take(np.arange(2)), Detections.empty(), d.take(np.arange(2, 5))])
    assert np.array_equal(again.boxes, d.boxes)
    assert np.array_equal(again.labels, d.labels)
    assert len(Detections.concatenate([])) == 0


def test_ignore_survives_concatenation_with_truth_that_has_none():
    marked = Detections.truth([[0, 0, 1, 1]], ignore=[True])
    both = Detections.concatenate([Detections.truth([[5, 5, 6, 6]]), marked])
    assert both.ignore.tolist() == [False, True]
    assert both.take(np.array([1])).ignore.tolist() == [True]


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="different length"):
        Detections(np.zeros((2, 4)), np.zeros(3), np.zeros(2, np.int64))
