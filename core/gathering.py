"""From what single tiles show to objects: merged across tiles, counted, and kept on disk while the run goes on."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from .detections.detections import Detections
from .detections.merging import Merger
from .detections.parts import Parts
from .detections.rules import rule_named
from .detections.waiting import Waiting
from .imagery.examined import Examined
from .imagery.tiles import TilePlan
from .settings import Settings

PART_BOXES = 50_000  # boxes of tiles after which objects are let go, or as many as wait already: bounds memory
PART_SECONDS = 30.0  # what a crash costs


class Gathering:
    """Merges what tiles show and saves the objects that are final, with all it takes to go on after a crash.

    `examined`: for the reader to take note of the ground. `done` (T,) bool: tiles not to be looked at (any more), with
    `looked_at_before` of the planned ones among them. `counts` (K,) int64: objects by label that score at least the
    threshold, complete after `finish`. With `resume` it goes on from what `parts` hold.
    """

    def __init__(
        self,
        plan: TilePlan,
        area: BaseGeometry | None,
        settings: Settings,
        classes: int,
        parts: Parts,
        resume: bool,
    ) -> None:
        self.examined = Examined(plan)
        self.counts = np.zeros(classes, np.int64)
        self._area = area
        self._threshold = settings.threshold
        self._parts = parts
        self._active = plan.active.ravel()
        rule = rule_named(settings.merge, settings.nms_overlap)
        self._merger = Merger(plan.views(), plan.windows(), plan.cols, plan.active, rule)
        self._empty = self._came = self._wait = 0
        self._saved = time.monotonic()
        if resume:
            self._resume()
        self.done = self._merger.read
        self.looked_at_before = self._looked_at()

    @property
    def looked_at(self) -> int:
        """Tiles done since the beginning, or since the run was taken up again."""
        return self._looked_at() - self.looked_at_before

    def add(self, tile: int, shown: Detections) -> None:
        """Add what a tile shows, boxes in its own frame."""
        self._merger.add(tile, shown)
        self._came += len(shown)

    def save_now_and_then(self) -> None:
        """Let go what is final and save all, if enough has come or it was long ago."""
        full = self._came >= max(PART_BOXES, self._wait)
        if full or time.monotonic() - self._saved >= PART_SECONDS:
            self._note_empty_tiles()
            self._save(self._merger.finals())

    def finish(self) -> None:
        """Let go and save all the rest, once all tiles have been looked at."""
        self._note_empty_tiles()
        self._save(self._merger.finish())

    def _resume(self) -> None:
        """Take over what an earlier run has saved, if there is one."""
        state = self._parts.resume()
        if state is not None:
            waiting = Waiting(**{field.name: state[field.name] for field in fields(Waiting)})
            self._merger.absorb(waiting, state["tiles_read"])
            self.examined.restore(state)
            self.counts += state["counts"]
            self._empty, self._wait = len(self.examined.empty_tiles), len(waiting)

    def _looked_at(self) -> int:
        return int((self._merger.read & self._active).sum())

    def _note_empty_tiles(self) -> None:
        """Tell the merger that nothing comes from tiles which the reader has found empty since."""
        for tile in self.examined.empty_tiles[self._empty :]:
            self._merger.add(tile, Detections.empty())
            self._empty += 1

    def _save(self, found: Detections) -> None:
        found = found.take(inside(found.boxes, self._area))
        self.counts += np.bincount(found.labels[found.scores >= self._threshold], minlength=len(self.counts))
        waiting = self._merger.waiting()
        state = {"tiles_read": self._merger.read, "counts": self.counts, **vars(waiting), **self.examined.state()}
        self._parts.save(found, state)
        self._came, self._wait, self._saved = 0, len(waiting), time.monotonic()


def inside(boxes: np.ndarray, area: BaseGeometry | None) -> np.ndarray:
    """Tell which boxes (N, 4) have their centre in the area, or on its edge; both in one frame."""
    if area is None:
        return np.ones(len(boxes), bool)
    shapely.prepare(area)
    return shapely.intersects_xy(area, (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2)
