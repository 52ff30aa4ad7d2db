import importlib.util
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.waiting import Waiting
from tests.core.detections.sightings import as_set, lattice, look, random_tiles

BENCH = Path(__file__).parents[4] / "shared" / "bench"


def merged(windows, views, cols, tiles, order=None, active=None):
    merger = Merger(views, windows, cols, active)
    for k in range(len(tiles)) if order is None else order.tolist():
        merger.add(int(k), tiles[k])
    return merger.finish()


# ---- the rule, written down as it reads, for a handful of boxes --------------------------------------------------


def clip(a, b):
    return (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))


def area(a):
    return max(a[2] - a[0], 0) * max(a[3] - a[1], 0)


def bounds(some):
    some = list(some)
    return (*(min(a[k] for a in some) for k in (0, 1)), *(max(a[k] for a in some) for k in (2, 3)))


def fit(a, b):
    view = clip(a["view"], b["view"])
    one, two = clip(a["box"], view), clip(b["box"], view)
    common = area(clip(one, two))
    return common / (area(one) + area(two) - common) if common else 0.0


def moved_to_the_edge(a):
    """The part with each cut side at the edge of its view."""
    return {**a, "box": tuple(a["view"][side] if cut(a, side) else a["box"][side] for side in range(4))}


def kinship(a, b):
    """How well two parts fit that may be joined: over 1 where they agree as they are, 0 where they do not fit."""
    shared, reaching = fit(a, b), fit(moved_to_the_edge(a), moved_to_the_edge(b))
    if shared > 0.5:
        return 1 + shared
    return reaching if shared > 0.2 and reaching > 0.7 else 0.0


def cut(a, side):
    width = a["box"][side % 2 + 2] - a["box"][side % 2]
    inside = (a["box"][side] - a["view"][side]) * (1 if side < 2 else -1)
    return inside <= max(2, 0.2 * width)


def depth(box, view):
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return min(x - view[0], y - view[1], view[2] - x, view[3] - y)


def seen_better(part, views):
    """Another tile sees all of the box, and its centre clearly farther from the edge."""
    box, (tile,) = part["box"], part["tiles"]
    clearly = 2 * max(2, 0.2 * min(box[2] - box[0], box[3] - box[1]))
    for other, view in enumerate(views):
        uncut = not any(cut({"box": box, "view": view}, side) for side in range(4))
        if other != tile and uncut and depth(box, view) > depth(box, views[tile]) + clearly:
            return True
    return False


def merged_as_it_reads(windows, views, cols, tiles):
    parts = []
    for t, found in enumerate(tiles):
        moved = found.moved(*windows[t, :2])
        for box, score, label in zip(moved.boxes.tolist(), moved.scores.tolist(), moved.labels.tolist(), strict=True):
            parts.append({"box": tuple(box), "view": tuple(views[t]), "score": score, "label": label, "tiles": {t}})
    links = []
    for side, step in ((2, 1), (3, cols)):
        partners = {}
        for i, j in itertools.permutations(range(len(parts)), 2):
            a, b = parts[i], parts[j]
            (s,), (t,) = a["tiles"], b["tiles"]
            beside = t - s == step and (side == 3 or t % cols > 0)
            if beside and a["label"] == b["label"] and cut(a, side) and cut(b, side - 2) and kinship(a, b):
                partners[i, j] = kinship(a, b)
        for (i, j), value in partners.items():
            rivals = [v for (p, q), v in partners.items() if p == i or q == j]
            if value == max(rivals):
                links.append((i, j))
    group = list(range(len(parts)))
    for _ in parts:
        for i, j in links:
            group[i] = group[j] = min(group[i], group[j])
    objects = []
    for g in set(group):
        mine = [p for p, k in zip(parts, group, strict=True) if k == g]
        objects.append(
            {
                "box": bounds(p["box"] for p in mine),
                "view": bounds(p["view"] for p in mine),
                "score": max(p["score"] for p in mine),
                "label": mine[0]["label"],
                "tiles": set().union(*(p["tiles"] for p in mine)),
            }
        )
    objects = [o for o in objects if len(o["tiles"]) > 1 or not seen_better(o, views)]
    halved = [o["score"] * (0.5 if any(cut(o, side) for side in range(4)) else 1) for o in objects]
    keys = [(-h, -o["score"], *o["box"][::-1], min(o["tiles"])) for h, o in zip(halved, objects, strict=True)]
    living = []
    for k in sorted(range(len(objects)), key=keys.__getitem__):
        o = objects[k]
        rivals = [p for p in living if p["label"] == o["label"] and not p["tiles"] & o["tiles"]]
        if all(fit(o, p) <= 0.5 for p in rivals):
            living.append(o)
    return {(*o["box"], o["score"], o["label"]) for o in living}


