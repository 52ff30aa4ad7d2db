"""Reading tiles ahead: blocks of the raster once, overlapping tiles cut from memory, in a thread of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np

from .examined import Examined
from .raster import Raster
from .tiles import TilePlan

BLOCK_PX = 16_000_000  # a block with three bands and its validity takes 64 MB; two are held
PIECE_PX = 2_000_000  # read between two looks at whether to stop

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]
Block = tuple[range, range]


def read_batches(
    raster: Raster,
    plan: TilePlan,
    batch_size: int,
    examined: Examined | None = None,
    done: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Read the active tiles of a plan, the next batch while the caller works on this one.

    Yields indexes int64 (N,), images uint8 (N, C, T, T) and valid bool (N, T, T), N at most `batch_size`; the order is
    fixed by raster and plan. Tiles without a valid pixel are left out; `examined` takes note of them and of all invalid
    ground. Memory does not grow with the raster. The raster belongs to the reading thread until the iterator ends or
    is closed. Tiles of the mask `done` (T,) are left out, too; the others come in the same pixels and the same order
    with or without it. Raises RasterError.
    """
    stop = Event()
    todo = plan.active if done is None else plan.active & ~done.reshape(plan.active.shape)
    batches = _batches(raster, plan, todo, batch_size, examined or Examined(plan), stop)
    with ThreadPoolExecutor(1, "tilehawk-reader") as thread:
        try:
            ahead = thread.submit(next, batches, None)
            while (batch := ahead.result()) is not None:
                ahead = thread.submit(next, batches, None)
                yield batch
        finally:
            stop.set()


def _batches(
    raster: Raster, plan: TilePlan, todo: np.ndarray, batch_size: int, examined: Examined, stop: Event
) -> Iterator[Batch]:
    bands, tile = len(raster.ranges), plan.tile_px
    indexes: list[int] = []
    images = np.empty((batch_size, bands, tile, tile), np.uint8)
    valid = np.empty((batch_size, tile, tile), bool)
    for rows, cols in _blocks(raster, plan):
        if not todo[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].any():
            continue
        x, y = plan.x0 + cols[0] * plan.step_px, plan.y0 + rows[0] * plan.step_px
        block = _read_block(raster, plan, rows, cols, stop)
        if block is None:
            return
        examined.note(x, y, block[1])
        for row in rows:
            for col in cols:
                if not todo[row, col]:
                    continue
                top, left = (row - rows[0]) * plan.step_px, (col - cols[0]) * plan.step_px
                seen = block[1][top : top + tile, left : left + tile]
                if not seen.any():
                    examined.empty_tiles.append(row * plan.cols + col)
                    continue
                images[len(indexes)] = block[0][:, top : top + tile, left : left + tile]
                valid[len(indexes)] = seen
                indexes.append(row * plan.cols + col)
                if len(indexes) == batch_size:
                    yield np.array(indexes), images, valid
                    indexes = []
                    images, valid = np.empty_like(images), np.empty_like(valid)
    if indexes:
        yield np.array(indexes), images[: len(indexes)], valid[: len(indexes)]


def _blocks(raster: Raster, plan: TilePlan) -> Iterator[Block]:
    """Cut the plan into blocks of tiles of bounded size: wide ones where the file stores whole rows, else square.

    Each is shrunk to its active tiles. Neighbouring blocks overlap as tiles do: 6 % is read twice at 512 px.
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


def _read_block(
    raster: Raster, plan: TilePlan, rows: range, cols: range, stop: Event
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the pixels of a block of tiles, piece by piece; None when told to stop."""
    x, y = plan.x0 + cols[0] * plan.step_px, plan.y0 + rows[0] * plan.step_px
    width = (len(cols) - 1) * plan.step_px + plan.tile_px
    height = (len(rows) - 1) * plan.step_px + plan.tile_px
    image = np.empty((len(raster.ranges), height, width), np.uint8)
    valid = np.empty((height, width), bool)
    lines = max(1, PIECE_PX // width)
    for top in range(0, height, lines):
        if stop.is_set():
            return None
        bottom = min(top + lines, height)
        image[:, top:bottom], valid[top:bottom] = raster.read(x, y + top, width, bottom - top)
    return image, valid
