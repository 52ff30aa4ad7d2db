from dataclasses import replace

import numpy as np

from core.detections.conflicts import conflicts, exposed
from core.detections.waiting import Waiting

EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)


def objects(*rows):
    """Objects, each given as box, view, score and its tiles."""
    parts = [(k, tile) for k, row in enumerate(rows) for tile in row[3]]
    part_of, part_tile = (np.array(column, np.int64) for column in zip(*parts, strict=True))
    boxes = np.array([row[0] for row in rows], float)
    return Waiting(
        boxes,
        np.array([row[1] for row in rows], float),
        np.array([row[2] for row in rows], float),
        np.zeros(len(rows), np.int64),
        part_of,
        part_tile,
        boxes[part_of],
        np.zeros((len(parts), 4), bool),
    )


def pairs(found, grows=None):
    grows = np.zeros(len(found), bool) if grows is None else np.array(grows)
    better, worse = conflicts(found, grows)
    return list(zip(better.tolist(), worse.tolist(), strict=True))


BOX = (10, 10, 30, 30)


def test_the_higher_score_ranks_first():
    assert pairs(objects((BOX, EVERYWHERE, 0.5, {0}), (BOX, EVERYWHERE, 0.6, {1}))) == [(1, 0)]


def test_a_cut_side_halves_the_rank():
    cut = (0, 0, 30, 100)
    assert pairs(objects((BOX, EVERYWHERE, 0.5, {0}), (BOX, cut, 0.9, {1}))) == [(0, 1)]
    assert pairs(objects((BOX, EVERYWHERE, 0.4, {0}), (BOX, cut, 0.9, {1}))) == [(1, 0)]


def test_equal_ranks_go_by_score_and_then_have_an_order_all_the_same():
    cut = (0, 0, 30, 100)
    assert pairs(objects((BOX, EVERYWHERE, 0.4, {0}), (BOX, cut, 0.8, {1}))) == [(1, 0)]
    assert pairs(objects((BOX, EVERYWHERE, 0.4, {3}), (BOX, EVERYWHERE, 0.4, {1}))) == [(1, 0)]


def test_what_one_tile_shows_side_by_side_is_no_conflict():
    assert pairs(objects((BOX, EVERYWHERE, 0.5, {0, 7}), (BOX, EVERYWHERE, 0.6, {3, 7}))) == []


def test_what_grows_is_not_judged():
    two = objects((BOX, EVERYWHERE, 0.5, {0}), (BOX, EVERYWHERE, 0.6, {1}))
    assert pairs(two, [False, True]) == []


def test_ranks_are_one_order_whatever_ties_there_are():
    rng = np.random.default_rng(0)
    boxes = np.array([0, 0, 18, 18]) + rng.integers(10, 12, (40, 4))
    scores = rng.integers(1, 3, 40) / 4
    rows = [(tuple(boxes[k]), EVERYWHERE, scores[k], {k}) for k in range(40)]
    found = pairs(objects(*rows))
    assert len(found) == 40 * 39 // 2
    wins = np.bincount([better for better, _ in found], minlength=40)
    assert sorted(wins.tolist()) == list(range(40))


def waits(first, view, second=None):
    rows = [(first, view, 0.5, {0})] + ([(second, EVERYWHERE, 0.5, {1})] if second else [])
    grows = np.arange(len(rows)) == 1
    return bool(exposed(objects(*rows), grows, np.array([[0.0, 100, 100, 200]]))[0])


def test_an_object_in_the_reach_of_tiles_to_come_waits():
    assert waits((10, 90, 20, 101), EVERYWHERE)
    assert not waits((10, 90, 20, 100), EVERYWHERE)


def test_an_object_waits_for_a_growing_one_that_may_come_to_agree():
    view = (0, 0, 100, 100)
    pool = (40, 40, 50, 50)
    assert waits(pool, view, (40, 43, 50, 60))
    assert waits(pool, view, (51, 40, 54, 50))  # a rectangle over both is 14 wide
    assert not waits(pool, view, (60, 40, 70, 50))  # 30 wide
    assert not waits(pool, view, (0, 0, 30, 100))


def test_beyond_the_edge_of_the_view_distance_does_not_matter():
    assert waits((85, 40, 95, 50), (0, 0, 100, 100), (900, 40, 910, 50))
    assert not waits((75, 40, 85, 50), (0, 0, 100, 100), (900, 40, 910, 50))


def test_another_class_holds_nothing_up():
    two = objects((BOX, EVERYWHERE, 0.5, {0}), (BOX, EVERYWHERE, 0.6, {1}))
    two = replace(two, labels=np.array([0, 1]))
    assert not exposed(two, np.array([False, True]), np.zeros((0, 4))).any()
