"""How accurate detections are near the seams between tiles, and whether the choice of tiles shows in the result.

    .venv/bin/python tests/benchmarks/seams.py [--model M.safetensors] [--data FOLDER] [--images N] [--size 1536]
                                               [--scenes 2] [--finer 3]

Mosaics with truth: drawn suburbs and, where `--data` is there, its labelled images side by side. Every mosaic is looked
at in tiles of 256 to 768 px and from shifted corners; parts of them also enlarged, so that objects are larger than the
overlap, and some than a tile. What each tile shows is merged by several rules: those of the product (`seams`, `centre`,
`nms`), `all kept`, which is `seams` without dropping what another tile sees better, and greedy merging on intersection
over the smaller, as SAHI does by default. One row for a rule and a kind of run. `near`: objects whose box comes within
64 px of a tile's edge; where all runs of a kind are put together, most objects are near in some and elsewhere in
others; `less near`: F1 near less that elsewhere, a 95 % interval from drawing squares of 256 px anew, each with all
that any run finds in it. `duplicates`: unmatched detections that overlap an object already found by more than IoU .3;
`across seams`: those of them that no tile shows side by side. `stable`: of detections 0.1 over the threshold, the share
that the reference (tiles of 512 px without a shift; enlarged: everything in one tile) shows at the threshold, and the
other way round.

A second table holds how far the sides of boxes lie from the edge of the tile where the true object goes on beyond it:
CUT_PX and CUT_PART in core/detections/waiting.py rest on it.
"""

import argparse
import csv
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from report import ROOT, tell
from torch.nn import functional

from core.accuracy.matching import find_overlaps, match
from core.detections import rules
from core.detections.cells import area, intersection, overlapping_pairs
from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.rules import rule_named
from core.imagery.grid import Grid
from core.imagery.raster import open_raster
from core.imagery.tiles import TilePlan, plan_tiles
from core.job.card import ModelCard
from core.retinanet.detector import Detector
from core.retinanet.device import choose_backend
from core.retinanet.weights import load_model
from core.scene.scene import draw_scene

NEAR_PX, DUPLICATE_IOU, CLEAR = 64, 0.3, 0.1
SQUARE_PX, DRAWS = 256, 2000
WHOLE = 4096  # a tile that no mosaic fills: all in one look
# Tile, overlap, shift of the lattice, px; the first of a kind is the reference of its `stable`.
RUNS = {
    "tiles and shifts by strides": [
        (512, 128, 0), (256, 128, 0), (384, 128, 0), (768, 128, 0), (512, 128, 64), (512, 128, 192)
    ],
    "any shift": [(512, 128, 0), (512, 128, 37)],
}  # fmt: skip
FINER_RUNS = {"objects larger than the overlap": [(WHOLE, 0, 0), (256, 32, 0), (128, 32, 0), (96, 32, 0)]}
Run = tuple[int, int, int]
Parts = list[tuple[int, Detections]]
Rule = Callable[[TilePlan, Parts], Detections]


@dataclass(frozen=True, eq=False)
class Mosaic:
    """An image uint8 (bands, H, W) and its true objects, px."""

    image: np.ndarray
    truth: Detections


def drawn(size: int, seed: int, card: ModelCard) -> Mosaic:
    """A drawn suburb."""
    scene = draw_scene(size, seed)
    return Mosaic(scene.image[: len(card.bands)], Detections.truth(scene.boxes))


