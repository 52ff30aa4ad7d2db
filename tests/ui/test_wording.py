"""Counts and durations as people say them."""

import pytest
from tilehawk.ui.wording import counted, duration


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({"pool": 0}, "no objects"),
        ({"pool": 1}, "1 pool"),
        ({"swimming pool": 1312}, "1,312 swimming pools"),
        ({"bus": 2}, "2 buses"),
        ({"car": 1, "bus": 0}, "1 object (car 1)"),
        ({"car": 300, "bus": 12}, "312 objects (car 300, bus 12)"),
    ],
)
def test_objects_are_counted_by_class(objects, words):
    assert counted(objects) == words


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (99, "99 s"), (180, "3 min"), (7800, "2 h 10 min")])
def test_time_is_told_as_people_do(seconds, words):
    assert duration(seconds) == words
