import numpy as np
import pytest

from core.detections import cells
from core.detections.cells import iou, overlapping_pairs, overlapping_pairs_between


def pairs_of(boxes, groups=None):
    groups = np.zeros(len(boxes), np.int64) if groups is None else groups
    i, j = overlapping_pairs(boxes, groups)
    found = [tuple(sorted(pair)) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    assert len(found) == len(set(found)), "a pair was reported twice"
    return set(found)


def all_pairs(boxes, groups):
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    hit = (low < high).all(axis=2) & (groups[:, None] == groups[None])
    i, j = np.nonzero(np.triu(hit, 1))
    return set(zip(i.tolist(), j.tolist(), strict=True))


def random_boxes(rng, n, spread, shape):
    side = {
        "alike": rng.lognormal(2.5, 0.3, (n, 2)),
        "mixed": rng.lognormal(2.5, 1.5, (n, 2)),
        "long": np.where(rng.random((n, 1)) < 0.5, [[300.0, 5.0]], [[5.0, 300.0]]),
        "thin": np.where(rng.random((n, 2)) < 0.2, 0.0, 10.0),
    }[shape]
    start = rng.uniform(-spread, spread, (n, 2))
    return np.concatenate([start, start + side], axis=1)


@pytest.mark.parametrize("shape", ["alike", "mixed", "long", "thin"])
@pytest.mark.parametrize("seed", range(3))
def test_finds_exactly_the_pairs_that_comparing_all_finds(shape, seed):
    rng = np.random.default_rng(seed)
    boxes = random_boxes(rng, 400, [30, 100, 500][seed], shape)
    groups = rng.integers(0, 3, 400) - 1
    assert pairs_of(boxes, groups) == all_pairs(boxes, groups)


@pytest.mark.parametrize("shape", ["alike", "mixed", "long", "thin"])
def test_finds_exactly_the_pairs_between_two_sets(shape):
    rng = np.random.default_rng(5)
    boxes, groups = random_boxes(rng, 400, 80, shape).round(), rng.integers(0, 3, 400)
    a, b = boxes[:150], boxes[150:]
    i, j = overlapping_pairs_between(a, b, groups[:150], groups[150:])
    found = list(zip(i.tolist(), (j + 150).tolist(), strict=True))
    assert len(found) == len(set(found)), "a pair was reported twice"
    assert set(found) == {(i, j) for i, j in all_pairs(boxes, groups) if i < 150 <= j}


def test_chunks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    boxes = random_boxes(rng, 300, 50, "mixed")
    whole = pairs_of(boxes)
    monkeypatch.setattr(cells, "MAX_CANDIDATES", 7)
    assert pairs_of(boxes) == whole


def test_keep_picks_pairs():
    boxes = random_boxes(np.random.default_rng(1), 100, 50, "alike")
    groups = np.zeros(100, np.int64)
    i, j = overlapping_pairs(boxes, groups, lambda i, j: iou(boxes[i], boxes[j]) > 0.3)
    assert 0 < len(i) < len(pairs_of(boxes))
    assert (iou(boxes[i], boxes[j]) > 0.3).all()


def test_touching_is_no_overlap_and_whole_numbers_are_exact():
    grid = np.array([[x, y, x + 10, y + 10] for x in range(0, 100, 10) for y in range(0, 100, 10)], float)
    assert pairs_of(grid) == set()
    assert len(pairs_of(np.concatenate([grid, grid]))) == 100


def test_degrees_and_far_coordinates():
    boxes = np.array([[-180, -90, -179.9999, -89.9999], [-179.99995, -89.99995, -179.9998, -89.9998], [10, 10, 11, 11]])
    assert pairs_of(boxes) == {(0, 1)}
    assert pairs_of(boxes * 1e7 + 1e8) == {(0, 1)}


def test_none_one_and_alike():
    assert pairs_of(np.zeros((0, 4))) == set()
    assert pairs_of(np.array([[0.0, 0, 1, 1]])) == set()
    assert pairs_of(np.zeros((3, 4))) == set()
    assert pairs_of(np.tile([[0.0, 0, 1, 1]], (3, 1))) == {(0, 1), (0, 2), (1, 2)}


def test_iou_by_hand():
    a = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 0, 0]], float)
    assert iou(a, b) == pytest.approx([1, 1 / 3, 0, 0])
