"""The curve of a training: its best round, and that it paints at any time."""

import pytest
from tilehawk.ui.training.curve import TrainingCurve


@pytest.fixture
def curve(qgis_app):
    curve = TrainingCurve("AP", "Loss")
    curve.resize(300, 150)
    return curve


def epoch(ap50):
    return {"ap50": ap50, "focal_loss": 0.5, "box_loss": 0.2}


def test_the_last_of_the_best_rounds_counts(curve):
    assert curve.best() is None
    for value in (0.2, 0.6, 0.6, 0.5):
        curve.add(epoch(value))
    assert curve.best() == 3
    curve.clear()
    assert curve.best() is None


def test_a_rising_line_is_seen(curve):
    before = curve.grab().toImage()
    curve.add(epoch(0.0))
    curve.add(epoch(1.0))
    assert curve.grab().toImage() != before


def test_figures_of_nought_paint(curve):
    curve.add({"ap50": 0.0, "focal_loss": 0.0, "box_loss": 0.0})
    assert not curve.grab().isNull()