# ---- tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_is_the_rule_as_it_reads(seed):
    scene = random_tiles(seed, 3, 3)
    found = as_set(merged(*scene))
    assert found == merged_as_it_reads(*scene)
    assert len(found) < sum(len(tile) for tile in scene[3])


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_tiles_does_not_matter(seed):
    scene = random_tiles(seed)
    order = np.random.default_rng(seed).permutation(len(scene[3]))
    assert as_set(merged(*scene)) == as_set(merged(*scene, order=order))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["rows", "tiles row by row", "any order"])
def test_what_leaves_early_is_what_merging_all_at_once_gives(seed, kind):
    rng = np.random.default_rng(seed)
    windows, views, cols, tiles = scene = random_tiles(seed, 8, 5)
    merger = Merger(views, windows, cols)
    rows = np.arange(len(tiles)).reshape(-1, cols)
    order = {
        "rows": [rng.permutation(row) for row in rows],
        "tiles row by row": rows.reshape(-1, 1),
        "any order": rng.permutation(rows.reshape(-1, 1)),
    }[kind]
    parts = []
    for batch in order:
        for tile in batch:
            merger.add(int(tile), tiles[tile])
        parts.append(merger.finals())
    early = sum(len(part) for part in parts)
    rest = merger.finish()
    assert as_set(*parts, rest) == as_set(merged(*scene))
    assert len(rest) == 0, "everything has come, so everything was final"
    if kind == "rows" and seed % 2 == 0:  # small objects
        assert sum(len(part) for part in parts[:-1]) > early / 2
    assert len(merger.finish()) == 0


@pytest.mark.parametrize("seed", range(6))
def test_chunks_hand_on_what_is_not_final(seed, tmp_path):
    rng = np.random.default_rng(seed)
    windows, views, cols, tiles = scene = random_tiles(seed, 9, 4)
    chunks = np.array_split(np.arange(len(tiles)), np.sort(rng.choice(np.arange(1, 9) * cols, 3, replace=False)))
    last, parts = Merger(views, windows, cols), []
    for k in rng.permutation(4):
        merger = Merger(views, windows, cols)
        for tile in chunks[k]:
            merger.add(int(tile), tiles[tile])
        parts.append(merger.finals())
        np.savez(tmp_path / f"{k}.npz", **vars(merger.waiting()))
        with np.load(tmp_path / f"{k}.npz") as columns:
            last.absorb(Waiting(**columns), merger.read)
        parts.append(last.finals())
    assert as_set(*parts, last.finish()) == as_set(merged(*scene))


@pytest.mark.parametrize("seed", range(4))
def test_inactive_tiles_hold_nothing_up(seed):
    rng = np.random.default_rng(seed)
    windows, views, cols, tiles = random_tiles(seed, 6, 5)
    active = rng.random(30) < 0.7
    merger, parts = Merger(views, windows, cols, active.reshape(6, 5)), []
    for k in np.flatnonzero(active):
        merger.add(int(k), tiles[k])
        parts.append(merger.finals())
    assert len(merger.waiting()) == 0
    order = rng.permutation(np.flatnonzero(active))
    assert as_set(*parts) == as_set(merged(windows, views, cols, tiles, order, active))


