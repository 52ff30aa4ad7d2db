import numpy as np

from core.accuracy.matching import match
from core.detections.detections import Detections


def found(boxes, scores, labels=None):
    labels = np.zeros(len(boxes), np.int64) if labels is None else np.array(labels)
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), labels)


def test_the_best_score_takes_the_best_free_object():
    truth = Detections.truth([[0, 0, 10, 10], [0, 3, 10, 13]])
    detected = found([[0, 1, 10, 11], [0, 0, 10, 10]], [0.9, 0.8])
    # The first has IoU 9/11 with the first object and 8/12 with the second; the second detection is left 7/13.
    assert match(detected, truth, 0.5).taken.tolist() == [0, 1]
    assert match(detected, truth, 0.6).taken.tolist() == [0, -1]


def test_two_detections_of_one_object_count_once():
    truth = Detections.truth([[0, 0, 10, 10]])
    assert match(found([[0, 0, 10, 10]] * 2, [0.3, 0.6]), truth, 0.5).taken.tolist() == [-1, 0]


def test_iou_equal_to_the_limit_matches():
    truth = Detections.truth([[0, 0, 10, 10]])
    assert match(found([[0, 0, 10, 5]], [1]), truth, 0.5).taken.tolist() == [0]


def test_another_class_is_no_match():
    truth = Detections.truth([[0, 0, 10, 10]], [1])
    assert match(found([[0, 0, 10, 10]], [1], [0]), truth, 0.5).taken.tolist() == [-1]


def test_ignored_truth_excuses_but_is_not_found():
    truth = Detections.truth([[0, 0, 10, 10], [0, 0, 100, 100]], ignore=[False, True])
    detected = found([[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 60, 60], [95, 95, 115, 115]], [0.9, 0.8, 0.7, 0.6])
    matches = match(detected, truth, 0.5)
    assert matches.taken.tolist() == [0, -1, -1, -1]
    assert matches.excused.tolist() == [False, True, True, False]


def test_nothing_against_nothing():
    assert match(Detections.empty(), Detections.empty(), 0.5).taken.tolist() == []
    assert match(Detections.empty(), Detections.truth([[0, 0, 1, 1]]), 0.5).excused.tolist() == []
    assert match(found([[0, 0, 1, 1]], [1]), Detections.empty(), 0.5).taken.tolist() == [-1]
