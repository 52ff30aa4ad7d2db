"""Blocks of a raster, read piece by piece in threads, each block while the one before is worked on."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from .raster import Raster
from .tiles import TilePlan

BLOCK_PX = 12_000_000  # with three bands and its validity 48 MB; two are held, and for a moment three
PIECE_PX = 1_000_000  # what one thread reads at once
LOCAL_THREADS = max(1, min(4, (os.cpu_count() or 1) // 4))  # one decodes some 300 tiles of 512 px a second
REMOTE_THREADS = 6  # these mostly wait for the network

Window = tuple[int, int, int, int]  # x0, y0, x1, y1 in the grid frame


@dataclass(eq=False)
class Block:
    """Pixels of a window of the grid: image uint8 (C, H, W) and valid bool (H, W), which hold anything beside `pieces`.

    `tiles`: indexes of the tiles in it that are to be looked at. `pieces`: windows that are read.
    """

    window: Window
    tiles: list[int]
    pieces: list[Window]
    image: np.ndarray
    valid: np.ndarray
    reads: list[Future[None]] = field(default_factory=list)

    def cut(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Views of the image and the validity of a window of the grid within the block."""
        x, y = self.window[:2]
        x0, y0, x1, y1 = window
        inside = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
        return self.image[(..., *inside)], self.valid[inside]


class BlockReader:
    """Reads the blocks with a tile of `todo` (rows, columns), each while the one before is worked on."""

    def __init__(self, raster: Raster, plan: TilePlan, todo: np.ndarray) -> None:
        self.raster, self.plan, self.todo = raster, plan, todo
        threads = REMOTE_THREADS if raster.is_remote else LOCAL_THREADS
        self._threads = ThreadPoolExecutor(threads, "tilehawk-reader")
        self._handles = _Handles(raster)

    def close(self) -> None:
        """Stop reading, and wait until the last pieces are through."""
        self._threads.shutdown(cancel_futures=True)
        self._handles.close()

    def __iter__(self) -> Iterator[Block]:
        started: deque[Block] = deque()
        for rows, cols in _blocks(self.raster, self.plan):
            if not self.todo[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].any():
                continue
            started.append(self._start(rows, cols))
            if len(started) > 1:
                yield self._finished(started.popleft())
        while started:
            yield self._finished(started.popleft())

    def _start(self, rows: range, cols: range) -> Block:
        plan = self.plan
        first, last = plan.window(rows[0] * plan.cols + cols[0]), plan.window(rows[-1] * plan.cols + cols[-1])
        window = (*first[:2], *last[2:])
        shape = (window[3] - window[1], window[2] - window[0])
        image = np.empty((len(self.raster.ranges), *shape), np.uint8)
        tiles = [row * plan.cols + col for row in rows for col in cols if self.todo[row, col]]
        pieces = [piece for piece in _pieces(self.raster, window) if self._is_wanted(piece)]
        block = Block(window, tiles, pieces, image, np.empty(shape, bool))
        block.reads += [self._threads.submit(self._read, block, piece) for piece in pieces]
        return block

    def _finished(self, block: Block) -> Block:
        for read in block.reads:
            read.result()
        return block

    def _is_wanted(self, piece: Window) -> bool:
        """Whether a tile to look at meets the piece."""
        plan = self.plan
        x0, y0, x1, y1 = (at - start for at, start in zip(piece, (plan.x0, plan.y0) * 2, strict=True))
        rows = slice(max(0, (y0 - plan.tile_px) // plan.step_px + 1), (y1 - 1) // plan.step_px + 1)
        cols = slice(max(0, (x0 - plan.tile_px) // plan.step_px + 1), (x1 - 1) // plan.step_px + 1)
        return bool(self.todo[rows, cols].any())

    def _read(self, block: Block, piece: Window) -> None:
        x0, y0, x1, y1 = piece
        image, valid = block.cut(piece)
        image[:], valid[:] = self._handles.mine().read(x0, y0, x1 - x0, y1 - y0)


class _Handles:
    """A handle of the raster for each thread that asks; the first one gets the raster itself."""

    def __init__(self, raster: Raster) -> None:
        self._raster = raster
        self._own = threading.local()
        self._lock = threading.Lock()
        self._taken = False
        self._twins: list[Raster] = []

    def mine(self) -> Raster:
        """The handle of this thread."""
        if not hasattr(self._own, "raster"):
            with self._lock:
                first, self._taken = not self._taken, True
            self._own.raster = self._raster if first else self._raster.twin()
            if not first:
                self._twins.append(self._own.raster)
        return self._own.raster

    def close(self) -> None:
        """Close all but the raster itself."""
        for twin in self._twins:
            twin.close()


def _blocks(raster: Raster, plan: TilePlan) -> Iterator[tuple[range, range]]:
    """Cut the plan into blocks of tiles of bounded size: wide ones where the file stores whole rows, else square.

    Each is shrunk to its active tiles. Neighbouring blocks overlap as tiles do: 8 % is read twice at 512 px.
    """
    tile, overlap, step = plan.tile_px, plan.overlap_px, plan.step_px
    pixels = BLOCK_PX * 4 // (len(raster.ranges) + 1)
    widest = pixels // tile if raster.read_by_rows else math.isqrt(pixels)
    across = _evenly(plan.cols, (widest - overlap) // step)
    tallest = pixels // ((across - 1) * step + tile)
    down = _evenly(plan.rows, (tallest - overlap) // step)
    for row in range(0, plan.rows, down):
        for col in range(0, plan.cols, across):
            rows, cols = np.nonzero(plan.active[row : row + down, col : col + across])
            if rows.size:
                yield (
                    range(row + rows.min(), row + rows.max() + 1),
                    range(col + cols.min(), col + cols.max() + 1),
                )


def _evenly(total: int, most: int) -> int:
    """Split into the fewest parts of at most `most`, then all about equally large: the size of a part."""
    return math.ceil(total / math.ceil(total / max(1, most)))


def _pieces(raster: Raster, window: Window) -> Iterator[Window]:
    """Cut a window along the file's own blocks, which are decoded once: whole rows where it stores rows, else squares.

    Where the raster is resampled there is no such grid.
    """
    x0, y0, x1, y1 = window
    rows, columns = raster.block_shape or (1, 1)
    wide = None if raster.read_by_rows else _multiple(columns, math.isqrt(PIECE_PX))
    tall = _multiple(rows, PIECE_PX // (wide or x1 - x0))
    across = [x0, x1] if wide is None else _cuts(x0, x1, wide)
    for top, bottom in pairwise(_cuts(y0, y1, tall)):
        for left, right in pairwise(across):
            yield left, top, right, bottom


def _multiple(unit: int, wanted: int) -> int:
    return unit * max(1, round(wanted / unit))


def _cuts(start: int, stop: int, size: int) -> list[int]:
    """Both ends, and the multiples of `size` between them."""
    return [start, *range((start // size + 1) * size, stop, size), stop]
