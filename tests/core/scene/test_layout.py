import math

import numpy as np
import pytest
from shapely.geometry import Polygon

from core.scene.builder import Frame
from core.scene.layout import District, plan_suburb
from core.scene.parcel import Parcel
from core.scene.shapes import all_bounds, rectangle


def test_frames_in_frames():
    frame = Frame(10, 20, math.pi / 2).moved(3, 1, math.pi / 2)  # x points down, then left
    assert np.allclose(frame.place(np.array([[0.0, 0], [1, 0]])), [[9, 23], [8, 23]])


def test_a_bent_district_still_fits_its_neighbours():
    district = District(Frame(5, 6, 0.3), 300, 200, 25.0, 1.0, 0.0)
    edge = np.array([[0.0, 50], [300, 120], [140, 0], [220, 200]])
    assert np.allclose(district.place(edge), Frame(5, 6, 0.3).place(edge))
    inner = np.array([[75.0, 100]])
    shift = Frame(5, 6, 0.3).moved(*inner[0]).place(np.zeros((1, 2))) - district.place(inner)
    assert np.hypot(*shift[0]) == pytest.approx(25 * math.sin(math.pi / 4), abs=1e-9)


def test_a_parcel_is_divided_into_house_and_yard():
    rng = np.random.default_rng(2)
    outline = rectangle(18, 33, 0, 16.5)
    for _ in range(50):
        parcel = Parcel.divide(Frame(0, 0, 0), outline, 18, 33, 3.6, rng)
        house, yard = parcel.house, parcel.yard
        assert -9 < house.left < house.right < 9 and 0 < house.near < house.far < yard.near < yard.far < 33
        front, back = (Polygon(part).area for part in parcel.split(house.near))
        assert front == pytest.approx(18 * house.near) and front + back == pytest.approx(18 * 33)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pools_of_a_plan_have_plausible_sizes_and_lie_apart(seed):
    boxes = all_bounds([pool.outline for pool in plan_suburb(450, 450, seed, 4.0).pools])
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert len(boxes) > 30
    assert 6 < np.median(longer) < 11 and np.quantile(longer, 0.95) < 20 and longer.min() > 3
    x0, y0, x1, y1 = boxes.T
    meet = (x0[:, None] < x1) & (x1[:, None] > x0) & (y0[:, None] < y1) & (y1[:, None] > y0)
    assert np.array_equal(meet, np.eye(len(boxes), dtype=bool))


def test_density_makes_more_pools():
    few, many = (len(plan_suburb(350, 350, 4, density).pools) for density in (0.5, 3.0))
    assert 0 < few < many
