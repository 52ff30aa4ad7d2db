"""How long merging takes for 10^4 to 10^6 boxes, and what it leaves.

    .venv/bin/python tests/benchmarks/merging.py [--rounds 3]

`scattered`: objects of 12 to 40 px of four classes at random places, 10 or 100 of them to 512 x 512 px, in tiles of
512 px with an overlap of 128 px, each shown by every tile that its centre lies in. `crowded`: each object with five
neighbours of its class at an IoU over 0.3. What counts is the number of `boxes`, all that tiles show; the last row of
a kind has that many `objects`, which tiles show as 1.77 times as many boxes. `at the end`: all tiles are merged at
once; `row by row`: objects leave after every row of tiles. `nms` is suppression over all objects at once at IoU 0.5.
Seconds are the processor's, the median of some rounds.
"""

import argparse
import time

import numpy as np
from report import tell

from core.detections.cells import iou, overlapping_pairs
from core.detections.detections import Detections
from core.detections.merging import Merger
from core.detections.suppression import nms
from core.imagery.grid import Grid
from core.imagery.tiles import TilePlan, plan_tiles

TILE_PX, OVERLAP_PX, CLASSES = 512, 128, 4
SHOWN = 1.77  # tiles that show an object, on average


def scattered(objects: int, density: int = 10, seed: int = 0) -> tuple[Detections, int]:
    """Objects on a square that holds `density` of them to 512 x 512 px; and its side, px."""
    rng = np.random.default_rng(seed)
    side = int(np.sqrt(objects / density) * TILE_PX) + TILE_PX
    corner, size = rng.uniform(0, side - 40, (objects, 2)), rng.uniform(12, 40, (objects, 2))
    return Detections(np.hstack([corner, corner + size]), rng.random(objects), rng.integers(0, CLASSES, objects)), side


def crowded(objects: int, density: int = 10, seed: int = 0) -> tuple[Detections, int]:
    """Groups of six boxes of 24 px, each shifted by up to 4 px: all six overlap one another by an IoU over 0.3."""
    rng = np.random.default_rng(seed)
    centres, side = scattered(objects // 6, density, seed)
    corner = np.repeat(centres.boxes[:, :2], 6, axis=0) + rng.uniform(0, 4, (objects // 6 * 6, 2))
    return Detections(np.hstack([corner, corner + 24]), rng.random(len(corner)), np.repeat(centres.labels, 6)), side


def in_tiles(found: Detections, plan: TilePlan) -> list[tuple[int, Detections]]:
    """What each tile shows: boxes whose centre lies in it, cut at its edges, in its own frame."""
    windows = plan.windows()
    centre = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    last = np.minimum(centre // plan.step_px, [plan.cols - 1, plan.rows - 1]).astype(np.int64)
    shown: list[np.ndarray] = []
    tiles: list[np.ndarray] = []
    for dx in (0, 1):
        for dy in (0, 1):
            col, row = last[:, 0] - dx, last[:, 1] - dy
            tile = np.where((col >= 0) & (row >= 0), row * plan.cols + col, 0)
            within = (centre >= windows[tile, :2]).all(axis=1) & (centre < windows[tile, 2:]).all(axis=1)
            within &= (col >= 0) & (row >= 0)
            shown.append(np.flatnonzero(within))
            tiles.append(tile[within])
    box, tile = np.concatenate(shown), np.concatenate(tiles)
    order = np.argsort(tile, kind="stable")
    box, tile = box[order], tile[order]
    starts = np.searchsorted(tile, np.arange(len(windows) + 1))
    parts = []
    for t in range(len(windows)):
        part = found.take(box[starts[t] : starts[t + 1]])
        boxes = (part.boxes - np.tile(windows[t, :2], 2)).clip(0, TILE_PX)
        parts.append((t, Detections(boxes.astype(np.float32), part.scores, part.labels)))
    return parts


def merge(plan: TilePlan, parts: list[tuple[int, Detections]], by_rows: bool) -> tuple[int, float]:
    """Objects left, and the seconds of processor time; `by_rows` lets objects go after every row of tiles."""
    started = time.process_time()
    merger, left, cols = Merger(plan.views(), plan.windows(), plan.cols, plan.active), 0, plan.cols
    for tile, part in parts:
        merger.add(tile, part)
        if by_rows and tile % cols == cols - 1:
            left += len(merger.finals())
    left += len(merger.finish())
    return left, time.process_time() - started


def neighbours(found: Detections) -> float:
    """Same-class neighbours over IoU 0.3 that a box has, on average."""
    i, j = overlapping_pairs(found.boxes, found.labels)
    return 2 * float((iou(found.boxes[i], found.boxes[j]) > 0.3).sum()) / len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = []
    for made, objects, density in (
        (scattered, round(1e4 / SHOWN), 10),
        (scattered, round(1e5 / SHOWN), 10),
        (scattered, round(1e6 / SHOWN), 10),
        (scattered, round(1e6 / SHOWN), 100),
        (scattered, 1_000_000, 10),
        (scattered, 1_000_000, 100),
        (crowded, round(1e5 / SHOWN), 10),
        (crowded, 100_000, 10),
    ):
        found, side = made(objects, density)
        plan = plan_tiles(Grid(side, side, (1, 0, 0, 0, -1, 0)), TILE_PX, OVERLAP_PX, 128)
        parts = in_tiles(found, plan)
        row = {
            "kind": made.__name__,
            "objects": len(found),
            "tiles": len(plan),
            "boxes": sum(len(part) for _, part in parts),
            "neighbours": neighbours(found) if made is crowded else None,
        }
        for when, by_rows in (("at the end", False), ("row by row", True)):
            rounds = [merge(plan, parts, by_rows) for _ in range(options.rounds)]
            row[f"left, {when}"] = rounds[0][0]
            row[f"s, {when}"] = float(np.median([seconds for _, seconds in rounds]))
        started = time.process_time()
        row["left, nms"] = len(nms(found.boxes, found.scores, found.labels, 0.5))
        row["s, nms"] = time.process_time() - started
        rows.append(row)
        print(row, flush=True)
    tell("merging", rows, tile_px=TILE_PX, overlap_px=OVERLAP_PX, classes=CLASSES, rounds=options.rounds)


if __name__ == "__main__":
    main()
