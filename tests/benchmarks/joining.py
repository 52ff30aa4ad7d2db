"""How well merging does on simulated scenes, and what joining's constants and the other rules do there.

    .venv/bin/python tests/benchmarks/joining.py [--scenes 12] [--misses 4,8]

Scenes of 2048 x 2048 px, a third of each kind: `ordinary` objects of 12 to 300 px that cover one another little; `long`
ones of 20 to 60 x 200 to 1200 px, apart from one another; `end to end` in rows, 30 to 80 px high with objects of 60 to
400 px, gaps of up to 2 px between them. A simulated detector sees the part of an object that lies in a tile if each of
its sides is more than .1 to .7 (by chance) of the object's shorter one, and misses each side by some per cent of the
part's size (a standard deviation). Tiles of 256 px with an overlap of 32 px, of 512 px with 64 and 128 px. What tiles
show is the same for all rules.

One row for a rule and a miss: `seams` as it is; with constants of core/detections/joining.py changed; without dropping
what another tile sees better (core/detections/witnesses.py); `centre` and `nms`. `as they are`: parts are not compared
once more with their cut sides moved to the edge. AP50 and AP75: means over all scenes and tilings. Of 100 objects of a
kind: `spare`, detections that found no object (IoU .5) but lie on one with more than half of their area; `fused`, those
that found none and hold more than .8 of two.
"""

import argparse
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from unittest.mock import patch

import numpy as np
from report import tell

from core.accuracy.matching import find_overlaps, match
from core.accuracy.metrics import Assessment
from core.detections import joining, rules
from core.detections.cells import area, intersection
from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.rules import rule_named
from core.detections.suppression import nms
from tests.core.detections.sightings import lattice, look

SIZE, NEVER = 2048, 9.0
TILINGS = [(256, 32), (512, 64), (512, 128)]
KINDS = ("ordinary", "long", "end to end")
Changed = AbstractContextManager[object]


def scattered(rng: np.random.Generator, n: int, sides: np.ndarray, covered: float) -> np.ndarray:
    """Boxes of `sides` (n, 2) at random places; of those that cover one another by an IoU over `covered` one stays."""
    corner = rng.uniform(0, 1, (n, 2)) * (SIZE - sides)
    boxes = np.hstack([corner, corner + sides])
    return boxes[nms(boxes, rng.random(n), np.zeros(n, np.int64), covered)]


def in_rows(rng: np.random.Generator) -> np.ndarray:
    """Rows of objects end to end: they lie in the upper half of a scene and stand in the lower one."""
    boxes, y = [], 10.0
    while y < SIZE / 2 - 90:
        height, x = rng.uniform(30, 80), rng.uniform(0, 60)
        while x < SIZE - 60:
            end = min(x + rng.uniform(60, 400), SIZE)
            boxes.append([x, y, end, y + height])
            x = end + rng.uniform(0, 2)
        y += height + rng.uniform(4, 30)
    lying = np.array(boxes)
    standing = lying[:, [1, 0, 3, 2]]
    lower = standing[standing[:, 1] > SIZE / 2]
    return np.concatenate([lying, lower, lower + np.array([SIZE / 2, 0, SIZE / 2, 0])])


