"""Laws of the lattice of tiles."""

import numpy as np
import pytest
import shapely

from core.imagery.tiles import plan_tiles
from core.job.errors import InvalidJob

SIZES = [(1, 1), (200, 131), (256, 256), (512, 512), (513, 2000), (5000, 3001)]
PLANS = [(512, 128, 128), (512, 0, 64), (400, 40, 128), (256, 100, 32), (100, 50, 128)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sizes_px", PLANS)
def test_tiles_cover_every_pixel_on_the_lattice(pixel_grid, size, sizes_px):
    plan = plan_tiles(pixel_grid(*size), *sizes_px)
    stride = sizes_px[2]
    assert (plan.x0, plan.y0, plan.width, plan.height) == (0, 0, *size)
    assert plan.tile_px % stride == plan.overlap_px % stride == plan.step_px % stride == 0
    assert plan.step_px > 0
    covered = np.zeros((size[1], size[0]), bool)
    for index in plan.indexes():
        x0, y0, x1, y1 = plan.window(index)
        assert (x0 % plan.step_px, y0 % plan.step_px) == (0, 0)
        assert x1 - x0 == y1 - y0 == plan.tile_px
        covered[y0:y1, x0:x1] = True
    assert covered.all()
    assert len(plan) == plan.rows * plan.cols


def test_no_tile_lies_wholly_inside_what_its_neighbours_cover(pixel_grid):
    plan = plan_tiles(pixel_grid(5000, 3001), 512, 128, 128)
    last = plan.window(len(plan) - 1)
    assert last[0] + plan.overlap_px < 5000
    assert last[1] + plan.overlap_px < 3001


def test_sizes_are_rounded_to_strides(pixel_grid):
    plan = plan_tiles(pixel_grid(10_000, 10_000), 500, 100, 64)
    assert (plan.tile_px, plan.overlap_px, plan.step_px) == (512, 128, 384)


def test_an_overlap_is_never_lost_to_rounding_nor_more_than_half_a_tile(pixel_grid):
    for tile, overlap, stride in [(100, 10, 128), (384, 192, 128), (512, 256, 128), (130, 64, 64)]:
        plan = plan_tiles(pixel_grid(10_000, 10_000), tile, overlap, stride)
        assert 0 < plan.overlap_px <= plan.tile_px / 2


def test_a_small_raster_gets_one_small_tile(pixel_grid):
    plan = plan_tiles(pixel_grid(201, 131), 512, 128, 64)
    assert (plan.tile_px, plan.rows, plan.cols) == (256, 1, 1)


def test_views_are_unlimited_where_the_tile_reaches_the_edge(pixel_grid):
    plan = plan_tiles(pixel_grid(1000, 900), 512, 128, 64)
    views, windows = plan.views(), plan.windows()
    assert (plan.rows, plan.cols) == (3, 3)
    inf = np.inf
    assert views[0].tolist() == [-inf, -inf, 512, 512]
    assert views[4].tolist() == windows[4].tolist() == [384, 384, 896, 896]
    assert views[8].tolist() == [768, 768, inf, inf]
    assert [tuple(window) for window in windows] == [plan.window(index) for index in range(9)]


def test_views_of_one_tile_have_no_limits(pixel_grid):
    view = plan_tiles(pixel_grid(100, 100), 512, 128, 64).views()[0]
    assert view.tolist() == [-np.inf, -np.inf, np.inf, np.inf]


def test_an_area_limits_the_window_with_context(pixel_grid):
    plan = plan_tiles(pixel_grid(5000, 4000), 512, 128, 64, shapely.box(1000, 1000, 1500, 1400))
    assert (plan.x0, plan.y0) == (896, 896)  # 1000 less 64 of context, outwards to multiples of 64
    assert (plan.x0 + plan.width, plan.y0 + plan.height) == (1600, 1472)


def test_an_area_at_the_corner_stays_within_the_raster(pixel_grid):
    plan = plan_tiles(pixel_grid(1001, 803), 512, 128, 64, shapely.box(900, 700, 1001, 803))
    assert (plan.x0 + plan.width, plan.y0 + plan.height) == (1001, 803)


def test_only_tiles_that_meet_the_area_are_active(pixel_grid):
    corner = shapely.Polygon([(0, 0), (5000, 0), (0, 5000)])
    plan = plan_tiles(pixel_grid(5000, 5000), 512, 128, 64, corner)
    assert len(plan) < 0.7 * plan.rows * plan.cols
    inside = shapely.union_all([shapely.box(*plan.window(index)) for index in plan.indexes()])
    assert inside.covers(corner)
    assert not plan.active[-1, -1]


def test_an_area_elsewhere_is_refused(pixel_grid):
    with pytest.raises(InvalidJob, match="does not meet"):
        plan_tiles(pixel_grid(100, 100), 512, 128, 64, shapely.box(500, 500, 600, 600))
