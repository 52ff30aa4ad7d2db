"""The rules that merging is compared with: plain suppression, and the tile that sees a box's centre best."""

import numpy as np
import pytest

from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.rules import rule_named, seams, suppression
from core.detections.suppression import nms
from tests.core.detections.sightings import as_set, lattice, look, random_tiles


def in_grid(windows, tiles):
    return Detections.concatenate([tile.moved(*window[:2]) for tile, window in zip(tiles, windows, strict=True)])


def merged(rule, windows, views, cols, tiles, active=None):
    merger = Merger(views, windows, cols, active, rule)
    for k, tile in enumerate(tiles):
        if active is None or active[k]:
            merger.add(k, tile)
    return merger.finish()


@pytest.mark.parametrize("overlap", [0.15, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_nms_is_suppression_over_all_tiles_at_once(seed, overlap):
    torch = pytest.importorskip("torch", reason="torch is the reference for suppression")
    from torchvision.ops import batched_nms

    windows, views, cols, tiles = random_tiles(seed)
    rng = np.random.default_rng(seed)
    tiles = [Detections(tile.boxes.round(), rng.random(len(tile)), tile.labels) for tile in tiles]  # no ties
    found = in_grid(windows, tiles)
    ours = as_set(merged(suppression(overlap), windows, views, cols, tiles))
    assert ours == as_set(found.take(nms(found.boxes, found.scores, found.labels, overlap)))
    columns = (torch.tensor(column) for column in (found.boxes, found.scores, found.labels))
    assert ours == as_set(found.take(batched_nms(*columns, overlap).numpy()))


@pytest.mark.parametrize("rule", [rule_named("nms", 0.5), rule_named("centre", 0.5)], ids=["nms", "centre"])
@pytest.mark.parametrize("seed", range(4))
def test_what_leaves_early_is_what_merging_all_at_once_gives(rule, seed):
    rng = np.random.default_rng(seed)
    windows, views, cols, tiles = scene = random_tiles(seed, 8, 5)
    merger, parts = Merger(views, windows, cols, rule=rule), []
    for k in rng.permutation(len(tiles)) if seed % 2 else range(len(tiles)):
        merger.add(int(k), tiles[k])
        parts.append(merger.finals())
    assert len(merger.finish()) == 0
    assert as_set(*parts) == as_set(merged(rule, *scene))
    if seed == 0:  # small objects, row by row
        assert sum(len(part) for part in parts[:30]) > sum(len(part) for part in parts) / 2


def test_a_box_counts_in_the_tile_that_sees_its_centre_best():
    windows, views = lattice(2, 2, 100, 40)  # 60 px apart; the middle of both overlaps is at 80
    one = Detections(np.array([[60.0, 60, 90, 90]]), np.ones(1), np.zeros(1, np.int64))  # its centre is (75, 75)
    tiles = [one, one.moved(-60, 0), one.moved(0, -60), one.moved(-60, -60)]
    for k in range(4):
        shown = [tile if k == m else Detections.empty() for m, tile in enumerate(tiles)]
        assert len(merged(rule_named("centre", 0.5), windows, views, 2, shown)) == (k == 0)
    tie = [Detections(np.array([[x, 10, x + 20, 30.0]]), np.ones(1), np.zeros(1, np.int64)) for x in (70, 10)]
    assert (
        len(merged(rule_named("centre", 1.0), windows, views, 2, [*tie, Detections.empty(), Detections.empty()])) == 1
    )


def test_where_a_tile_is_not_looked_at_its_neighbour_counts():
    windows, views = lattice(1, 2, 100, 40)
    near_the_edge = Detections(np.array([[80.0, 10, 98, 30]]), np.ones(1), np.zeros(1, np.int64))
    nothing = Detections.empty()
    assert len(merged(rule_named("centre", 0.5), windows, views, 2, [near_the_edge, nothing])) == 0
    active = np.array([True, False])
    assert len(merged(rule_named("centre", 0.5), windows, views, 2, [near_the_edge, nothing], active)) == 1


def test_every_rule_counts_small_objects_once():
    boxes = [(x, y, x + 11, y + 11) for x in range(3, 500, 20) for y in range(3, 500, 20)]
    truth = Detections.truth(np.array(boxes, float))
    windows, views = lattice(6, 6, 120, 40)
    tiles = [look(truth, window, least=5.6) for window in windows]
    for name in ("seams", "centre", "nms"):
        found = merged(rule_named(name, 0.4), windows, views, 6, tiles)
        assert len(found) == len(truth), name
    assert rule_named("seams", 0.5) is seams
