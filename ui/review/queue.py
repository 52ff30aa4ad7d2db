"""In which order objects are looked at, and how far that is: plain values, no QGIS."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Optional  # Python 3.9 evaluates these hints at run time

SAMPLE = 30
CELLS = 1 << 12  # along a side, for the order by place


@dataclass(frozen=True)
class Candidate:
    """An object to look at: its feature's id, the middle of its box in the layer's coordinates, score and state."""

    fid: int
    x: float
    y: float
    score: Optional[float]
    state: str = ""


@dataclass(frozen=True)
class Objects:
    """Objects to review in both orders, as feature ids; states of those that have one; the first number without one."""

    least_sure_first: list[int]
    by_place: list[int]
    states: dict[int, str]
    next_id: int

    @staticmethod
    def of(candidates: Sequence[Candidate], next_id: int) -> Objects:
        """Put candidates in order."""
        return Objects(
            [each.fid for each in least_sure_first(candidates)],
            [each.fid for each in along_a_curve(candidates)],
            {each.fid: each.state for each in candidates if each.state},
            next_id,
        )


class Queue:
    """Objects in the order of the review, the place of the current one, and the state of each."""

    def __init__(self, order: Sequence[int] = (), states: Mapping[int, str] | None = None) -> None:
        """Begin at the first object without a state."""
        self.order = list(order)
        self._members = set(self.order)
        self._states = dict(states or {})
        self._counts = Counter(self._states.values())
        self._outside: Counter[str] = Counter(state for fid, state in self._states.items() if fid not in self._members)
        self._place = -1
        self.go_on()

    @property
    def current(self) -> int | None:
        """Feature to look at; None at the end."""
        return self.order[self._place] if 0 <= self._place < len(self.order) else None

    @property
    def decided(self) -> int:
        """How many of the queue have a state."""
        return sum(self._counts.values()) - sum(self._outside.values())

    @property
    def states(self) -> Mapping[int, str]:
        """State by feature, also of objects that were drawn meanwhile."""
        return self._states

    def count(self, *states: str) -> int:
        """How many objects have one of these states."""
        return sum(self._counts[state] for state in states)

    def decide(self, fid: int, state: str) -> None:
        """Set the state of an object, "" for none."""
        before = self._states.pop(fid, "")
        for counts in (self._counts, *([] if fid in self._members else [self._outside])):
            if before:
                counts[before] -= 1
            if state:
                counts[state] += 1
        if state:
            self._states[fid] = state

    def go_on(self) -> None:
        """Go to the next object without a state, around the end to those that were skipped; past the end if none is."""
        after = chain(range(self._place + 1, len(self.order)), range(max(self._place, 0)))
        self._place = next((place for place in after if self.order[place] not in self._states), len(self.order))

    def skip(self) -> None:
        """Leave the current object for later."""
        here = self._place
        self.go_on()
        if self._place == len(self.order) and here < len(self.order) and self.order[here] not in self._states:
            self._place = here  # the only one left

    def step(self, by: int) -> None:
        """Go on or back by some objects, whatever their state."""
        self._place = min(max(self._place + by, 0), max(len(self.order) - 1, 0))

    def go_to(self, fid: int) -> None:
        """Make an object the current one, where it belongs to the queue."""
        if fid in self._members:
            self._place = self.order.index(fid)


def least_sure_first(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Order by score, lowest first: of what is shown, that is what lies nearest to the threshold."""
    return sorted(candidates, key=lambda each: (each.score is None, each.score or 0.0, each.fid))


def along_a_curve(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order along Hilbert's curve (1891) through all places, so that neighbours mostly follow one another."""
    if not candidates:
        return []
    west, south = min(each.x for each in candidates), min(each.y for each in candidates)
    span = max(max(each.x for each in candidates) - west, max(each.y for each in candidates) - south) or 1.0

    def along(each: Candidate) -> tuple[int, int]:
        column, row = (int((value) / span * (CELLS - 1)) for value in (each.x - west, each.y - south))
        return _hilbert(column, row), each.fid

    return sorted(candidates, key=along)


def drawn_at_random(candidates: Sequence[Candidate], draw: random.Random, size: int = SAMPLE) -> list[Candidate]:
    """Draw without replacement; all where there are fewer."""
    ordered = sorted(candidates, key=lambda each: each.fid)
    return draw.sample(ordered, min(size, len(ordered)))


def _hilbert(x: int, y: int) -> int:
    place, side = 0, CELLS // 2
    while side:
        right, up = int(bool(x & side)), int(bool(y & side))
        place += side * side * ((3 * right) ^ up)
        if not up:
            if right:
                x, y = CELLS - 1 - x, CELLS - 1 - y
            x, y = y, x
        side //= 2
    return place