@pytest.mark.parametrize(("tile", "overlap"), [(96, 32), (128, 40), (160, 64), (200, 60), (520, 80)])
def test_with_an_ideal_detector_the_tiles_leave_no_trace(tile, overlap):
    # Small objects in rows, and some that cross many tiles; all are narrower than the overlap.
    boxes = [(x, y, x + 11, y + 11) for x in range(3, 500, 20) for y in range(3, 250, 20)]
    boxes += [(5, 260, 490, 280), (20, 290, 45, 495), (70, 300, 90, 490), (110, 300, 480, 320), (470, 330, 490, 480)]
    truth = Detections.truth(np.array(boxes))
    count = int(np.ceil((500 - overlap) / (tile - overlap)))
    windows, views = lattice(count, count, tile, overlap)
    # Of what it sees less than half as wide as it is, the detector says nothing.
    tiles = [look(truth, w, least=5.6) for w in windows]
    found = merged(windows, views, count, tiles)
    assert sorted(found.boxes.tolist()) == sorted(truth.boxes.tolist())


def test_halves_become_one_object():
    windows, views = lattice(1, 2, 100, 20)  # windows 0-100 and 80-180
    left = Detections(np.array([[60.0, 40, 100, 60]]), np.array([0.6]), np.array([1]))
    right = Detections(np.array([[0.0, 40, 50, 60]]), np.array([0.8]), np.array([1]))
    found = merged(windows, views, 2, [left, right])
    assert as_set(found) == {(60, 40, 130, 60, 0.8, 1)}


def test_what_one_tile_sees_at_its_edge_and_the_next_one_not_at_all_is_nothing():
    windows, views = lattice(1, 2, 100, 40)  # windows 0-100 and 60-160
    nothing = Detections.empty()

    def left_over(x0, x1, active=None):
        seen = Detections(np.array([[x0, 40.0, x1, 60.0]]), np.array([0.9]), np.array([0]))
        merger = Merger(views, windows, 2, active)
        merger.add(0, seen)
        if active is None:
            merger.add(1, nothing)
        return len(merger.finish())

    assert left_over(85, 99) == 0
    assert left_over(85, 99, np.array([True, False])) == 1, "nobody else looks there"
    assert left_over(66, 90) == 1, "the first tile sees it better"
    assert left_over(72, 92) == 1, "its centre is hardly beyond the middle, and may be off"
    assert left_over(50, 100) == 1, "the next tile does not see all of it"
    assert left_over(62, 100) == 1, "cut off in the next tile, too"


def test_halves_of_different_classes_stay_apart():
    windows, views = lattice(1, 2, 100, 20)
    left = Detections(np.array([[60.0, 40, 100, 60]]), np.array([0.6]), np.array([0]))
    right = Detections(np.array([[0.0, 40, 50, 60]]), np.array([0.8]), np.array([1]))
    assert len(merged(windows, views, 2, [left, right])) == 2


def test_a_whole_object_wins_over_a_better_scored_part():
    windows, views = lattice(1, 2, 100, 40)  # windows 0-100 and 60-160
    part = Detections(np.array([[70.0, 40, 99, 60]]), np.array([0.9]), np.array([0]))
    whole = Detections(np.array([[10.0, 40, 45, 60]]), np.array([0.5]), np.array([0]))  # 70-105
    assert as_set(merged(windows, views, 2, [part, whole])) == {(70, 40, 105, 60, 0.5, 0)}


def test_a_tile_comes_once():
    windows, views = lattice(1, 2, 100, 20)
    merger = Merger(views, windows, 2, np.array([True, False]))
    merger.add(0, Detections.empty())
    for tile in (0, 1):
        with pytest.raises(ValueError, match="added before"):
            merger.add(tile, Detections.empty())


