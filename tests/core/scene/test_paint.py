import numpy as np
import pytest
import shapely
from shapely.geometry import Polygon

from core.scene.paint import SHADE, Canvas, inside
from core.scene.plan import Paint, Pool, Roof, Sun, Wing
from core.scene.shapes import ellipse, kidney, l_shape, rectangle, turned
from core.scene.texture import Texture

GREY = Paint((100, 100, 100, 100))
BLUE = Paint((90, 150, 160, 40))
STEP = 0.2


def canvas(size: int = 90, row: int = 0, column: int = 0) -> Canvas:
    return Canvas(row, column, size, size, STEP, GREY, Texture(STEP, np.random.default_rng(0)))


def pool(outline: np.ndarray) -> Pool:
    return Pool(outline, outline, BLUE, GREY, (0.0, 0.0))


@pytest.mark.parametrize(
    "outline",
    [rectangle(4, 2), turned(rectangle(4, 2), 0.4), l_shape(8, 6, 2.5), kidney(9, 5, 0.4, 0.3), ellipse(5, 3)],
)
def test_inside_is_shapely_contains(outline):
    axis = np.arange(-6, 6, 0.137)
    x, y = np.meshgrid(axis, axis)
    assert np.array_equal(inside(outline, axis, axis), shapely.contains_xy(Polygon(outline), x, y))


def test_neighbours_share_an_edge_without_gap_or_overlap():
    axis = np.linspace(-3, 3, 61)  # sample centres lie on the common edges
    corners = turned(np.array([[-2.0, -2], [0, -2], [2, -2], [-2, 2], [0, 2], [2, 2]]), np.pi / 7)
    left, right, whole = corners[[0, 1, 4, 3]], corners[[1, 2, 5, 4]], corners[[0, 2, 5, 3]]
    both = inside(left, axis, axis).astype(int) + inside(right, axis, axis)
    assert np.array_equal(both, inside(whole, axis, axis).astype(int))


def test_a_polygon_covers_the_samples_whose_centres_it_holds():
    sheet = canvas()
    sheet.patch(np.array([[2.0, 4.0], [6.0, 4.0], [6.0, 5.0], [2.0, 5.0]]), BLUE)
    rows, columns = np.nonzero(sheet.values[..., 2] == 160)
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (20, 25, 10, 30)
    assert len(rows) == 5 * 20


def test_canvases_of_one_scene_fit_together():
    outline = turned(kidney(9, 5, 0.3, 0.2), 0.5) + 9
    whole, part = canvas(), canvas(40, row=30, column=35)
    for sheet in (whole, part):
        sheet.pool(pool(outline), 1)
    assert np.array_equal(part.values[:, :], whole.values[30:70, 35:75])
    assert np.array_equal(part.water, whole.water[30:70, 35:75])


def test_what_covers_water_takes_it_out_of_sight():
    sheet = canvas()
    sheet.pool(pool(rectangle(8, 4, 9, 9)), 7)
    assert set(np.unique(sheet.water)) == {0, 7}
    assert (sheet.water == 7).sum() == 40 * 20
    sheet.patch(rectangle(4, 20, 11, 9), GREY)
    assert (sheet.water == 7).sum() == 20 * 20


def test_shade_leaves_water_in_sight():
    sheet = canvas()
    sheet.pool(pool(rectangle(8, 4, 9, 9)), 1)
    sheet.darken(sheet.inside_any([rectangle(20, 20, 9, 9), rectangle(20, 20, 8, 8)]))
    assert (sheet.water == 1).sum() == 800
    assert np.allclose(sheet.values[0, 0], np.array(GREY.colour) * SHADE)  # twice in shadow is dark once


def test_faces_towards_the_sun_are_brighter():
    sheet = canvas()
    sun = Sun.at(np.pi / 2, np.pi / 4)  # in the east, which is right
    roof = Roof((9, 9), 0.0, (Wing(0, 0, 4, 3, False),), "gable", 0.4, GREY)
    roofed = np.zeros(sheet.water.shape, bool)
    sheet.roof(roof, sun, roofed)
    assert roofed.sum() == 40 * 30
    west, east = sheet.values[45, 30, 0], sheet.values[45, 60, 0]
    assert west < 100 < east


def test_a_hipped_roof_has_four_tones_and_a_flat_one_one():
    sun = Sun.at(2.0, 0.8)
    for style, tones in (("hip", 4), ("gable", 2)):
        sheet = canvas()
        sheet.roof(Roof((9, 9), 0.0, (Wing(0, 0, 5, 3, True),), style, 0.4, GREY), sun, np.zeros((90, 90), bool))
        inner = sheet.values[32:58, 22:68, 0].round(3)
        assert len(np.unique(inner[inner != 100])) == tones


def test_off_the_canvas_nothing_is_drawn():
    sheet = canvas()
    before = sheet.values.copy()
    sheet.patch(rectangle(2, 2, -5, 5), BLUE)
    sheet.pool(pool(rectangle(2, 2, 50, 5)), 1)
    assert np.array_equal(sheet.values, before)
