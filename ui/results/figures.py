"""Counts and areas by class for any confidence, and how sure a small sample makes us: plain numbers, no QGIS."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Optional  # Python 3.9 evaluates these hints at run time

from .filter import OBJECTS, REJECTED

STEPS = 10_000  # scores are written with four decimals
BINS = 50
Z_95 = 1.959964  # two-sided, 95 %
Row = tuple[str, Optional[float], Optional[float], Optional[str]]


@dataclass(frozen=True)
class ClassTally:
    """Objects of one class: distinct scores, ascending, with the count and area of all at or above each.

    `kept`: count and area (m²) of those that a person has confirmed; they are counted at any confidence.
    """

    steps: tuple[int, ...]
    counts: tuple[int, ...]
    areas: tuple[float, ...]
    kept: tuple[int, float] = (0, 0.0)

    def at(self, threshold: float) -> tuple[int, float]:
        """Count and area (m²) of the objects at or above a confidence."""
        place = bisect_left(self.steps, step_of(threshold))
        count, area = (self.counts[place], self.areas[place]) if place < len(self.steps) else (0, 0.0)
        return count + self.kept[0], area + self.kept[1]


@dataclass(frozen=True)
class Tally:
    """A whole layer in numbers: `classes` by name, `bins` of the scores, `reviewed` counts by state.

    `largest_m2`: area of the largest object, None where no area is known. `not_examined_m2`: None where not known.
    """

    classes: Mapping[str, ClassTally] = field(default_factory=dict)
    bins: tuple[int, ...] = (0,) * BINS
    reviewed: Mapping[str, int] = field(default_factory=dict)
    largest_m2: Optional[float] = None
    not_examined_m2: Optional[float] = None

    def at(self, threshold: float) -> dict[str, tuple[int, float]]:
        """Count and area (m²) by class at a confidence."""
        return {name: tally.at(threshold) for name, tally in self.classes.items()}


def step_of(score: float) -> int:
    """Place of a score among the ten thousand steps in which scores are written; a bound between two takes the next."""
    return math.ceil(score * STEPS - 1e-6)


def tally(
    rows: Iterable[Row],
    smallest_m2: float | None = None,
    largest_m2: float | None = None,
    not_examined_m2: float | None = None,
) -> Tally:
    """Count rows of class, score, area (m²) and review state in one pass.

    Rejected objects do not count; confirmed ones count at any score and size, as `Filter` shows them.
    """
    found: dict[str, dict[int, list[float]]] = {}
    kept: dict[str, list[float]] = {}
    bins, reviewed, largest = [0] * BINS, Counter(), None
    for name, score, area, state in rows:
        if area is not None and (largest is None or area > largest):
            largest = area
        if state:
            reviewed[state] += 1
        if state == REJECTED:
            continue
        if state in OBJECTS:
            entry = kept.setdefault(name, [0, 0.0])
        elif score is None or not _within(area, smallest_m2, largest_m2):
            continue
        else:
            step = step_of(score)
            bins[min(step * BINS // STEPS, BINS - 1)] += 1
            entry = found.setdefault(name, {}).setdefault(step, [0, 0.0])
        entry[0] += 1
        entry[1] += area or 0.0
    names = sorted({*found, *kept})
    classes = {name: _class_tally(found.get(name, {}), kept.get(name, (0, 0.0))) for name in names}
    return Tally(classes, tuple(bins), dict(reviewed), largest, not_examined_m2)


def wilson(right: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Interval that covers the true share, for `right` of `total` drawn at random (Wilson 1927); (0, 1) for none."""
    if total == 0:
        return 0.0, 1.0
    share, square = right / total, z * z
    middle = (share + square / (2 * total)) / (1 + square / total)
    half = z / (1 + square / total) * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def _within(area: float | None, smallest: float | None, largest: float | None) -> bool:
    if area is None:
        return smallest is None and largest is None
    return (smallest is None or area >= smallest) and (largest is None or area <= largest)


def _class_tally(by_step: Mapping[int, list[float]], kept: Iterable[float]) -> ClassTally:
    steps = sorted(by_step)
    counts = list(accumulate(int(by_step[step][0]) for step in reversed(steps)))[::-1]
    areas = list(accumulate(by_step[step][1] for step in reversed(steps)))[::-1]
    count, area = kept
    return ClassTally(tuple(steps), tuple(counts), tuple(areas), (int(count), area))
