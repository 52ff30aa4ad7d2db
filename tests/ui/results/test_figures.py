"""The figures of the dock: counts at any confidence are those that counting one by one gives."""

import random

import pytest
from tilehawk.ui.results.figures import BINS, tally, wilson
from tilehawk.ui.results.filter import Filter


def rows(count=500, seed=4):
    draw = random.Random(seed)
    states = [None, None, None, "", "accepted", "rejected", "changed", "drawn", "doubtful"]
    return [
        (
            draw.choice(["pool", "tree"]),
            None if (state := draw.choice(states)) == "drawn" else draw.randrange(10_001) / 10_000,
            draw.choice([None, 5.0, 51.84, 300.0]),
            state,
        )
        for _ in range(count)
    ]


def shown(row, threshold, smallest, largest):
    _, score, area, state = row
    if state == "rejected":
        return False
    if state in ("accepted", "changed", "drawn"):
        return True
    fits = (smallest is None or (area or -1) >= smallest) and (
        largest is None or (area is not None and area <= largest)
    )
    return score is not None and score >= threshold and fits


@pytest.mark.parametrize("limits", [(None, None), (20.0, None), (None, 100.0), (20.0, 100.0)])
@pytest.mark.parametrize("threshold", [0.0, 0.29, 0.5, 0.41375, 1.0])
def test_counts_equal_counting_one_by_one(threshold, limits):
    data = rows()
    figures = tally(data, *limits).at(threshold)
    for name in ("pool", "tree"):
        expected = [row for row in data if row[0] == name and shown(row, threshold, *limits)]
        count, area = figures[name]
        assert count == len(expected)
        assert area == pytest.approx(sum(row[2] or 0 for row in expected))


def test_thresholds_are_met_exactly():
    """0.29 * 10,000 is 2,899.999… in floating point; an object of .29 belongs to the threshold .29."""
    for step in range(0, 10_001, 7):
        score = step / 10_000
        assert tally([("pool", score, 1.0, None)]).at(score)["pool"] == (1, 1.0)
        assert tally([("pool", score, 1.0, None)]).at(score + 0.0001)["pool"][0] == 0


def test_histogram_counts_what_a_threshold_decides():
    bins = tally([("pool", 0.0, 1.0, None), ("pool", 1.0, 1.0, None), ("pool", 0.3, 1.0, "accepted")]).bins
    assert sum(bins) == 2
    assert bins[0] == bins[BINS - 1] == 1


def test_nothing_is_no_failure():
    nothing = tally([])
    assert nothing.at(0.5) == {}
    assert nothing.largest_m2 is None
    assert sum(nothing.bins) == 0


def test_wilson_interval():
    """Values of Newcombe 1998, table I: 81 of 263 gives .2553 to .3662; 0 of 20 gives 0 to .1611."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(20, 20)[1] == 1.0
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("reviewed", [False, True])
@pytest.mark.parametrize(
    "kept",
    [Filter(0.4), Filter(0.0), Filter(0.25, 3.5), Filter(0.25, 3.5, 1e6), Filter(0.1, None, 50.25)],
)
def test_filter_survives_the_round_trip(kept, reviewed):
    assert Filter.parse(kept.subset("box_area_m2", reviewed), "box_area_m2") == kept


def test_filter_with_rejected_survives_where_there_is_a_review():
    kept = Filter(0.3, rejected=True)
    assert Filter.parse(kept.subset("area_m2", True), "area_m2") == kept


def test_foreign_filters_limit_nothing():
    assert Filter.parse("", "box_area_m2") == Filter()
    assert Filter.parse("\"class\" = 'pool'", None) == Filter()
