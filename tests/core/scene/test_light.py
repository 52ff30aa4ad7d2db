"""Pools lie where the sun reaches."""

from dataclasses import replace

import numpy as np
import pytest

from core.scene.layout import plan_suburb
from core.scene.light import MOST_SHADE, without_shaded_pools


@pytest.fixture(scope="module")
def plan():
    return plan_suburb(300.0, 300.0, 5, 3.0)


def around(outline: np.ndarray, share: float) -> np.ndarray:
    """A rectangle that covers the left `share` of an outline's bounds, and all of its height."""
    (left, low), (right, high) = outline.min(axis=0), outline.max(axis=0)
    edge = left + (right - left) * share
    return np.array([(left - 1, low - 1), (edge, low - 1), (edge, high + 1), (left - 1, high + 1)])


def test_a_pool_in_the_sun_stays_and_one_in_the_shade_goes(plan):
    pool = plan.pools[0]
    bare = replace(plan, pools=[pool], shadows=[], trees=[])
    assert without_shaded_pools(bare).pools == [pool]
    assert without_shaded_pools(replace(bare, shadows=[around(pool.outline, 1.1)])).pools == []
    assert without_shaded_pools(replace(bare, shadows=[around(pool.outline, 0.1)])).pools == [pool]


def test_shadows_that_overlap_count_once(plan):
    pool = plan.pools[0]
    shadows = [around(pool.outline, MOST_SHADE / 2)] * 4
    assert without_shaded_pools(replace(plan, pools=[pool], shadows=shadows, trees=[])).pools == [pool]


def test_nothing_but_pools_is_taken_away(plan):
    shade = around(plan.pools[0].outline, 1.1)
    plan = replace(plan, shadows=[*plan.shadows, shade])
    left = without_shaded_pools(plan)
    assert 0 < len(left.pools) < len(plan.pools)
    assert replace(left, pools=[]) == replace(plan, pools=[])
