import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.job.card import Architecture
from core.training.anchor_fit import AnchorFit, coverage, default_sizes, fit_anchors, summary, told

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
SQUARE = replace(Architecture(), anchor_scales=(1.0,), anchor_ratios=(1.0,))
START = Architecture(backbone="resnet18", channels=128, head_channels=128)


def one_level(level: str, size: float) -> Architecture:
    return replace(SQUARE, levels=(level,), anchor_sizes=(size,))


def squares(*sides: float) -> np.ndarray:
    return np.array([[side, side] for side in sides], float)


def labelled_sizes(name: str) -> np.ndarray:
    path = DATA / name / "annotations.csv"
    if not path.exists():
        pytest.skip(f"needs the labelled imagery in {DATA}")
    with path.open(newline="") as file:
        boxes = np.array([[float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")] for row in csv.DictReader(file)])
    return boxes[:, 2:] - boxes[:, :2]


def test_a_small_square_is_not_reached_by_the_smallest_default_anchor():
    """144 px² within an anchor of 1,024 px²: IoU 0.14 wherever it lies."""
    found = coverage(squares(12), one_level("P3", 32))
    assert found.reached == 0
    assert found.mean_iou == pytest.approx(144 / 1024)


def test_an_anchor_of_the_same_size_reaches_by_how_far_off_it_lies():
    """Offsets of 0.5, 1.5, 2.5 and 3.5 px along each axis at stride 8: of 12 px, IoU (12-dx)(12-dy) / (288 - it) is
    0.5 where (12-dx)(12-dy) is 96. That holds for (0.5, 0.5) to (0.5, 3.5), (1.5, 1.5) and (1.5, 2.5), and mirrored."""
    products = np.multiply.outer(12 - np.arange(0.5, 4), 12 - np.arange(0.5, 4))
    assert coverage(squares(12), one_level("P3", 12)).reached == (products >= 96).mean() == 10 / 16


def test_a_fine_stride_reaches_what_a_coarse_one_misses():
    assert coverage(squares(12), one_level("P2", 12)).reached == 1
    assert coverage(squares(12), one_level("P4", 12)).reached < 0.3


def test_a_ratio_is_height_over_width():
    tall, flat = np.array([[10.0, 40.0]]), np.array([[40.0, 10.0]])
    anchors = replace(SQUARE, levels=("P2",), anchor_sizes=(20.0,), anchor_ratios=(4.0,))
    assert coverage(tall, anchors).reached == 1
    assert coverage(flat, anchors).reached == 0


def test_each_object_counts_for_its_best_level():
    shape = replace(SQUARE, levels=("P3", "P4"), anchor_sizes=(32.0, 64.0))
    assert coverage(squares(32, 32, 32, 64), shape).use == (0.75, 0.25)


def test_small_objects_get_the_fine_level_and_no_coarse_ones():
    fit = fit_anchors(squares(*np.linspace(9, 15, 50)), START)
    assert fit.architecture.levels in (("P2",), ("P2", "P3"))
    assert 6 < fit.architecture.anchor_sizes[0] < 14
    assert fit.coverage.reached > 0.98
    assert fit.cost > 1.5


def test_large_objects_do_not_pay_for_the_fine_level():
    fit = fit_anchors(squares(*np.linspace(60, 300, 50)), START)
    assert fit.architecture.levels[0] == "P3"
    assert fit.coverage.reached > 0.98
    assert fit.cost < 1.1


def test_levels_reach_beyond_the_largest_object_seen():
    fit = fit_anchors(squares(*np.linspace(30, 100, 50)), START)
    assert coverage(squares(140), fit.architecture).reached == 1


def test_given_levels_and_ratios_stay():
    start = replace(START, anchor_ratios=(1.0,))
    fit = fit_anchors(np.array([[40.0, 10.0]] * 9), start, ("P3", "P4", "P5"), ())
    assert fit.architecture.levels == ("P3", "P4", "P5")
    assert fit.architecture.anchor_ratios == (1.0,)
    assert fit.architecture.anchor_scales == start.anchor_scales


def test_other_ratios_are_taken_where_shapes_ask_for_them():
    long = np.array([[180.0, 30.0], [30.0, 180.0]] * 20)
    assert fit_anchors(squares(40, 50, 60), START).architecture.anchor_ratios == (0.5, 1.0, 2.0)
    fit = fit_anchors(long, START)
    assert max(fit.architecture.anchor_ratios) >= 3
    assert fit.coverage.reached > coverage(long, replace(fit.architecture, anchor_ratios=(0.5, 1.0, 2.0))).reached + 0.5


@pytest.mark.parametrize("sizes", [squares(1), squares(2000), np.array([[1.0, 900.0]]), squares(3, 3000)])
def test_odd_sizes_still_give_anchors_that_a_network_can_have(sizes):
    assert fit_anchors(sizes, START).architecture.problems() == []


def test_the_default_sizes_are_the_papers():
    assert default_sizes(("P3", "P4", "P5", "P6", "P7")) == Architecture().anchor_sizes


def test_the_summary_tells_sizes_and_what_anchors_reach():
    sizes = squares(5, 12, 12, 700)
    shape = one_level("P2", 12)
    values = summary(sizes, AnchorFit(shape, coverage(sizes, shape), 1.25), Architecture())
    bins = dict(zip(values["histogram"]["edges_px"], values["histogram"]["counts"], strict=True))
    assert {edge: count for edge, count in bins.items() if count} == {4: 1, 12: 2, 512: 1}
    assert (values["objects"], values["median_px"]) == (4, 12.0)
    assert (values["chosen"]["levels"], values["chosen"]["sizes"], values["chosen"]["reached"]) == (["P2"], [12.0], 0.5)
    assert values["default"]["reached"] == 0.25
    assert "Anchors of 12 px on P2 reach 50% of them; the default ones would reach 25%" in told(values)


@pytest.mark.parametrize(
    ("name", "finest", "smallest", "reached"),
    [
        ("pools_naip", "P2", (6, 12), 0.95),
        ("urban_trees_naip", "P2", (6, 12), 0.98),
        ("kit_ais_cars", "P3", (14, 28), 0.98),
        ("oil_palm", "P3", (20, 45), 0.98),
        ("fair_buildings", "P3", (16, 64), 0.92),
    ],
)
def test_real_objects_are_reached(name, finest, smallest, reached):
    sizes = labelled_sizes(name)
    started = time.process_time()
    fit = fit_anchors(sizes, START)
    assert time.process_time() - started < 3
    assert fit.architecture.levels[0] == finest
    assert smallest[0] <= fit.architecture.anchor_sizes[0] <= smallest[1]
    assert fit.coverage.reached >= reached
    assert fit.coverage.reached > coverage(sizes, Architecture()).reached - 0.01
