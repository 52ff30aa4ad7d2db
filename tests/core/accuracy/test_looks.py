import numpy as np

from core.accuracy.looks import Look, chip_around, judge, sample_windows, worst_false_finds, worst_misses
from core.detections.detections import Detections


def found(*rows: tuple[float, ...]) -> Detections:
    """Detections of (x, y, side, score, label)."""
    table = np.array(rows, float).reshape(-1, 5)
    boxes = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:3]], axis=1)
    return Detections(boxes, table[:, 3], table[:, 4].astype(np.int64))


def look(detected: Detections, truth: Detections, ignore: list[bool] | None = None, size: int = 200) -> Look:
    marked = Detections.truth(truth.boxes, truth.labels, ignore)
    return Look("a", detected, marked, (size, size), lambda x, y, w, h: np.zeros((3, h, w), np.uint8))


TRUE = found((0, 0, 10, 1, 0), (50, 0, 10, 1, 0), (0, 50, 40, 1, 0), (100, 100, 20, 1, 1))
SEEN = found(
    (0, 0, 10, 0.9, 0), (54, 0, 10, 0.8, 0), (100, 100, 20, 0.7, 0), (150, 150, 9, 0.6, 0), (0, 50, 40, 0.2, 0)
)


def test_detections_under_the_threshold_find_nothing():
    judged = judge(look(SEEN, TRUE), 0.5, 0.5)
    assert judged.hit.tolist() == [True, False, False, False]
    assert judged.missed.tolist() == [False, True, True, True]
    assert judge(look(SEEN, TRUE), 0.1, 0.3).missed.tolist() == [False, False, False, True]


def test_what_is_to_ignore_is_neither_missed_nor_wrong():
    judged = judge(look(SEEN, TRUE, [False, False, True, False]), 0.1, 0.5)
    assert not judged.missed[2]
    assert judged.excused.tolist() == [False, False, False, False, True]
    assert [place.row for place in worst_false_finds([judged], 9)] == [1, 2, 3]


def test_the_worst_misses_are_the_largest_that_nothing_lies_on():
    places = worst_misses([judge(look(SEEN, TRUE), 0.5, 0.5)], 9)
    assert [place.row for place in places] == [2, 3, 1]
    assert (places[0].other, places[0].overlap) == (-1, 0.0)
    assert places[1].other == 2  # a detection of another class lies on it
    assert len(worst_misses([judge(look(SEEN, TRUE), 0.5, 0.5)], 2)) == 2


def test_the_worst_false_finds_score_highest_and_tell_what_they_lie_on():
    empty = judge(look(found((5, 5, 9, 0.95, 0)), Detections.empty()), 0.5, 0.5)
    places = worst_false_finds([judge(look(SEEN, TRUE), 0.5, 0.5), empty], 9)
    assert [(place.look, place.row) for place in places] == [(1, 0), (0, 1), (0, 2), (0, 3)]
    assert (places[2].other, places[2].overlap) == (3, 1.0)


def test_a_chip_shows_its_object_in_its_surroundings():
    x, y, side = chip_around(np.array([100, 100, 130, 120.0]))
    assert (x, y, side) == (70, 65, 90)
    assert chip_around(np.array([0, 0, 4, 4.0]))[2] == 48


def test_sample_windows_lie_within_their_images_and_hold_objects():
    small = look(SEEN, found((5, 5, 5, 1, 0)), size=40)
    windows = sample_windows([look(SEEN, TRUE), small, look(SEEN, Detections.empty())], 10, 64)
    assert [number for number, _ in windows] == [0, 0, 0, 1]
    assert windows[-1][1] == (0, 0, 40, 40)
    assert {window for _, window in windows[:3]} == {(0, 0, 67, 67), (0, 67, 67, 67), (67, 67, 67, 67)}
    assert len(sample_windows([look(SEEN, TRUE)], 2, 64)) == 2
    assert sample_windows([], 5, 64) == []
