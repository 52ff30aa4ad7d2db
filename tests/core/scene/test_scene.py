import numpy as np
import pytest

from core.scene import scene as scene_module
from core.scene.plan import Paint, Patch, Plan, Pool, Sun
from core.scene.scene import CLASS_NAMES, draw_scene, paint_plan
from core.scene.shapes import bounds, kidney, rectangle, turned

LAWN = Paint((85, 100, 75, 165))
DECK = Paint((170, 165, 150, 165))
WATER = Paint((95, 160, 170, 40))
PX = 0.6


def plan_of(*outlines: np.ndarray) -> Plan:
    plan = Plan(Sun.at(2.5, 0.9), LAWN)
    plan.pools = [Pool(outline, outline, WATER, DECK, (0.0, 0.0)) for outline in outlines]
    return plan


def boxes_of(plan: Plan, size: int | tuple[int, int] = 64) -> np.ndarray:
    return paint_plan(plan, (size, size) if isinstance(size, int) else size, 0, PX).boxes


def test_the_box_of_an_upright_pool_is_the_pool():
    outline = rectangle(16 * PX, 8 * PX, 30 * PX, 20 * PX)
    assert np.allclose(boxes_of(plan_of(outline)), [[22, 16, 38, 24]])


@pytest.mark.parametrize("angle", [0.3, 1.1, 2.4])
def test_the_box_of_a_pool_is_the_bounds_of_its_pixels(angle):
    outline = turned(kidney(10, 5, 0.3, 0.3), angle) + 32 * PX
    scene = paint_plan(plan_of(outline), (64, 64), 0, PX)
    exact = np.array(bounds(outline)) / PX
    assert np.all(np.abs(scene.boxes[0] - exact) <= 1 / 3)  # a sample is a third of a pixel
    blueness = scene.image[2].astype(float) - scene.image[0]
    rows, columns = np.nonzero(blueness > (blueness.max() + blueness.min()) / 2)  # at least half water
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    assert np.all(np.abs(scene.boxes[0] - seen) < 1.5)


def test_what_covers_a_pool_cuts_its_box_and_too_much_of_it_takes_it_out():
    pool = rectangle(20 * PX, 10 * PX, 30 * PX, 30 * PX)  # 20 to 40, 25 to 35
    for covered, expected in ((0.3, [[26, 25, 40, 35]]), (0.55, [[31, 25, 40, 35]]), (0.65, np.empty((0, 4)))):
        plan = plan_of(pool)
        plan.things = [Patch(rectangle(20 * PX, 20 * PX, (10 + covered * 20) * PX, 30 * PX), DECK)]
        assert np.allclose(boxes_of(plan), expected)


def test_pools_cut_by_the_border_are_clipped_and_slivers_left_out():
    inside_by = {10: 10, 4: 4, 3: None}
    for shown, expected in inside_by.items():
        boxes = boxes_of(plan_of(rectangle(20 * PX, 10 * PX, (64 - shown + 10) * PX, 30 * PX)))
        assert np.allclose(boxes, np.empty((0, 4)) if expected is None else [[64 - shown, 25, 64, 35]])


def test_truth_does_not_depend_on_how_the_scene_is_cut_into_tiles(monkeypatch):
    whole = draw_scene((150, 130), 42, density=3.0)
    monkeypatch.setattr(scene_module, "TILE_PX", 47)
    parts = draw_scene((150, 130), 42, density=3.0)
    assert len(whole.boxes) > 0
    assert np.array_equal(whole.boxes, parts.boxes)
    difference = whole.image.astype(float) - parts.image  # only the noise differs
    assert abs(difference.mean()) < 0.2 and difference.std() < 5


def test_a_seed_gives_one_scene():
    first, again, other = draw_scene(96, 5), draw_scene(96, 5), draw_scene(96, 6)
    assert np.array_equal(first.image, again.image) and np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.image, other.image)


def test_a_scene_is_four_bands_of_bytes_with_boxes_inside_it():
    scene = draw_scene((140, 180), 8, density=4.0)
    assert scene.image.shape == (4, 140, 180) and scene.image.dtype == np.uint8
    assert scene.boxes.dtype == np.float64 and scene.labels.dtype == np.int64
    assert scene.class_names == CLASS_NAMES == ("pool",)
    assert len(scene.boxes) == len(scene.labels) > 0
    x0, y0, x1, y1 = scene.boxes.T
    assert x0.min() >= 0 and y0.min() >= 0 and x1.max() <= 180 and y1.max() <= 140
    assert (x1 - x0).min() >= 4 and (y1 - y0).min() >= 4


def test_without_pools_nothing_is_labelled_however_blue():
    drawn = [draw_scene(192, seed, density=0.0) for seed in range(30, 33)]
    assert all(len(scene.boxes) == 0 for scene in drawn)
    blue = [(scene.image[2].astype(int) - scene.image[0] > 35).sum() for scene in drawn]
    assert max(blue) > 60  # tarpaulins, courts, roofs and cars are there


def test_water_is_where_the_boxes_are():
    scenes = [draw_scene(192, seed, density=2.0) for seed in (42, 43, 51)]
    bluer = []
    for scene in scenes:
        background = np.median(scene.image[2].astype(float) - scene.image[0])
        for x0, y0, x1, y1 in scene.boxes:
            if min(x1 - x0, y1 - y0) > 8:
                middle = scene.image[:, int((y0 + y1) / 2), int((x0 + x1) / 2)].astype(float)
                bluer.append(middle[2] - middle[0] > background + 8)
    assert len(bluer) > 5
    assert np.mean(bluer) > 0.85  # some middles lie under a crown