def scene(kind: str, seed: int) -> Detections:
    """The objects of a scene; their scores are what a detector gives to one that it sees whole."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    if kind == "ordinary":
        side = np.exp(rng.uniform(*np.log([12, 300]), (1500, 1)))
        boxes = scattered(rng, 1500, (side * np.exp(rng.normal(0, 0.2, (1500, 2)))).clip(10, 400), 0.1)
    elif kind == "long":
        sides = np.stack([rng.uniform(20, 60, 300), rng.uniform(200, 1200, 300)], axis=1)
        boxes = scattered(rng, 300, rng.permuted(sides, axis=1), 0)
    else:
        boxes = in_rows(rng)
    return Detections(boxes, rng.uniform(0.5, 1, len(boxes)), np.zeros(len(boxes), np.int64))


def joined(**constants: float) -> Changed:
    """Other constants of joining, for a while."""
    return patch.multiple(joining, **constants)


def kept_by_all(boxes: np.ndarray, *_: object) -> np.ndarray:
    """In the place of `best_witnessed`: no tile sees anything better than another."""
    return np.ones(len(boxes), bool)


def variants() -> Iterator[tuple[str, str, float, Changed]]:
    """What is compared: its name, a rule and its overlap, and what is changed for it."""
    yield "seams", "seams", 0.5, nullcontext()
    for name, values in (("AGREE", (0.3, 0.4, 0.6)), ("SHARE", (0.0, 0.1, 0.3)), ("REACH", (0.5, 0.6, 0.8))):
        for iou in values:
            yield f"seams, {name}_IOU {iou:g}", "seams", 0.5, joined(**{f"{name}_IOU": iou})
    yield "seams, as they are", "seams", 0.5, joined(REACH_IOU=NEVER)
    yield "seams, as they are, AGREE_IOU 0.3", "seams", 0.5, joined(REACH_IOU=NEVER, AGREE_IOU=0.3)
    yield "seams, nothing joined", "seams", 0.5, joined(REACH_IOU=NEVER, AGREE_IOU=NEVER)
    yield "seams, nothing dropped", "seams", 0.5, patch.object(rules, "best_witnessed", kept_by_all)
    yield "centre", "centre", 0.5, nullcontext()
    yield "nms .5", "nms", 0.5, nullcontext()
    yield "nms .15", "nms", 0.15, nullcontext()


@dataclass(frozen=True, eq=False)
class Seen:
    """What the tiles of a lattice show of a scene."""

    kind: str
    truth: Detections
    windows: np.ndarray
    views: np.ndarray
    parts: list[Detections]

    def merged(self, rule: str, overlap: float) -> Detections:
        """The objects that a rule makes of it."""
        across = round(len(self.windows) ** 0.5)
        merger = Merger(self.views, self.windows, across, rule=rule_named(rule, overlap))
        for tile, part in enumerate(self.parts):
            merger.add(tile, part)
        return merger.finish()


def recognised(truth: Detections, window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tell (N,) of which objects enough lies in a window, which chance decides."""
    part = intersection(truth.boxes, window)
    shorter = (truth.boxes[:, 2:] - truth.boxes[:, :2]).min(axis=1)
    return (part[:, 2:] - part[:, :2]).min(axis=1) > rng.uniform(0.1, 0.7, len(truth)) * shorter


def seen(kind: str, seed: int, tile: int, overlap: int, miss: float) -> Seen:
    """Look at a scene in tiles; each side of a part is off by `miss` of its size."""
    truth, across = scene(kind, seed), -(-(SIZE - tile) // (tile - overlap)) + 1
    windows, views = lattice(across, across, tile, overlap)
    rng = np.random.default_rng([seed, tile, overlap])
    parts = [look(truth.take(recognised(truth, window, rng)), window, rng, miss) for window in windows]
    return Seen(kind, truth, windows, views, parts)


def assessed(found: Detections, truth: Detections) -> list[float]:
    """AP50, AP75, spare and fused ones of 100 objects."""
    assessment, overlaps = Assessment([(found, truth)]), find_overlaps(found, truth)
    none = match(found, truth, 0.5, overlaps).taken[overlaps.detected] < 0
    d, t = overlaps.detected[none], overlaps.truth[none]
    held = area(intersection(found.boxes[d], truth.boxes[t])) > 0.8 * area(truth.boxes[t])
    spare, fused = len(np.unique(d[overlaps.covered[none] > 0.5])), (np.bincount(d[held]) > 1).sum()
    return [*map(assessment.average_precision, (0.5, 0.75)), 100 * spare / len(truth), 100 * fused / len(truth)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--misses", default="4,8", help="per cent of a part's size")
    options = parser.parse_args()
    misses, seeds = [float(miss) for miss in options.misses.split(",")], range(options.scenes // len(KINDS))
    rows = []
    for miss in misses:
        looks = [seen(kind, seed, *tiling, miss / 100) for kind, seed, tiling in product(KINDS, seeds, TILINGS)]
        for name, rule, overlap, changed in variants():
            with changed:
                figures = np.array([assessed(look.merged(rule, overlap), look.truth) for look in looks])
            ap50, ap75 = figures[:, :2].mean(axis=0).tolist()
            row: dict[str, float | str] = {"rule": name, "missed by %": miss, "AP50": ap50, "AP75": ap75}
            of_kind = {kind: figures[[look.kind == kind for look in looks], 2:].mean(axis=0).tolist() for kind in KINDS}
            row |= {f"spare, {kind}": spare for kind, (spare, _) in of_kind.items()}
            row["fused, end to end"] = of_kind["end to end"][1]
            rows.append(row)
            print(row, flush=True)
    tell("joining", rows, scenes=options.scenes, tilings=TILINGS)


if __name__ == "__main__":
    main()
