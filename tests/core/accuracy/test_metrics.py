import importlib.util
import time
from pathlib import Path

import numpy as np
import pytest

from core.accuracy.metrics import Assessment, Counts, average_precision, best_threshold
from core.detections.detections import Detections

PEER = Path(__file__).parents[4] / "shared" / "bench" / "score.py"


def squares(places, side=10.0):
    corner = np.array([[20.0 * p, 0.0] for p in places]).reshape(-1, 2)
    return np.concatenate([corner, corner + side], axis=1)


def found(places, scores, labels=None):
    labels = np.zeros(len(places), np.int64) if labels is None else np.array(labels)
    return Detections(squares(places), np.array(scores, float), labels)


def truth(places, labels=None, ignore=None):
    return Detections.truth(squares(places), labels, ignore)


def test_average_precision_by_hand():
    # true, false, true of two objects: precision 1 up to recall .5 (51 points), then 2/3 (50 points).
    images = [(found([0, 5, 1], [0.9, 0.8, 0.7]), truth([0, 1]))]
    assert average_precision(images, 0.5) == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_what_is_never_found_lowers_average_precision():
    assert average_precision([(found([0], [0.9]), truth([0, 1]))], 0.5) == pytest.approx(51 / 101)


@pytest.mark.parametrize(
    ("detected", "true", "expected"),
    [(found([], []), truth([0]), 0), (found([0, 1], [0.5, 0.4]), truth([0, 1]), 1), (found([7], [0.9]), truth([0]), 0)],
)
def test_average_precision_at_its_ends(detected, true, expected):
    assert average_precision([(detected, true)], 0.5) == pytest.approx(expected)


def test_without_truth_there_is_no_average_precision():
    assert np.isnan(average_precision([(found([0], [0.9]), truth([]))], 0.5))
    assert np.isnan(average_precision([], 0.5))
    assert np.isnan(best_threshold([], 0.5))


def test_images_are_ranked_together_but_matched_apart():
    images = [(found([0], [0.6]), truth([0])), (found([0], [0.9]), truth([]))]
    assert average_precision(images, 0.5) == pytest.approx(0.5)
    assert Assessment(images).counts(0.5, 0.5) == Counts(1, 1, 0)


def test_classes_apart_and_their_mean():
    image = (found([0, 1, 2], [0.9, 0.8, 0.7], [0, 1, 2]), truth([0, 1, 3], [0, 0, 1]))
    assessment = Assessment([image])
    assert assessment.labels == (0, 1)
    assert assessment.average_precision(0.5, 0) == pytest.approx(51 / 101)
    assert assessment.average_precision(0.5, 1) == 0
    assert assessment.average_precision(0.5) == pytest.approx(51 / 202)
    assert assessment.counts(0, 0.5) == Counts(1, 2, 2)
    assert assessment.counts(0, 0.5, 2) == Counts(0, 1, 0)


def test_counts_at_a_threshold():
    assessment = Assessment([(found([0, 5, 1], [0.9, 0.8, 0.7]), truth([0, 1, 2]))])
    assert assessment.counts(0.8, 0.5) == Counts(1, 1, 2)
    counts = assessment.counts(0.7, 0.5)
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert assessment.counts(1.0, 0.5).precision == 0


def test_best_threshold_is_the_score_of_highest_f1():
    images = [(found([0, 1, 8, 9, 2], [0.9, 0.8, 0.7, 0.6, 0.5]), truth([0, 1, 2]))]
    # F1 after each detection: 2/4, 4/5, 4/6, 4/7, 6/8.
    assert best_threshold(images, 0.5) == 0.8
    counts = [Assessment(images).counts(t, 0.5).f1 for t in (0.9, 0.8, 0.7, 0.6, 0.5)]
    assert max(counts) == Assessment(images).counts(0.8, 0.5).f1


def test_equal_scores_pass_the_threshold_together():
    assert best_threshold([(found([0, 1, 8, 9], [0.9, 0.5, 0.5, 0.5]), truth([0, 1]))], 0.5) == 0.9


def test_ignored_truth_counts_for_nothing():
    plain = [(found([0, 1], [0.9, 0.8]), truth([0]))]
    ignoring = [(found([0, 1], [0.9, 0.8]), truth([0, 1, 2], ignore=[False, True, True]))]
    assert Assessment(plain).counts(0, 0.5) == Counts(1, 1, 0)
    assert Assessment(ignoring).counts(0, 0.5) == Counts(1, 0, 0)
    assert average_precision(ignoring, 0.5) == pytest.approx(1)


def test_a_perfect_detector_is_perfect_at_every_iou():
    assert Assessment([(found([0, 3], [0.2, 0.9]), truth([0, 3]))]).average_precision_50_95() == pytest.approx(1)


def test_mean_over_ious_by_hand():
    boxes = squares([0])
    boxes[0, 3] = 7.2  # IoU .72: right at .50, .55, .60, .65, .70
    images = [(Detections(boxes, np.ones(1), np.zeros(1, np.int64)), truth([0]))]
    assert Assessment(images).average_precision_50_95() == pytest.approx(0.5)


def noisy_images(rng, images, objects, detections):
    for _ in range(images):
        corner = rng.uniform(0, 1000, (objects, 2))
        true = np.concatenate([corner, corner + rng.lognormal(3.4, 0.4, (objects, 2))], axis=1)
        boxes = true[rng.integers(0, objects, detections)] + rng.normal(0, 4, (detections, 4))
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        yield Detections(boxes, rng.random(detections), np.zeros(detections, np.int64)), Detections.truth(true)


def test_agrees_with_an_independent_scorer():
    if not PEER.exists():
        pytest.skip(f"the independent scorer {PEER.name} is not beside the project")
    spec = importlib.util.spec_from_file_location("peer_score", PEER)
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    for detected, true in noisy_images(np.random.default_rng(3), 3, 60, 400):
        theirs = peer.score(detected.boxes, detected.scores, true.boxes, threshold=0.4)
        ours = Assessment([(detected, true)])
        counts = ours.counts(0.4, 0.5)
        assert (counts.true_positives, counts.false_positives) == (theirs["tp"], theirs["fp"])
        assert ours.average_precision(0.3) == pytest.approx(theirs["ap30"])
        assert ours.average_precision(0.5) == pytest.approx(theirs["ap50"])
        assert ours.average_precision_50_95() == pytest.approx(theirs["ap50_95"])


def test_forty_images_with_two_thousand_detections_take_a_second():
    images = list(noisy_images(np.random.default_rng(4), 40, 300, 2000))
    start = time.process_time()
    assessment = Assessment(images)
    assessment.average_precision_50_95()
    assessment.best_threshold(0.5)
    assert time.process_time() - start < 3  # measured .6 s