def real(folder: Path, card: ModelCard, most: int | None = None) -> Mosaic:
    """Labelled images side by side, the first `most`, as square as they go; a name's boxes move with its image.

    Those a model was trained on are among them: all that is compared here looks at the same ground.
    """
    rows = list(csv.DictReader((folder / "annotations.csv").open(encoding="utf-8")))
    names = [row["image"] for row in csv.DictReader((folder / "split.csv").open())][:most]
    images = []
    for name in names:
        path = folder / name if (folder / name).is_file() else folder / "images" / name
        with open_raster(str(path), card.bands, card.resolution_m) as raster:
            images.append(raster.read(0, 0, raster.grid.width, raster.grid.height)[0])
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    across = math.ceil(math.sqrt(len(images)))
    mosaic = np.zeros((len(card.bands), -(-len(images) // across) * height, across * width), np.uint8)
    boxes = []
    for i, (name, image) in enumerate(zip(names, images, strict=True)):
        y, x = i // across * height, i % across * width
        mosaic[:, y : y + image.shape[1], x : x + image.shape[2]] = image
        found = [[float(row[k]) for k in ("xmin", "ymin", "xmax", "ymax")] for row in rows if row["image"] == name]
        boxes += [np.add(box, [x, y, x, y]) for box in found]
    return Mosaic(mosaic, Detections.truth(np.array(boxes)))


def finer(mosaic: Mosaic, times: int, side: int) -> Mosaic:
    """The top left `side` px of a mosaic, enlarged."""
    part = torch.from_numpy(mosaic.image[:, :side, :side].astype(np.float32))[None]
    image = functional.interpolate(part, scale_factor=times, mode="bicubic")[0].clamp(0, 255).round().byte().numpy()
    boxes = mosaic.truth.boxes.clip(0, side) * times
    return Mosaic(image, Detections.truth(boxes[(boxes[:, :2] < boxes[:, 2:]).all(axis=1)]))


def look(detector: Detector, mosaic: Mosaic, run: Run) -> tuple[TilePlan, Parts]:
    """What each tile shows; the lattice starts up and left of the image by the run's shift, padded with grey."""
    card, (tile_px, overlap_px, shift) = detector.card, run
    height, width = mosaic.image.shape[1] + shift, mosaic.image.shape[2] + shift
    stride = card.architecture.coarsest_stride
    plan = plan_tiles(Grid(width, height, (1, 0, 0, 0, -1, 0)), tile_px, overlap_px, stride)
    rows, cols = ((n - 1) * plan.step_px + plan.tile_px for n in (plan.rows, plan.cols))
    padded = np.empty((len(card.bands), rows, cols), np.uint8)
    padded[:] = np.array([round(band.mean) for band in card.bands], np.uint8)[:, None, None]
    padded[:, shift:height, shift:width] = mosaic.image
    parts = []
    for index in plan.indexes().tolist():
        x0, y0, x1, y1 = plan.window(index)
        tile = np.ascontiguousarray(padded[None, :, y0:y1, x0:x1])
        parts.append((index, detector(tile, card.score_floor, card.nms_overlap)[0]))
    return plan, parts


def on_mosaic(found: Detections, mosaic: Mosaic, shift: int) -> Detections:
    """Detections of a shifted lattice in the mosaic's frame, without what the padding shows."""
    found = Detections(found.boxes - shift, found.scores, found.labels)
    centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    return found.take(((centre >= 0) & (centre < mosaic.image.shape[:0:-1])).all(axis=1))


def in_grid(plan: TilePlan, parts: Parts) -> Detections:
    """All boxes of all tiles, in the grid frame."""
    return Detections.concatenate([part.moved(*plan.window(index)[:2]) for index, part in parts])


def merged(name: str, overlap: float) -> Rule:
    """A rule of the product."""

    def rule(plan: TilePlan, parts: Parts) -> Detections:
        merger = Merger(plan.views(), plan.windows(), plan.cols, plan.active, rule_named(name, overlap))
        for index, part in parts:
            merger.add(index, part)
        return merger.finish()

    return rule


def merged_all_kept(plan: TilePlan, parts: Parts) -> Detections:
    """As `seams`, but no tile sees anything better than another."""
    with patch.object(rules, "best_witnessed", lambda boxes, *_: np.ones(len(boxes), bool)):
        return merged("seams", 0.5)(plan, parts)


def merged_greedily(plan: TilePlan, parts: Parts) -> Detections:
    """As SAHI's GREEDYNMM: the best box swallows all whose intersection is over half of the smaller, and grows."""
    found = in_grid(plan, parts)
    found = found.take(np.argsort(-found.scores, kind="stable"))
    i, j = overlapping_pairs(found.boxes, found.labels)
    smaller = np.minimum(area(found.boxes[i]), area(found.boxes[j]))
    hit = area(intersection(found.boxes[i], found.boxes[j])) > 0.5 * smaller
    better, worse = np.minimum(i[hit], j[hit]), np.maximum(i[hit], j[hit])
    boxes, gone = found.boxes.copy(), np.zeros(len(found), bool)
    for k in np.argsort(better, kind="stable").tolist():
        a, b = better[k], worse[k]
        if not gone[a] and not gone[b]:
            gone[b] = True
            boxes[a, :2], boxes[a, 2:] = np.minimum(boxes[a, :2], boxes[b, :2]), np.maximum(boxes[a, 2:], boxes[b, 2:])
    return Detections(boxes, found.scores, found.labels).take(~gone)


RULES: dict[str, Rule] = {
    "seams": merged("seams", 0.5),
    "all kept": merged_all_kept,
    "centre": merged("centre", 0.5),
    "nms .5": merged("nms", 0.5),
    "nms .15": merged("nms", 0.15),
    "greedy IoS": merged_greedily,
}


def near_seams(boxes: np.ndarray, plan: TilePlan, shift: int) -> np.ndarray:
    """Boxes (N,) of the mosaic's frame within NEAR_PX of a tile's edge inside the mosaic."""
    near, boxes = np.zeros(len(boxes), bool), boxes + shift
    for axis, limit in ((0, plan.width), (1, plan.height)):
        edges = np.unique(plan.windows()[:, [axis, axis + 2]])
        for edge in edges[(edges > 0) & (edges < limit)]:
            near |= (boxes[:, axis] <= edge + NEAR_PX) & (boxes[:, axis + 2] >= edge - NEAR_PX)
    return near


def f1(counts: np.ndarray) -> float:
    """F1 of the numbers found, made up and missed."""
    return float(2 * counts[0] / max(2 * counts[0] + counts[1] + counts[2], 1))


def one_look(two: np.ndarray, plan: TilePlan, parts: Parts) -> bool:
    """Tell whether one tile shows both boxes (2, 4), each side within 3 px."""
    for index, part in parts:
        shown = part.moved(*plan.window(index)[:2]).boxes
        if len(shown) and all((np.abs(shown - box).max(axis=1) < 3).any() for box in two):
            return True
    return False


@dataclass
class Tally:
    """Counts of found, missed and made-up objects, near seams and elsewhere, and of duplicates."""

    squares: list[np.ndarray] = field(default_factory=list)  # of each mosaic: (squares, 2, 3), as `counts`
    duplicates: int = 0
    across_seams: int = 0
    detections: int = 0

    @property
    def counts(self) -> np.ndarray:
        """Elsewhere and near seams: the numbers found, made up and missed (2, 3)."""
        return np.concatenate(self.squares).sum(axis=0)

    def less_near(self) -> list[float]:
        """F1 near seams less F1 elsewhere: the low and high end of its 95 % interval."""
        squares = np.concatenate(self.squares)
        drawn = np.random.default_rng(0).multinomial(len(squares), np.full(len(squares), 1 / len(squares)), DRAWS)
        found, made_up, missed = np.moveaxis(np.tensordot(drawn, squares, 1), -1, 0)
        scores = 2 * found / np.maximum(2 * found + made_up + missed, 1)
        return np.percentile(scores[:, 1] - scores[:, 0], [2.5, 97.5]).tolist()

    def begin(self, mosaic: Mosaic) -> None:
        """Go on to the next mosaic."""
        self._across = mosaic.image.shape[2] // SQUARE_PX + 1
        self.squares.append(np.zeros(((mosaic.image.shape[1] // SQUARE_PX + 1) * self._across, 2, 3), np.int64))

    def add(
        self, found: Detections, truth: Detections, plan: TilePlan, parts: Parts, shift: int, at_iou: float
    ) -> None:
        """Count a run on the mosaic: matching is done on everything, then each object counts where it lies."""
        overlaps = find_overlaps(found, truth)
        taken = match(found, truth, at_iou, overlaps).taken
        near_found, near_true = near_seams(found.boxes, plan, shift), near_seams(truth.boxes, plan, shift)
        seen = np.isin(np.arange(len(truth)), taken)
        for boxes, near, some, kind in (
            (truth.boxes, near_true, seen, 0),
            (found.boxes, near_found, taken < 0, 1),
            (truth.boxes, near_true, ~seen, 2),
        ):
            x, y = ((boxes[some, :2] + boxes[some, 2:]) / 2 // SQUARE_PX).astype(np.int64).T
            np.add.at(self.squares[-1], (y * self._across + x, near[some].astype(np.int64), kind), 1)
        again = (overlaps.iou > DUPLICATE_IOU) & seen[overlaps.truth] & (taken[overlaps.detected] < 0)
        first = {t: d for d, t in enumerate(taken.tolist()) if t >= 0}
        pairs = {d: first[t] for d, t in zip(overlaps.detected[again], overlaps.truth[again], strict=True)}
        self.duplicates += len(pairs)
        self.across_seams += sum(not one_look(found.boxes[[d, e]] + shift, plan, parts) for d, e in pairs.items())
        self.detections += len(found)


def kept(one: Detections, other: Detections, threshold: float) -> np.ndarray:
    """How many of `one` clear of the threshold `other` shows at it (IoU 0.5), and how many there are."""
    clear, known = one.take(one.scores >= threshold + CLEAR), other.take(other.scores >= threshold)
    overlaps = find_overlaps(clear, known)
    return np.array([len(np.unique(overlaps.detected[overlaps.iou >= 0.5])), len(clear)])


Looks = dict[Run, tuple[TilePlan, Parts]]


def compare(kinds: dict[str, list[Run]], looks: list[tuple[Mosaic, Looks]], threshold: float, at_iou: float) -> list:
    """One row for each kind of run and rule."""
    rows = []
    for kind, runs in kinds.items():
        for name, rule in RULES.items():
            tally, there, back = Tally(), np.zeros(2, int), np.zeros(2, int)
            for mosaic, seen in looks:
                tally.begin(mosaic)
                found = {run: on_mosaic(rule(*seen[run]), mosaic, run[2]) for run in runs}
                for run in runs[1:] if runs[0][0] == WHOLE else runs:
                    counted = found[run].take(found[run].scores >= threshold)
                    tally.add(counted, mosaic.truth, *seen[run], run[2], at_iou)
                for run in runs[1:]:
                    there += kept(found[run], found[runs[0]], threshold)
                    back += kept(found[runs[0]], found[run], threshold)
            elsewhere, near = map(f1, tally.counts)
            low, high = tally.less_near()
            rows.append(
                {
                    "runs": kind,
                    "rule": name,
                    "F1": f1(tally.counts.sum(axis=0)),
                    "near": near,
                    "elsewhere": elsewhere,
                    "less near, from": low,
                    "to": high,
                    "objects near": int(tally.counts[1, [0, 2]].sum()),
                    "and elsewhere": int(tally.counts[0, [0, 2]].sum()),
                    "duplicates %": 100 * tally.duplicates / max(tally.detections, 1),
                    "across seams %": 100 * tally.across_seams / max(tally.detections, 1),
                    "stable": float(there[0] / max(there[1], 1)),
                    "and back": float(back[0] / max(back[1], 1)),
                }
            )
    return rows


def misses(mosaic: Mosaic, run: Run, plan: TilePlan, parts: Parts, at_iou: float) -> np.ndarray:
    """Sides of boxes where the true object goes on beyond the tile's edge: (N, 2) distance to it, px, and box size."""
    truth, rows = mosaic.truth.boxes + run[2], []
    limits = np.array([run[2], run[2], plan.width, plan.height])
    for index, part in parts:
        window = np.array(plan.window(index), float)
        low, high = np.maximum(truth[:, :2], window[:2]), np.minimum(truth[:, 2:], window[2:])
        inside = np.flatnonzero((high > low).all(axis=1))
        shown = Detections.truth(np.concatenate([low, high], axis=1)[inside])
        found = part.moved(*window[:2])
        found = Detections(found.boxes, found.scores, np.zeros(len(found), np.int64))
        taken = match(found, shown, at_iou, find_overlaps(found, shown)).taken
        for box, t in zip(found.boxes[taken >= 0], inside[taken[taken >= 0]], strict=True):
            sign = np.array([-1, -1, 1, 1])
            goes_on = ((truth[t] - window) * sign > 1) & ((limits - window) * sign > 0)
            gap, size = np.abs(box - window), np.tile(box[2:] - box[:2], 2)
            rows += np.stack([gap, size], axis=1)[goes_on].tolist()
    return np.array(rows).reshape(-1, 2)


def margin_row(what: str, found: np.ndarray) -> dict:
    """Percentiles of the misses, and what share some margins cover."""
    gap, part = found[:, 0], found[:, 0] / found[:, 1]
    row = {"sides cut off": what, "number": len(found)}
    row |= {f"p{p} px": float(np.percentile(gap, p)) for p in (50, 75, 90, 95, 99)}
    row |= {f"p{p} %": float(100 * np.percentile(part, p)) for p in (50, 75, 90, 95, 99)}
    for share in (0.1, 0.15, 0.2, 0.25):
        row[f"in 2 px, {share:.0%}"] = float((gap <= np.maximum(2, share * found[:, 1])).mean())
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "resources/models/swimming-pools.safetensors"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/pools_naip")
    parser.add_argument("--images", type=int, help="how many of the labelled images; all of them unless given")
    parser.add_argument("--size", type=int, default=1536, help="side of a drawn suburb, px")
    parser.add_argument("--scenes", type=int, default=2)
    parser.add_argument("--finer", type=int, default=3, help="how many times parts of the mosaics are enlarged; 0: not")
    parser.add_argument("--iou", type=float, default=0.3, help="from which an object counts as found")
    options = parser.parse_args()
    card, network = load_model(options.model)
    detector = Detector(card, network, choose_backend())
    mosaics = [drawn(options.size, 700 + seed, card) for seed in range(options.scenes)]
    if options.data.is_dir():
        mosaics.insert(0, real(options.data, card, options.images))
    sets = [(RUNS, mosaics)]
    if options.finer:
        sets.append((FINER_RUNS, [finer(mosaic, options.finer, 2304 // options.finer) for mosaic in mosaics[:2]]))
    rows, margins = [], []
    for kinds, some in sets:
        looks: list[tuple[Mosaic, Looks]] = []
        for mosaic in some:
            seen = {run: look(detector, mosaic, run) for run in dict.fromkeys(chain(*kinds.values()))}
            looks.append((mosaic, seen))
            print(f"{len(mosaic.truth)} objects in {sum(len(plan) for plan, _ in seen.values())} tiles", flush=True)
        rows += compare(kinds, looks, card.threshold, options.iou)
        cut = [misses(mosaic, run, *seen[run], 0.5) for mosaic, seen in looks for run in seen if run[0] != WHOLE]
        margins.append(margin_row("as they are" if kinds is RUNS else "enlarged", np.concatenate(cut)))
    settings = {"model": card.name, "threshold": card.threshold, "iou": options.iou}
    tell("seams", rows, **settings)
    tell("seam_margins", margins, **settings)


if __name__ == "__main__":
    main()
