"""What was not examined is told, cell by cell."""

import numpy as np
import pytest
import shapely

from core.imagery.examined import Examined
from core.imagery.grid import Grid
from core.imagery.tiles import plan_tiles

GRID = Grid(300, 200, (2.0, 0.0, 1000.0, 0.0, -2.0, 5000.0))


def noted(valid, area=None, step=64):
    """Note the validity of the whole raster block by block, as a reader does."""
    plan = plan_tiles(GRID, 128, 64, 16, area)
    examined = Examined(plan)
    for y in range(plan.y0, plan.y0 + plan.height, step):
        for x in range(plan.x0, plan.x0 + plan.width, step):
            examined.note(x, y, valid[y : y + step, x : x + step])
    return examined


def test_valid_ground_has_no_gaps():
    assert noted(np.ones((200, 300), bool)).gaps(GRID) == []


@pytest.mark.parametrize("step", [16, 48, 64, 100, 300])
def test_a_gap_of_whole_cells_is_outlined_on_the_map_however_it_is_read(step):
    valid = np.ones((200, 300), bool)
    valid[32:96, 64:160] = False
    (gap,) = noted(valid, step=step).gaps(GRID)
    assert gap.equals(shapely.box(1000 + 2 * 64, 5000 - 2 * 96, 1000 + 2 * 160, 5000 - 2 * 32))


def test_a_cell_with_one_valid_pixel_was_examined():
    valid = np.zeros((200, 300), bool)
    valid[40, 40] = True
    (gap,) = noted(valid).gaps(GRID)
    assert gap.area == (300 * 200 - 32 * 32) * 4
    assert not gap.contains(shapely.Point(1000 + 80, 5000 - 80))


def test_gaps_end_at_the_raster_and_at_the_area():
    nothing = np.zeros((200, 300), bool)
    (gap,) = noted(nothing).gaps(GRID)
    assert gap.equals(shapely.box(1000, 4600, 1600, 5000))
    area = shapely.box(10, 10, 50, 60)
    (gap,) = noted(nothing, area).gaps(GRID, area)
    assert gap.equals(shapely.box(1020, 4880, 1100, 4980))


def test_what_was_not_read_is_no_gap():
    plan = plan_tiles(GRID, 128, 64, 16)
    examined = Examined(plan)
    examined.note(0, 0, np.zeros((64, 64), bool))
    (gap,) = examined.gaps(GRID)
    assert gap.area == 64 * 64 * 4


def test_reading_past_the_window_is_not_noted():
    plan = plan_tiles(GRID, 128, 64, 16)
    examined = Examined(plan)
    examined.note(256, 192, np.zeros((128, 128), bool))
    examined.note(320, 0, np.zeros((10, 10), bool))
    (gap,) = examined.gaps(GRID)
    assert gap.area == (300 - 256) * (200 - 192) * 4


def test_cells_grow_with_the_window(monkeypatch):
    monkeypatch.setattr("core.imagery.examined.MAX_CELLS", 20)
    assert Examined(plan_tiles(GRID, 128, 64, 16)).cell_px == 64
