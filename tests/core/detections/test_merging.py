import importlib.util
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.suppression import nms
from core.detections.waiting import Waiting

BENCH = Path(__file__).parents[4] / "shared" / "bench"


# ---- scenes: a lattice of tiles, and what a detector sees in each -----------------------------------------------


def lattice(rows, cols, tile, overlap):
    """Windows and views of a lattice that just covers its raster."""
    step = tile - overlap
    y, x = (a.ravel() * float(step) for a in np.mgrid[:rows, :cols])
    windows = np.stack([x, y, x + tile, y + tile], axis=1)
    whole = windows[-1, 2:]
    views = windows.copy()
    views[:, :2][windows[:, :2] == 0] = -np.inf
    views[:, 2:][windows[:, 2:] == whole] = np.inf
    return windows, views


def look(truth, window, rng=None, jitter=0.0, least=3.0):
    """What an ideal detector sees in a tile: of each object the part inside, each side off by `jitter` of its size."""
    low, high = np.maximum(truth.boxes[:, :2], window[:2]), np.minimum(truth.boxes[:, 2:], window[2:])
    seen = np.flatnonzero((high - low > least).all(axis=1))
    boxes = np.concatenate([low, high], axis=1)[seen]
    scores = truth.scores[seen]
    if jitter:
        boxes = boxes + rng.normal(0, jitter, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = np.clip(boxes, window[[0, 1, 0, 1]], window[[2, 3, 2, 3]])
        scores = np.clip(scores + rng.normal(0, 0.1, len(seen)), 0.05, 1).round(2)  # ties occur
    boxes = boxes - window[[0, 1, 0, 1]]
    found = Detections(boxes.astype(np.float32), scores, truth.labels[seen])
    return found.take(nms(found.boxes, found.scores, found.labels, 0.5))


def random_truth(rng, n, extent, kind):
    """Crowded objects from a twentieth of the extent up to all of it, of two classes."""
    sizes = {"small": (10, 40), "any": (10, extent)}[kind]
    side = np.exp(rng.uniform(*np.log(sizes), (n, 2)))
    corner = rng.uniform(-0.2, 1, (n, 2)) * extent
    boxes = np.clip(np.concatenate([corner, corner + side], axis=1), 0, extent)
    return Detections(boxes, rng.uniform(0.2, 1, n), rng.integers(0, 2, n))


def random_tiles(seed, rows=5, cols=4, tile=64, overlap=16):
    rng = np.random.default_rng(seed)
    windows, views = lattice(rows, cols, tile, overlap)
    truth = random_truth(rng, 150, windows[-1, 2:].max(), ["small", "any"][seed % 2])
    return windows, views, cols, [look(truth, w, rng, 0.08) for w in windows]


def merged(windows, views, cols, tiles, order=None, active=None):
    merger = Merger(views, windows, cols, active)
    for k in range(len(tiles)) if order is None else order:
        merger.add(int(k), tiles[k])
    return merger.finish()


def as_set(*found):
    rows = [
        (*box, score, label)
        for d in found
        for box, score, label in zip(d.boxes.tolist(), d.scores.tolist(), d.labels.tolist(), strict=True)
    ]
    assert len(rows) == len(set(rows))
    return set(rows)


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


def cut(a, side):
    width = a["box"][side % 2 + 2] - a["box"][side % 2]
    inside = (a["box"][side] - a["view"][side]) * (1 if side < 2 else -1)
    return inside <= max(2, 0.15 * width)


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
            if beside and a["label"] == b["label"] and cut(a, side) and cut(b, side - 2) and fit(a, b) > 0.5:
                partners[i, j] = fit(a, b)
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


@pytest.mark.parametrize("seed", range(8))
def test_is_the_rule_as_it_reads(seed):
    scene = random_tiles(seed, 3, 3)
    found = as_set(merged(*scene))
    assert found == merged_as_it_reads(*scene)
    assert len(found) < sum(len(tile) for tile in scene[3])


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_tiles_does_not_matter(seed):
    scene = random_tiles(seed)
    order = np.random.default_rng(seed).permutation(len(scene[3]))
    one, two = merged(*scene), merged(*scene, order=order)
    assert np.array_equal(one.boxes, two.boxes)
    assert np.array_equal(one.scores, two.scores)
    assert np.array_equal(one.labels, two.labels)


@pytest.mark.parametrize("seed", range(60))
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


@pytest.mark.parametrize("seed", range(30))
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
    tiles = [tile if a else Detections.empty() for tile, a in zip(tiles, active, strict=True)]
    merger, parts = Merger(views, windows, cols, active.reshape(6, 5)), []
    for k in np.flatnonzero(active):
        merger.add(int(k), tiles[k])
        parts.append(merger.finals())
    assert len(merger.waiting()) == 0
    assert as_set(*parts) == as_set(merged(windows, views, cols, tiles))


@pytest.mark.parametrize(("tile", "overlap"), [(64, 16), (96, 32), (128, 16), (200, 60)])
def test_with_an_ideal_detector_the_tiles_leave_no_trace(tile, overlap):
    # Objects apart from one another, some many tiles long; of a long one every tile sees enough to know it.
    gap = 9.0
    boxes = [(x, y, x + 11, y + 11) for x in np.arange(3, 380, 11 + gap) for y in np.arange(3, 200, 11 + gap)]
    boxes += [(5, 210, 390, 240), (20, 260, 60, 395), (100, 250, 101 + overlap, 380), (300, 245, 340, 390)]
    truth = Detections.truth(np.array(boxes))
    count = int(np.ceil((400 - overlap) / (tile - overlap)))
    windows, views = lattice(count, count, tile, overlap)
    tiles = [look(truth, w, least=0.0) for w in windows]
    # What a tile shows of an object by less than the margin is no basis for anything; ideal detectors do not report it.
    tiles = [t.take((t.boxes[:, 2:] - t.boxes[:, :2]).min(axis=1) > 5.5) for t in tiles]
    assert as_set(merged(windows, views, count, tiles)) == as_set(truth)


def test_halves_become_one_object():
    windows, views = lattice(1, 2, 100, 20)  # windows 0-100 and 80-180
    left = Detections(np.array([[60.0, 40, 100, 60]]), np.array([0.6]), np.array([1]))
    right = Detections(np.array([[0.0, 40, 50, 60]]), np.array([0.8]), np.array([1]))
    found = merged(windows, views, 2, [left, right])
    assert as_set(found) == {(60, 40, 130, 60, 0.8, 1)}


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
    rows, cols, tile, overlap = 60, 4, 128, 32
    windows, views = lattice(rows, cols, tile, overlap)
    corner = rng.uniform(0, 1, (rows * 200, 2)) * windows[-1, 2:]
    truth = Detections.truth(np.concatenate([corner, corner + rng.lognormal(2.7, 0.5, corner.shape)], axis=1))
    merger, waiting = Merger(views, windows, cols), []
    for row in range(rows):
        for k in range(row * cols, (row + 1) * cols):
            merger.add(k, look(truth, windows[k], rng, 0.05))
        merger.finals()
        waiting.append(len(merger.waiting()))
    assert waiting[-1] == 0
    assert max(waiting[rows // 2 :]) < 1.3 * max(waiting[: rows // 2])
    assert max(waiting) < 400  # a row of tiles shows some 1,000 boxes


@pytest.mark.parametrize("kind", ["scattered", "crowded"])
def test_many_boxes_take_no_time(kind):
    n, repeats, apart, limit = {"scattered": (500_000, 1, 40, 8), "crowded": (17_000, 6, 40, 5)}[kind]
    rng = np.random.default_rng(1)
    extent = apart * np.sqrt(n)
    tile, overlap = 512, 128
    count = int(np.ceil((extent - overlap) / (tile - overlap)))
    windows, views = lattice(count, count, tile, overlap)
    boxes = np.repeat(rng.uniform(0, extent - 40, (n, 1, 2)), repeats, axis=0).reshape(-1, 2)
    boxes = np.concatenate(
        [boxes, boxes + rng.lognormal(3, 0.3, (n, 1, 2)).repeat(repeats, axis=0).reshape(-1, 2)], axis=1
    )
    boxes += rng.normal(0, 1.5 * (repeats > 1), boxes.shape)
    home = np.clip((boxes[:, :2] // (tile - overlap)).astype(int), 0, count - 1)
    order = np.argsort(home[:, 1] * count + home[:, 0], kind="stable")
    boxes, home = boxes[order], (home[:, 1] * count + home[:, 0])[order]
    edges = np.searchsorted(home, np.arange(count * count + 1))
    scores, merger = rng.random(len(boxes)), Merger(views, windows, count)
    start = time.process_time()
    for k in range(count * count):
        mine = slice(edges[k], edges[k + 1])
        local = boxes[mine] - windows[k, [0, 1, 0, 1]]
        merger.add(k, Detections(local, scores[mine], np.zeros(len(local), np.int64)))
    assert len(merger.finish()) > n / 2
    assert time.process_time() - start < limit


def bench_module(name):
    if not BENCH.exists():
        pytest.skip("the simulation of merging rules is not beside the project")
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_agrees_with_an_independent_simulation_on_its_scenes():
    scenes, sim = bench_module("merge_scenes"), bench_module("merge_sim")
    tile, overlap = 512, 64
    rng = np.random.default_rng(tile + overlap)
    starts = np.array(scenes.tile_starts(tile, overlap))
    if (np.diff(starts) != tile - overlap).any():
        starts = None
    for name, (truth, kind, noise) in scenes.scenes(rng, tile, overlap).items():
        d = sim.suppress_in_tiles(scenes.detect(rng, truth, kind, noise, tile, overlap, 0.04))
        y, x = (
            a.ravel()
            for a in np.meshgrid(scenes.tile_starts(tile, overlap), scenes.tile_starts(tile, overlap), indexing="ij")
        )
        windows = np.stack([x, y, x + tile, y + tile], axis=1).astype(float)
        views = np.where(windows == [0, 0, scenes.SIZE, scenes.SIZE], [-np.inf, -np.inf, np.inf, np.inf], windows)
        cols = int(np.sqrt(len(windows)))
        home = np.array([r * cols + c for r, c in d.tiles])
        merger = Merger(views, windows, cols)
        for k in range(len(windows)):
            mine = home == k
            merger.add(
                k, Detections(d.box[mine] - windows[k, [0, 1, 0, 1]], d.score[mine], np.zeros(mine.sum(), np.int64))
            )
        ours = merger.finish()
        box, score = sim.merge(d, sim.Rule())
        precision = [
            sim.average_precision(s, sim.match(b, s, truth, 0.5), len(truth))
            for b, s in ((ours.boxes, ours.scores), (box, score))
        ]
        print(name, len(box), len(ours), precision)
        assert precision[0] == pytest.approx(precision[1], abs=0.002), name
