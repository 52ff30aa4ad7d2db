import numpy as np
import pytest

from core.accuracy.bootstrap import DRAWS, Redrawn, draw, intervals
from core.accuracy.metrics import Assessment
from core.detections.detections import Detections


def scene(seed: int) -> tuple[Detections, Detections]:
    """An image on which objects of two classes are found a little beside them, missed and made up; one is to ignore."""
    random = np.random.default_rng(seed)
    boxes = np.array([[30.0 * i, 0, 30 * i + 10, 10] for i in range(int(random.integers(1, 9)))])
    labels = random.integers(0, 2, len(boxes))
    truth = Detections.truth(boxes, labels, np.arange(len(boxes)) == 3)
    moved = np.concatenate([boxes + random.uniform(-3, 3, (len(boxes), 1)), boxes + 200])[
        random.permutation(len(boxes))
    ]
    return Detections(moved, random.permutation(len(moved)) / 20 + 0.01 * random.uniform(), labels), truth


def test_images_that_count_once_give_the_figures_of_the_metrics():
    pairs = [scene(seed) for seed in range(12)]
    redrawn, assessment = Redrawn(pairs, 0.3, 0.2), Assessment(pairs)
    figures, counts = redrawn.figures(), assessment.counts(0.2, 0.3)
    assert 0 < figures["ap50"] < figures["ap30"] < 1
    assert figures["ap30"] == pytest.approx(assessment.average_precision(0.3))
    assert figures["ap50"] == pytest.approx(assessment.average_precision(0.5))
    assert figures["ap50_95"] == pytest.approx(assessment.average_precision_50_95())
    assert (figures["precision"], figures["recall"], figures["f1"]) == (counts.precision, counts.recall, counts.f1)
    assert redrawn.main_figures() == {name: figures[name] for name in ("ap30", "ap50", "f1")}
    assert redrawn.counts() == (counts.true_positives, counts.false_positives, counts.false_negatives)


def test_an_image_that_counts_often_is_as_good_as_many_of_it():
    pairs = [scene(seed) for seed in range(6)]
    times = np.array([3, 0, 1, 2, 0, 1])
    many = [pair for pair, count in zip(pairs, times, strict=True) for _ in range(count)]
    weighted, repeated = Redrawn(pairs, 0.5, 0.2).figures(times), Redrawn(many, 0.5, 0.2).figures()
    assert weighted == pytest.approx(repeated)
    assert weighted != pytest.approx(Redrawn(pairs, 0.5, 0.2).figures())


def test_two_models_see_the_same_draws():
    pairs = [scene(seed) for seed in range(8)]
    both = draw([Redrawn(pairs, 0.5, 0.2), Redrawn(pairs, 0.5, 0.2)], len(pairs))
    assert len(both) == DRAWS
    assert all(old == new for old, new in both)
    low, high = intervals([old for old, _ in both])["ap30"]
    assert 0 < low < high < 1


def test_a_single_image_has_no_interval():
    assert draw([Redrawn([scene(0)], 0.5, 0.2)], 1) == []
    assert intervals([]) == {}
