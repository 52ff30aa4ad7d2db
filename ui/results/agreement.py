"""Which boxes of two runs are the same object, and what a layer changes to take a new run: plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Optional  # Python 3.9 evaluates these hints at run time

AGREE = 0.5  # IoU above which two boxes are one object, as in a run's own merging of tiles
MOST_CELLS = 64  # of the grid that one box is entered in along a side


@dataclass(frozen=True)
class Box:
    """An object of a layer: feature id, class, score, what a person has said of it, and its rectangle."""

    fid: int
    name: str
    score: Optional[float]
    state: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def middle(self) -> tuple[float, float]:
        """Centre of the box."""
        return (self.xmin + self.xmax) / 2, (self.ymin + self.ymax) / 2

    def iou(self, other: Box) -> float:
        """Intersection over union with another box."""
        width = min(self.xmax, other.xmax) - max(self.xmin, other.xmin)
        height = min(self.ymax, other.ymax) - max(self.ymin, other.ymin)
        if width <= 0 or height <= 0:
            return 0.0
        both = width * height
        return both / (self._area() + other._area() - both)

    def _area(self) -> float:
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)


@dataclass(frozen=True)
class MergePlan:
    """What a layer changes to take a new run: `updates` of old features, `additions`, and `deletions` of old ones."""

    updates: dict[int, Box] = field(default_factory=dict)
    additions: list[Box] = field(default_factory=list)
    deletions: list[int] = field(default_factory=list)


def plan_merge(
    old: Sequence[Box], new: Sequence[Box], inside: Callable[[float, float], bool] | None = None
) -> MergePlan:
    """Plan how `old` takes `new`. What a person has said something of is never changed, and keeps its place.

    A new box that agrees with a reviewed one is left out, whatever its class; one that agrees with another of its
    class gives it its rectangle and score, the best pairs first; the others are added. `inside` (x, y): where the new
    run has looked; old boxes there that it has not found again go. None: they stay.
    """
    near = _Grid(old)
    pairs, kept = [], []
    for place, box in enumerate(new):
        agreeing = [(box.iou(other), other) for other in near.around(box)]
        agreeing = [(iou, other) for iou, other in agreeing if iou > AGREE]
        if any(other.state for _, other in agreeing):
            continue
        kept.append(place)
        pairs += [(-iou, other.fid, place) for iou, other in agreeing if other.name == box.name]
    updates: dict[int, Box] = {}
    taken: set[int] = set()
    for _, fid, place in sorted(pairs):
        if fid not in updates and place not in taken:
            updates[fid] = new[place]
            taken.add(place)
    additions = [new[place] for place in kept if place not in taken]
    gone = (
        []
        if inside is None
        else [box.fid for box in old if not box.state and box.fid not in updates and inside(*box.middle)]
    )
    return MergePlan(updates, additions, gone)


class _Grid:
    """Boxes by the cells that they cover."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        sides = sorted(max(box.xmax - box.xmin, box.ymax - box.ymin) for box in boxes)
        self._side = 2 * sides[len(sides) // 2] if sides and sides[len(sides) // 2] > 0 else 1.0
        self._large: list[Box] = []
        self._cells: dict[tuple[int, int], list[Box]] = defaultdict(list)
        for box in boxes:
            cells = list(self._covered(box))
            if cells:
                for cell in cells:
                    self._cells[cell].append(box)
            else:
                self._large.append(box)

    def around(self, box: Box) -> Iterable[Box]:
        """Boxes that may overlap with another."""
        cells = list(self._covered(box))
        if not cells:
            return {each.fid: each for every in self._cells.values() for each in every}.values()
        found = {each.fid: each for cell in cells for each in self._cells.get(cell, ())}
        return [*found.values(), *self._large]

    def _covered(self, box: Box) -> Iterator[tuple[int, int]]:
        """Cells of a box; none where there are too many."""
        left, right = int(box.xmin // self._side), int(box.xmax // self._side)
        bottom, top = int(box.ymin // self._side), int(box.ymax // self._side)
        if right - left < MOST_CELLS and top - bottom < MOST_CELLS:
            for column in range(left, right + 1):
                for row in range(bottom, top + 1):
                    yield column, row
