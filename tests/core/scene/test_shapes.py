import numpy as np
import pytest
from shapely.geometry import MultiPoint, Polygon

from core.scene.shapes import (
    POOL_SHAPES,
    all_bounds,
    blob,
    bounds,
    ellipse,
    pool_outline,
    rectangle,
    rounded_rectangle,
    stretched,
    swept,
    turned,
)


def test_a_quarter_turn_takes_x_to_y():
    assert np.allclose(turned(np.array([[2.0, 0.0]]), np.pi / 2), [[0, 2]])


def test_turning_keeps_area():
    outline = rectangle(4, 2, 1, 1)
    assert Polygon(turned(outline, 0.7)).area == pytest.approx(8)


def test_the_shadow_of_a_box_is_its_base_and_the_strip_it_sweeps():
    # A 4 x 2 base swept by (3, 0) covers 7 x 2; swept by (3, 1) two triangles of 3 x 1 / 2 are missing at the corners.
    assert Polygon(swept(rectangle(4, 2), np.array([3.0, 0.0]))).area == pytest.approx(14)
    assert Polygon(swept(rectangle(4, 2), np.array([3.0, 1.0]))).area == pytest.approx(7 * 3 - 3)


def test_sweeping_is_the_convex_hull():
    base, offset = ellipse(5, 3), np.array([1.3, -2.1])
    hull = MultiPoint(np.concatenate([base, base + offset])).convex_hull
    assert Polygon(swept(base, offset)).symmetric_difference(hull).area == pytest.approx(0, abs=1e-9)


def test_stretching_scales_the_area_and_keeps_the_width_across():
    long = stretched(ellipse(2, 2, 100), np.array([0.0, 3.0]), 1.5)
    assert Polygon(long).area == pytest.approx(1.5 * Polygon(ellipse(2, 2, 100)).area)
    assert bounds(long) == pytest.approx((-1, -1.5, 1, 1.5))


def test_bounds_of_many_are_the_bounds_of_each():
    rng = np.random.default_rng(1)
    outlines = [blob(2, 0.2, rng), rectangle(4, 2), ellipse(3, 1)]
    assert np.array_equal(all_bounds(outlines), [bounds(outline) for outline in outlines])
    assert all_bounds([]).shape == (0, 4)


def test_rounding_corners_cuts_what_circles_leave_of_squares():
    # Four corners of 1 m: 4 - pi of area less; quarter circles of three chords each take a little more.
    assert Polygon(rounded_rectangle(8, 4, 1.0)).area == pytest.approx(32 - (4 - np.pi), abs=0.2)


@pytest.mark.parametrize("shape", POOL_SHAPES)
def test_pool_shapes_are_simple_and_of_the_size_asked_for(shape):
    rng = np.random.default_rng(3)
    for _ in range(20):
        outline = pool_outline(shape, 9.0, 4.5, rng)
        x0, y0, x1, y1 = bounds(outline)
        assert Polygon(outline).is_valid
        assert (x1 - x0) == pytest.approx(4.5 if shape == "round" else 9.0, abs=0.1)
        assert 3.8 < y1 - y0 < 7.0
        assert abs(x0 + x1) < 0.2 and abs(y0 + y1) < 0.2
