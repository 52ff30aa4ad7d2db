"""Which grid is laid over a raster."""

import math

import pytest
from affine import Affine
from pyproj import CRS

from core.imagery.placement import place
from core.job.errors import RasterError

UTM11 = CRS.from_epsg(26911).to_wkt()
WGS84 = CRS.from_epsg(4326).to_wkt()
EAST, NORTH = 500_000.0, 3_741_000.0


def placed(transform, crs=UTM11, model=0.6, resolution="model", size=(200, 100)):
    return place("a.tif", *size, transform, crs, model, resolution)


def utm(pixel, height=None):
    return Affine(pixel, 0, EAST, 0, -(height or pixel), NORTH)


@pytest.mark.parametrize("pixel", [0.55, 0.6, 0.65])
def test_within_ten_percent_the_raster_keeps_its_own_grid(pixel):
    placement = placed(utm(pixel))
    assert placement.to_source is None
    assert placement.notices == ()
    assert placement.grid.transform == tuple(utm(pixel)[:6])
    assert placement.grid.resolution_m == pytest.approx(pixel, rel=1e-3)


@pytest.mark.parametrize(("pixel", "size"), [(0.3, (100, 50)), (1.2, (400, 200))])
def test_beyond_it_is_resampled_over_the_same_ground(pixel, size):
    placement = placed(utm(pixel))
    assert (placement.grid.width, placement.grid.height) == size
    assert placement.grid.resolution_m == pytest.approx(0.6)
    assert placement.source_resolution_m == pytest.approx(pixel, rel=1e-3)
    assert placement.to_source @ size == pytest.approx((200, 100), rel=1e-3)
    assert "resampled" in placement.notices[0]


def test_native_leaves_it_and_says_so():
    placement = placed(utm(0.3), resolution="native")
    assert placement.to_source is None
    assert "left at 0.3 m" in placement.notices[0]


def test_a_number_of_metres_overrides_the_model():
    assert placed(utm(0.6), resolution=0.2).grid.resolution_m == pytest.approx(0.2)
    assert placed(utm(0.6), resolution=0.57).grid.resolution_m == pytest.approx(0.57)
    assert placed(utm(0.6), resolution=0.6).to_source is None
    assert placed(utm(0.6), model=None, resolution=0.2).grid.resolution_m == pytest.approx(0.2)


def test_degrees_become_square_on_the_ground():
    pixel = 5.97e-6
    placement = placed(Affine(pixel, 0, -116.5, 0, -pixel, 33.8), WGS84)
    a, e = placement.grid.transform[0], placement.grid.transform[4]
    assert -e / a == pytest.approx(math.cos(math.radians(33.8)), rel=6e-3)
    assert placement.grid.resolution_m == pytest.approx(0.6)


def test_a_model_without_resolution_only_makes_pixels_square():
    assert placed(utm(0.6), model=None).to_source is None
    placement = placed(utm(0.4, 0.9), model=None)
    assert placement.grid.transform[0] == pytest.approx(0.6, rel=1e-3)
    assert placement.grid.transform[4] == pytest.approx(-0.6, rel=1e-3)


def test_south_up_is_turned_without_changing_its_pixels():
    placement = placed(Affine(0.6, 0, EAST, 0, 0.6, NORTH))
    assert placement.grid.transform == (0.6, 0.0, EAST, 0.0, -0.6, NORTH + 60.0)
    assert (placement.grid.width, placement.grid.height) == (200, 100)
    assert placement.to_source @ (0, 0) == pytest.approx((0, 100))


def test_a_quarter_turn_swaps_the_sides():
    placement = placed(Affine(0, 0.6, EAST, 0.6, 0, NORTH))
    assert (placement.grid.width, placement.grid.height) == (100, 200)


def test_a_rotated_raster_gets_a_grid_around_it():
    turned = Affine.translation(EAST, NORTH) @ Affine.rotation(30) @ Affine.scale(0.6, -0.6)
    placement = placed(turned)
    width = (200 * math.cos(math.pi / 6) + 100 * math.sin(math.pi / 6)) * 0.6
    assert placement.grid.width * placement.grid.transform[0] == pytest.approx(width, abs=0.6)
    x, y = turned @ (37, 21)
    column, row = ~Affine(*placement.grid.transform) @ (x, y)
    assert placement.to_source @ (column, row) == pytest.approx((37, 21), abs=1e-6)


def test_rounding_in_the_file_is_no_rotation():
    assert placed(Affine(0.6, 1e-9, EAST, -1e-9, -0.6, NORTH)).to_source is None


def test_without_a_known_ground_it_is_used_as_it_is():
    placement = placed(Affine(1, 0, 0, 0, -1, 0), crs=None)
    assert placement.to_source is None
    assert placement.grid.resolution_m is None
    assert placement.source_resolution_m is None
    assert "unknown" in placement.notices[0]
    turned = placed(Affine.rotation(30) @ Affine.scale(2, -2), crs=None)
    assert turned.grid.resolution_m is None
    assert turned.grid.transform[0] == pytest.approx(2)


def test_objects_smaller_than_a_pixel_or_two_are_warned_of():
    assert "hardly be seen" in placed(utm(10.0)).notices[0]
    assert "hardly be seen" in placed(utm(10.0), resolution="native").notices[0]


def test_hopelessly_coarse_is_refused():
    with pytest.raises(RasterError, match="pixels of 300 m"):
        placed(utm(300.0), size=(1000, 1000))
    assert placed(utm(300.0), size=(1000, 1000), resolution="native").to_source is None


def test_a_large_mosaic_may_be_refined():
    assert placed(utm(1.0), size=(60_000, 60_000)).grid.width == pytest.approx(100_000, rel=1e-3)


@pytest.mark.parametrize("resolution", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_resolution_is_refused(resolution):
    with pytest.raises(RasterError, match="positive number of metres"):
        placed(utm(0.6), resolution=resolution)


def test_pixels_without_size_are_refused():
    with pytest.raises(RasterError, match="no size"):
        placed(Affine(0, 0, EAST, 0, 0, NORTH))


def test_a_raster_of_pixels_far_larger_than_objects_is_refused_unless_left_as_it_is():
    with pytest.raises(RasterError, match="native"):
        placed(utm(30.0))
    assert placed(utm(30.0), resolution="native").grid.width > 0
