"""Look at all tiles of a plan, here or on a cluster, and gather what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from shapely.geometry.base import BaseGeometry

from .detections.detections import Detections
from .gathering import Gathering, inside
from .imagery.examined import Examined
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .settings import Settings
from .watch import Watch

Sight = tuple[int, Detections]  # a tile, and what it shows: boxes in its own frame that count


class Looker(Protocol):
    """Who looks at tiles. `name` is for people; parts are gone on from where `key` and `batch_size` are the same."""

    name: str
    key: str
    batch_size: int | None

    def told(self) -> dict[str, Any]:
        """Tell what has looked, for the result: `device`, `backend` and `batch_size`, None where that varies."""

    def sights(
        self,
        raster: Raster,
        plan: TilePlan,
        settings: Settings,
        examined: Examined,
        done: np.ndarray,
        tell: Callable[[str], None],
    ) -> Iterator[list[Sight]]:
        """Give what the active tiles of a plan show that are not `done` (T,) bool, some at a time, in any order.

        `examined` takes note of the ground, and of tiles without a valid pixel, of which nothing is given. `tell` takes
        sentences for the user. An empty list is a sign of life. Closing the iterator ends the work.
        """


def look(
    looker: Looker,
    raster: Raster,
    plan: TilePlan,
    area: BaseGeometry | None,
    settings: Settings,
    gathering: Gathering,
    watch: Watch,
) -> None:
    """Have the tiles looked at that are not done yet, gather what they show and report it."""
    examined = gathering.examined
    looked = gathering.looked_at_before - len(examined.empty_tiles)
    sights = looker.sights(raster, plan, settings, examined, gathering.done, lambda sentence: watch.tell([sentence]))
    with closing(sights):
        for seen in sights:
            clear = []
            for tile, shown in seen:
                gathering.add(tile, shown)
                clear.append(shown.take(shown.scores >= settings.threshold).moved(*plan.window(tile)[:2]))
            looked += len(seen)
            preview = Detections.concatenate(clear)
            watch.looked(looked + len(examined.empty_tiles), preview.take(inside(preview.boxes, area)), raster.grid)
            gathering.save_now_and_then()
    watch.step("Merging")
    gathering.finish()
