"""In which order objects are looked at, and how far that is: plain values, no QGIS."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Queue:
    """Objects in the order of the review, the place of the current one, and the state of each."""

    order: list[int]
    states: dict[int, str] = field(default_factory=dict)
    place: int = 0

    @staticmethod
    def of(candidates: Sequence[Candidate], by_place: bool) -> Queue:
        """Begin at the first without a state; `by_place`: neighbours follow one another, else least sure first."""
        ordered = along_a_curve(candidates) if by_place else least_sure_first(candidates)
        queue = Queue([each.fid for each in ordered], {each.fid: each.state for each in candidates if each.state})
        queue.place = -1
        queue.go_on()
        return queue

    @property
    def current(self) -> int | None:
        """Feature to look at; None at the end."""
        return self.order[self.place] if 0 <= self.place < len(self.order) else None

    @property
    def decided(self) -> int:
        """How many of the queue have a state."""
        return sum(1 for fid in self.order if self.states.get(fid))

    def count(self, *states: str) -> int:
        """How many of the queue have one of these states."""
        return sum(1 for fid in self.order if self.states.get(fid) in states)

    def go_on(self) -> None:
        """Go to the next object without a state, around the end to those that were skipped; past the end if none is."""
        after = [*range(self.place + 1, len(self.order)), *range(0, max(self.place, 0))]
        self.place = next((place for place in after if not self.states.get(self.order[place])), len(self.order))

    def skip(self) -> None:
        """Leave the current object for later."""
        here = self.place
        self.go_on()
        if self.place == len(self.order) and here < len(self.order) and not self.states.get(self.order[here]):
            self.place = here  # the only one left

    def step(self, by: int) -> None:
        """Go on or back by some objects, whatever their state."""
        self.place = min(max(self.place + by, 0), max(len(self.order) - 1, 0))

    def go_to(self, fid: int) -> None:
        """Make an object the current one, where it belongs to the queue."""
        if fid in self.order:
            self.place = self.order.index(fid)


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
