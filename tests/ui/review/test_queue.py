"""The order of a review: every object once, least sure or nearest first, undecided ones before the end."""

import itertools
import math
import random

import pytest
from tilehawk.ui.review.queue import Candidate, Objects, Queue, along_a_curve, drawn_at_random, least_sure_first


def scattered(count, seed=3):
    draw = random.Random(seed)
    return [Candidate(n, draw.random() * 900, draw.random() * 500, draw.random()) for n in range(count)]


def queue_of(candidates):
    objects = Objects.of(candidates, 99)
    return Queue(objects.least_sure_first, objects.states)


def path_length(candidates):
    return sum(math.dist((a.x, a.y), (b.x, b.y)) for a, b in itertools.pairwise(candidates))


@pytest.mark.parametrize("count", [0, 1, 2, 77])
def test_orders_hold_every_object_once(count):
    objects = scattered(count)
    for order in (along_a_curve(objects), least_sure_first(objects)):
        assert sorted(each.fid for each in order) == list(range(count))


def test_by_place_is_a_short_way():
    objects = scattered(1000)
    assert path_length(along_a_curve(objects)) < path_length(objects) / 10


def test_least_sure_first_and_drawn_ones_last():
    objects = [Candidate(1, 0, 0, 0.9), Candidate(2, 0, 0, None), Candidate(3, 0, 0, 0.41)]
    assert [each.fid for each in least_sure_first(objects)] == [3, 1, 2]


def test_decided_objects_are_passed_and_skipped_ones_come_back():
    objects = [Candidate(n, n, 0, n / 10, "accepted" if n == 2 else "") for n in range(1, 5)]
    queue = queue_of(objects)
    seen = []
    assert queue.current == 1
    queue.skip()
    while queue.current is not None:
        seen.append(queue.current)
        queue.decide(queue.current, "rejected")
        queue.go_on()
    assert seen == [3, 4, 1]
    assert queue.decided == 4
    assert queue.count("rejected") == 3
    queue.go_to(3)
    assert queue.current == 3


def test_the_only_one_left_cannot_be_skipped_away():
    queue = queue_of([Candidate(1, 0, 0, 0.5)])
    queue.skip()
    assert queue.current == 1


def test_steps_stay_within():
    queue = queue_of(scattered(3))
    queue.step(-5)
    assert queue.current == queue.order[0]
    queue.step(9)
    assert queue.current == queue.order[2]


def test_sample_is_drawn_without_replacement_and_evenly():
    objects = scattered(100)
    counts = dict.fromkeys(range(100), 0)
    for seed in range(300):
        drawn = drawn_at_random(objects, random.Random(seed))
        assert len({each.fid for each in drawn}) == 30
        for each in drawn:
            counts[each.fid] += 1
    assert all(55 < count < 130 for count in counts.values())  # 90 each, standard deviation 8
    assert len(drawn_at_random(objects[:7], random.Random(1))) == 7


def test_counts_follow_every_decision():
    draw = random.Random(8)
    queue = queue_of(scattered(20))
    said = {}
    for _ in range(300):
        fid, state = draw.randrange(25), draw.choice(["accepted", "rejected", ""])  # 20 to 24: drawn meanwhile
        queue.decide(fid, state)
        said[fid] = state
        assert queue.decided == sum(1 for known, value in said.items() if value and known < 20)
        assert queue.count("accepted", "rejected") == sum(1 for value in said.values() if value)
