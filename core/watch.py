"""What a running detection says of itself, and where it stops when asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .detections.detections import Detections
from .imagery.grid import Grid
from .job.errors import Cancelled
from .job.events import MAX_BOXES_PER_EVENT, Report, notice, progress

LOOKED = 0.97  # of the progress, once every tile is looked at; the rest is merging and writing


class Watch:
    """Reports steps, tiles, boxes and notices; every report raises Cancelled where the user has asked to stop.

    `notices`: all sentences so far. `seconds`: time since the first tile.
    """

    def __init__(self, report: Report, cancelled: Callable[[], bool]) -> None:
        self.notices: list[str] = []
        self._report = report
        self._cancelled = cancelled
        self._done = 0.0
        self._total = self._tiles = self._warm_tiles = 0
        self._started = self._warm = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since `begin`."""
        return time.monotonic() - self._started

    def step(self, text: str) -> None:
        """Report what is being done now."""
        self._stop_if_asked()
        self._report(progress(self._done, text))

    def tell(self, sentences: Iterable[str], level: str = "info") -> None:
        """Tell the user sentences, and keep them for the result."""
        for sentence in sentences:
            self.notices.append(sentence)
            self._report(notice(sentence, level))

    def begin(self, total: int, done: int = 0) -> None:
        """Start to look at so many tiles, of which some are done already."""
        self._total = total
        self._done = LOOKED * done / max(total, 1)
        self._started = time.monotonic()
        self.step(f"Tile {min(done + 1, total):,} of {total:,}")

    def looked(self, tiles: int, found: Detections, grid: Grid) -> None:
        """Report that so many tiles are done by now; `found`, in the grid frame, is the preview of the last ones."""
        self._stop_if_asked()
        for start in range(0, len(found), MAX_BOXES_PER_EVENT):
            part = found.take(np.s_[start : start + MAX_BOXES_PER_EVENT])
            self._report(
                {
                    "event": "boxes",
                    "boxes": grid.to_map(part.boxes).tolist(),
                    "scores": part.scores.round(4).tolist(),
                    "labels": part.labels.tolist(),
                }
            )
        if not self._tiles:  # the first batch warms up and says little about the pace
            self._warm, self._warm_tiles = time.monotonic(), tiles
        self._tiles = tiles
        self._done = LOOKED * tiles / max(self._total, 1)
        self._report(progress(self._done, f"Tile {tiles:,} of {self._total:,}", self._seconds_left()))

    def writing(self, portions: Iterable[Detections], total: int) -> Iterator[Detections]:
        """Hand on portions of the `total` objects, reporting before each how many are written."""
        written = 0
        for portion in portions:
            self._stop_if_asked()
            self._report(progress(LOOKED + (1 - LOOKED) * written / total, f"Object {written + 1:,} of {total:,}"))
            yield portion
            written += len(portion)
        self._stop_if_asked()

    def finish(self) -> None:
        """Report that all is done."""
        self._report(progress(1, "Done"))

    def _seconds_left(self) -> float | None:
        since = self._tiles - self._warm_tiles
        if since <= 0:
            return None
        return round((time.monotonic() - self._warm) / since * (self._total - self._tiles), 1)

    def _stop_if_asked(self) -> None:
        if self._cancelled():
            raise Cancelled