def test_a_small_object_does_not_wait_for_a_long_one_that_still_grows():
    windows, views = lattice(6, 3, 100, 20)
    merger, left = Merger(views, windows, 3), 0
    for row in range(5):
        road = np.array([[10.0, 0, 40, 100]]) if row else np.array([[10.0, 30, 40, 100]])
        pool = np.array([[60.0, 40, 70, 50]])
        for col in range(3):
            boxes = np.concatenate([pool, road]) if col == 0 else pool
            merger.add(row * 3 + col, Detections(boxes, np.ones(len(boxes)), np.zeros(len(boxes), np.int64)))
        left += len(merger.finals())
    assert left == 15
    assert len(merger.waiting()) == 1
    rest = merger.finish()
    assert rest.boxes.tolist() == [[10, 30, 40, 420]]


def test_memory_does_not_grow_with_the_height_of_the_raster():
    rng = np.random.default_rng(0)
    rows, cols, tile, overlap = 30, 3, 128, 32
    windows, views = lattice(rows, cols, tile, overlap)
    corner = rng.uniform(0, 1, (rows * 100, 2)) * windows[-1, 2:]
    truth = Detections.truth(np.concatenate([corner, corner + rng.lognormal(2.7, 0.5, corner.shape)], axis=1))
    merger, waiting, row_of_boxes = Merger(views, windows, cols), [], []
    for row in range(rows):
        seen = [look(truth, windows[k], rng, 0.05) for k in range(row * cols, (row + 1) * cols)]
        for k, tile in enumerate(seen, row * cols):
            merger.add(k, tile)
        merger.finals()
        waiting.append(len(merger.waiting()))
        row_of_boxes.append(sum(len(tile) for tile in seen))
    assert waiting[-1] == 0
    assert max(waiting[rows // 2 :]) < 1.3 * max(waiting[: rows // 2])
    assert max(waiting) < max(row_of_boxes)


@pytest.mark.parametrize(("n", "repeats", "limit"), [(100_000, 1, 3), (17_000, 6, 3)], ids=["scattered", "crowded"])
def test_many_boxes_take_no_time(n, repeats, limit):
    rng = np.random.default_rng(1)
    extent, tile, overlap = 40 * np.sqrt(n), 512, 128
    count = int(np.ceil((extent - overlap) / (tile - overlap)))
    windows, views = lattice(count, count, tile, overlap)
    corner = rng.uniform(0, extent - 40, (n, 2)).repeat(repeats, axis=0)
    boxes = np.concatenate([corner, corner + rng.lognormal(3, 0.3, (n, 2)).repeat(repeats, axis=0)], axis=1)
    boxes += rng.normal(0, 1.5 * (repeats > 1), boxes.shape)
    home = (boxes[:, 1] // (tile - overlap) * count + boxes[:, 0] // (tile - overlap)).clip(0, count**2 - 1)
    merger = Merger(views, windows, count)
    found = [boxes[home == k] - windows[k, [0, 1, 0, 1]] for k in range(count**2)]
    start = time.process_time()
    for k, local in enumerate(found):
        merger.add(k, Detections(local, np.ones(len(local)), np.zeros(len(local), np.int64)))
    assert len(merger.finish()) > n / 2
    assert time.process_time() - start < limit  # measured a fifth


def bench_module(name):
    if not BENCH.exists():
        pytest.skip("the simulation of merging rules is not beside the project")
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def joined_in_simulation(sim, d, rule):
    """Join in the simulation's terms what is cut on facing sides and fits, as it is or moved to the edge."""
    cut, tile = sim.cut_sides(d, rule), np.array(d.tiles)
    reaching = np.where(cut, d.view, d.box)

    def kinship(a, b):
        common = sim.clip(d.view[a], d.view[b])
        shared = sim.iou(sim.clip(d.box[a], common), sim.clip(d.box[b], common))
        reach = sim.iou(sim.clip(reaching[a], common), sim.clip(reaching[b], common))
        return np.where(shared > 0.5, 1 + shared, np.where((shared > 0.2) & (reach > 0.7), reach, 0))

    i, j = sim.pairs(d.box)
    group = np.arange(len(d.score))
    for axis in (0, 1):
        step = np.array([1, 0] if axis else [0, 1])
        a, b = np.where((tile[j] - tile[i] == step).all(1), [i, j], [j, i])
        ok = (tile[b] - tile[a] == step).all(1) & cut[a, axis + 2] & cut[b, axis]
        a, b = a[ok], b[ok]
        fit, best = kinship(a, b), np.zeros((2, len(d.score)))
        np.maximum.at(best[0], a, fit)
        np.maximum.at(best[1], b, fit)
        ok = (fit > 0) & (fit == best[0, a]) & (fit == best[1, b])
        for p, q in zip(a[ok].tolist(), b[ok].tolist(), strict=True):
            group[group == group[q]] = group[p]
    rows = [np.flatnonzero(group == g) for g in np.unique(group)]

    def bounds(boxes):
        return np.array([[*boxes[k, :2].min(axis=0), *boxes[k, 2:].max(axis=0)] for k in rows])

    tiles = [frozenset(d.tiles[k] for k in row) for row in rows]
    return type(d)(bounds(d.box), np.array([d.score[k].max() for k in rows]), bounds(d.view), tiles)


@pytest.mark.parametrize("name", ["crowded", "long", "end to end", "nested", "corners", "noise"])
def test_agrees_with_an_independent_simulation_on_its_scenes(name, monkeypatch):
    scenes, sim = bench_module("merge_scenes"), bench_module("merge_sim")
    tile, overlap, rng = 512, 64, np.random.default_rng(3)
    truth, kind, noise = {
        "crowded": lambda: (scenes.scatter(rng, 400, lambda: scenes.blob(rng, 45, 0.5, 140), 0.9), "thing", 0),
        "long": lambda: (scenes.stacks(rng, (20, 45), (150, 900), (1, 4), False), "stuff", 0),
        "end to end": lambda: (scenes.stacks(rng, (40, 90), (60, 260), (0, 2), True), "stuff", 0),
        "nested": lambda: (scenes.nested(rng, 100), "thing", 0),
        "corners": lambda: (scenes.corners(rng, tile, overlap), "thing", 0),
        "noise": lambda: (scenes.scatter(rng, 300, lambda: scenes.blob(rng, 50, 0.5, 200), 0.35), "thing", 3),
    }[name]()
    d = sim.suppress_in_tiles(scenes.detect(rng, truth, kind, noise, tile, overlap, 0.04))
    starts = np.array(scenes.tile_starts(tile, overlap), float)
    y, x = (a.ravel() for a in np.meshgrid(starts, starts, indexing="ij"))
    windows = np.stack([x, y, x + tile, y + tile], axis=1)
    views = np.where(windows == [0, 0, scenes.SIZE, scenes.SIZE], [-np.inf, -np.inf, np.inf, np.inf], windows)
    home = np.array([row * len(starts) + col for row, col in d.tiles])
    merger = Merger(views, windows, len(starts))
    for k in range(len(windows)):
        mine = home == k
        local = d.box[mine] - windows[k, [0, 1, 0, 1]]
        merger.add(k, Detections(local, d.score[mine], np.zeros(len(local), np.int64)))

    def join_and_drop(d, rule):  # the simulation joins only what agrees as it is, and drops nothing
        found = joined_in_simulation(sim, d, rule)
        tiles = [{row * len(starts) + col for row, col in tiles} for tiles in found.tiles]
        objects = [{"box": box, "tiles": t} for box, t in zip(found.box.tolist(), tiles, strict=True)]
        return found[np.array([len(o["tiles"]) > 1 or not seen_better(o, views) for o in objects])]

    monkeypatch.setattr(sim, "join", join_and_drop)
    ours, (box, score) = merger.finish(), sim.merge(d, sim.Rule(margin=0.2))
    assert len(ours) < len(d.score)
    theirs = Detections(box.round(6), score, np.zeros(len(box), np.int64))
    assert as_set(Detections(ours.boxes.round(6), ours.scores, ours.labels)) == as_set(theirs)
