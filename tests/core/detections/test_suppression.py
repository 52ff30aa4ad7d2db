import time

import numpy as np
import pytest

from core.detections.suppression import decide, nms

torch = pytest.importorskip("torch", reason="torch is the reference for suppression")
from torchvision.ops import batched_nms  # noqa: E402


def crowd(rng, n, around, dtype=np.float32):
    centre = rng.uniform(0, around, (n, 2))
    side = rng.lognormal(3, 0.5, (n, 2))
    return np.concatenate([centre - side / 2, centre + side / 2], axis=1).astype(dtype)


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("n", [50, 1500])
def test_equals_torchvision(n, overlap):
    rng = np.random.default_rng(n)
    # Whole numbers: both sides then compute the same IoU to the last bit, and exact ties of IoU and threshold occur.
    boxes = crowd(rng, n, 300).round()
    scores = (rng.integers(0, 200, n) / 200).astype(np.float32)
    labels = rng.integers(0, 3, n)
    theirs = batched_nms(torch.tensor(boxes), torch.tensor(scores), torch.tensor(labels), overlap).numpy()
    ours = nms(boxes, scores, labels, overlap)
    assert sorted(ours.tolist()) == sorted(theirs.tolist())
    assert np.array_equal(scores[ours], scores[theirs])  # torchvision leaves open which of equal scores comes first


def test_kept_boxes_overlap_at_most_so_much_and_each_dropped_one_has_a_better():
    rng = np.random.default_rng(1)
    boxes, scores, labels = crowd(rng, 300, 200, np.float64), rng.random(300), np.zeros(300, np.int64)
    kept = nms(boxes, scores, labels, 0.4)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    side = np.clip(np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - low, 0, None)
    common, own = side.prod(axis=2), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    iou = common / (own[:, None] + own[None] - common)
    np.fill_diagonal(iou, 0)
    assert iou[np.ix_(kept, kept)].max() <= 0.4
    dropped = np.setdiff1d(np.arange(300), kept)
    better = (iou[np.ix_(dropped, kept)] > 0.4) & (scores[kept][None] >= scores[dropped][:, None])
    assert better.any(axis=1).all()


def test_nothing_in_nothing_out():
    assert len(nms(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), 0.5)) == 0


def test_a_chain_lives_alternately():
    alive, dead = decide(np.array([0, 1, 2]), np.array([1, 2, 3]), np.zeros(4, bool))
    assert alive.tolist() == [True, False, True, False]
    assert dead.tolist() == [False, True, False, True]


def test_what_depends_on_a_doubtful_box_is_left_open():
    # 0 beats 1, 1 beats 2; 3 beats 4.
    alive, dead = decide(np.array([0, 1, 3]), np.array([1, 2, 4]), np.array([True, False, False, False, True]))
    assert alive.tolist() == [False, False, False, True, False]
    assert dead.tolist() == [False, False, False, False, True]


def decided_in_turn(better, worse, doubtful):
    """The rule, walked along the ranks: here a box's number is its rank."""
    dead, waits = np.zeros(len(doubtful), bool), doubtful.copy()
    for k in np.lexsort((worse, better)):
        if not dead[better[k]]:
            (waits if waits[better[k]] else dead)[worse[k]] = True
    return ~dead & ~waits, dead


@pytest.mark.parametrize("seed", range(20))
def test_all_at_once_is_one_after_the_other(seed):
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, 60, (rng.integers(5, 300), 2)), axis=1), axis=0)
    better, worse = rng.permutation(pairs[pairs[:, 0] < pairs[:, 1]]).T
    doubtful = rng.random(60) < [0, 0.1][seed % 2]
    for ours, theirs in zip(decide(better, worse, doubtful), decided_in_turn(better, worse, doubtful), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_a_chain_of_a_hundred_thousand_is_walked_along():
    chain = np.arange(100_000)
    start = time.process_time()
    alive, dead = decide(chain[:-1], chain[1:], np.zeros(100_000, bool))
    assert alive[::2].all() and dead[1::2].all()
    doubtful = chain == 50_000
    alive, dead = decide(chain[:-1], chain[1:], doubtful)
    assert alive[:50_000:2].all() and not (alive | dead)[50_001:].any() and dead[49_999]
    assert time.process_time() - start < 3  # measured a sixth


def test_a_hundred_thousand_crowded_boxes_take_no_time():
    rng = np.random.default_rng(2)
    boxes = np.repeat(crowd(rng, 17_000, 17_000, np.float64), 6, axis=0)
    boxes += rng.normal(0, 1.5, boxes.shape)
    start = time.process_time()
    kept = nms(boxes, rng.random(len(boxes)), np.zeros(len(boxes), np.int64), 0.3)
    assert 10_000 < len(kept) < 30_000
    assert time.process_time() - start < 1.5  # measured .2 s
