"""What was found on each image beside what is there, and the places worth showing to a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..detections.cells import area, iou, overlapping_pairs_between
from ..detections.detections import Detections
from .matching import match

Read = Callable[[int, int, int, int], np.ndarray]

CHIP_SIDES = 3.0  # a chip shows three sides of its object
LEAST_CHIP_PX, MOST_CHIP_PX = 48, 512


@dataclass(frozen=True, eq=False)
class Look:
    """An image that was looked at: `found` and `truth` in px of one frame of `size` (width, height).

    `read(x, y, width, height)` gives uint8 (3, height, width) of the frame, also beyond its edge; None: no imagery.
    """

    name: str
    found: Detections
    truth: Detections
    size: tuple[int, int]
    read: Read | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """A look with the detections at or above a threshold, matched at one IoU.

    `kept`: those detections; `hit` and `excused` (N,) bool of them; `missed` (M,) bool of the truth.
    """

    look: Look
    kept: Detections
    hit: np.ndarray
    excused: np.ndarray
    missed: np.ndarray


@dataclass(frozen=True)
class Place:
    """An object worth showing: the index of its look, its row there, and what is to be said of it.

    `overlap`: the best IoU with anything of the other side, of any class; `other`: that one's row, -1 for none.
    """

    look: int
    row: int
    overlap: float
    other: int


def judge(look: Look, threshold: float, at_iou: float) -> Judged:
    """Say of every detection from `threshold` on whether it is right, and of all truth whether it was found."""
    kept = look.found.take(np.flatnonzero(look.found.scores >= threshold))
    matches = match(kept, look.truth, at_iou)
    missed = np.ones(len(look.truth), bool) if look.truth.ignore is None else ~look.truth.ignore
    missed[matches.taken[matches.taken >= 0]] = False
    return Judged(look, kept, matches.taken >= 0, matches.excused, missed)


def worst_misses(judged: Sequence[Judged], count: int) -> list[Place]:
    """Objects that were not found: those that nothing lies on first, and of them the largest."""
    places = []
    for number, each in enumerate(judged):
        best, other = _best_overlaps(each.look.truth.boxes, each.kept.boxes)
        sides = np.sqrt(area(each.look.truth.boxes))
        rows = np.flatnonzero(each.missed)
        places += [(best[row] > 0.1, -sides[row], Place(number, int(row), best[row], int(other[row]))) for row in rows]
    return [place for *_, place in sorted(places, key=lambda item: item[:2])[:count]]


def worst_false_finds(judged: Sequence[Judged], count: int) -> list[Place]:
    """Detections that are wrong: those with the highest scores."""
    places = []
    for number, each in enumerate(judged):
        best, other = _best_overlaps(each.kept.boxes, each.look.truth.boxes, each.look.truth.ignore)
        rows = np.flatnonzero(~each.hit & ~each.excused)
        places += [(-each.kept.scores[row], Place(number, int(row), best[row], int(other[row]))) for row in rows]
    return [place for _, place in sorted(places, key=lambda item: item[0])[:count]]


def chip_around(box: np.ndarray) -> tuple[int, int, int]:
    """Window x, y, side px that shows a box and its surroundings."""
    side = round(min(max(CHIP_SIDES * (box[2:] - box[:2]).max(), LEAST_CHIP_PX), MOST_CHIP_PX))
    x, y = ((box[:2] + box[2:]) / 2 - side / 2).round().astype(int).tolist()
    return x, y, side


def sample_windows(looks: Sequence[Look], count: int, side: int) -> list[tuple[int, tuple[int, int, int, int]]]:
    """Windows (look, (x, y, width, height)) that hold objects: evenly among all there are, none of them picked.

    Windows lie side by side on each image, about `side` px wide and high.
    """
    windows = []
    for number, look in enumerate(looks):
        boxes = look.truth.boxes if look.truth.ignore is None else look.truth.boxes[~look.truth.ignore]
        if look.read is None or not len(boxes):
            continue
        width, height = (math.ceil(extent / max(1, round(extent / side))) for extent in look.size)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        cells = np.unique(np.floor(centres / [width, height]).astype(int), axis=0)
        for x, y in (cells * [width, height]).tolist():
            corner = min(max(x, 0), look.size[0] - width), min(max(y, 0), look.size[1] - height)
            windows.append((number, (*corner, width, height)))
    chosen = np.unique(np.linspace(0, len(windows) - 1, min(count, len(windows))).round().astype(int))
    return [windows[i] for i in chosen.tolist()] if windows else []


def _best_overlaps(
    boxes: np.ndarray, others: np.ndarray, ignored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Highest IoU (N,) of each box with any of others that is not ignored, and the row (N,) of it, -1 for none."""
    best, row = np.zeros(len(boxes)), np.full(len(boxes), -1)
    if len(boxes) and len(others):
        alike = np.zeros(len(boxes), np.int64), np.zeros(len(others), np.int64)
        a, b = overlapping_pairs_between(boxes, others, *alike)
        values = iou(boxes[a].astype(np.float64), others[b].astype(np.float64))
        order = np.argsort(values, kind="stable")
        order = order if ignored is None else order[~ignored[b[order]]]
        best[a[order]], row[a[order]] = values[order], b[order]
    return best, row
