"""The frame of the grid, and ground metres in any CRS."""

import math

import numpy as np
import pytest
from affine import Affine
from pyproj import CRS

from core.imagery.grid import Grid, metres_per_unit

LOCAL = 'LOCAL_CS["mine",UNIT["metre",1]]'
EUROPA = (
    'PROJCS["Equirectangular EUROPA",GEOGCS["GCS_EUROPA",DATUM["D_EUROPA",SPHEROID["EUROPA",1560800,0]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],'
    'PARAMETER["standard_parallel_1",0],PARAMETER["central_meridian",0],UNIT["metre",1]]'
)


def measured(epsg, x, y, size=1e-5):
    crs = epsg if isinstance(epsg, str) else CRS.from_epsg(epsg).to_wkt()
    return metres_per_unit(crs, Affine(size, 0, x, 0, -size, y), 2, 2)


def test_to_grid_undoes_to_map():
    grid = Grid(100, 80, (0.5, 0.0, 1_000_000.25, 0.0, -0.25, 4_000_000.5))
    boxes = np.array([[0, 0, 1, 1], [3.25, 7.5, 99.0, 80.0]])
    extents = grid.to_map(boxes)
    assert extents[0].tolist() == [1_000_000.25, 4_000_000.25, 1_000_000.75, 4_000_000.5]
    np.testing.assert_allclose(grid.to_grid(extents), boxes, atol=1e-8)


def test_no_boxes_stay_no_boxes():
    assert Grid(4, 4, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)).to_map(np.empty((0, 4))).shape == (0, 4)


def test_a_degree_at_the_equator_and_at_60_north():
    assert measured(4326, 10, 0) == pytest.approx((111319.5, 110574.4), abs=0.2)
    assert measured(4326, 10, 60) == pytest.approx((55800.0, 111412.2), abs=0.5)


def test_web_mercator_shrinks_with_latitude():
    across, along = measured(3857, 0, 4_028_802.0, size=1.0)  # 34.0 degrees north
    assert across == pytest.approx(math.cos(math.radians(34.0)), rel=0.002)
    assert along == pytest.approx(across, rel=0.006)


def test_feet_and_gradians():
    assert measured(2263, 980_000, 200_000, size=1.0) == pytest.approx((0.3048, 0.3048), rel=2e-4)
    assert measured(4807, 0, 50) == pytest.approx((0.9 * 78847, 0.9 * 111132), rel=2e-3)  # 50 gon are 45 degrees


def test_another_planet_is_measured_on_its_own_ellipsoid():
    assert measured(EUROPA, 1000, 1000, size=1.0) == pytest.approx((1.0, 1.0), rel=1e-6)


@pytest.mark.parametrize("crs", [None, LOCAL, "no WKT at all"])
def test_unknown_ground(crs):
    assert metres_per_unit(crs, Affine(1, 0, 0, 0, -1, 0), 10, 10) is None


def test_a_centre_off_the_earth_is_unknown_ground():
    assert measured(26911, 1e12, 1e12, size=1.0) is None
