"""Reading tiles ahead of the network: overlapping tiles cut from blocks in memory, batch by batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .blocks import BlockReader
from .examined import Examined
from .raster import Raster
from .tiles import TilePlan

BATCHES_AHEAD = 2

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


def read_batches(
    raster: Raster,
    plan: TilePlan,
    batch_size: int,
    examined: Examined | None = None,
    done: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Read the active tiles of a plan, two batches and a block of the raster ahead of the caller.

    Yields indexes int64 (N,), images uint8 (N, C, T, T) and valid bool (N, T, T), N at most `batch_size`; the order is
    fixed by raster and plan. Single tiles are views of a block. Tiles without a valid pixel are left out; `examined`
    takes note of them and of all invalid ground. Ground without a tile to look at is not read. Memory does not grow
    with the raster. The raster belongs to the reading threads until the iterator ends or is closed; each has a handle
    of its own. Tiles of the mask `done` (T,) are left out, too; the others come in the same pixels and the same order
    with or without it. Raises RasterError.
    """
    todo = plan.active if done is None else plan.active & ~done.reshape(plan.active.shape)
    blocks = BlockReader(raster, plan, todo)
    batches = _batches(blocks, batch_size, examined or Examined(plan))
    with ThreadPoolExecutor(1, "tilehawk-tiles") as thread:
        try:
            ahead = deque(thread.submit(next, batches, None) for _ in range(BATCHES_AHEAD))
            while (batch := ahead.popleft().result()) is not None:
                ahead.append(thread.submit(next, batches, None))
                yield batch
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
            blocks.close()


def _batches(blocks: BlockReader, batch_size: int, examined: Examined) -> Iterator[Batch]:
    plan = blocks.plan
    shape = (batch_size, len(blocks.raster.ranges), plan.tile_px, plan.tile_px)
    indexes: list[int] = []
    images, valid = np.empty(shape, np.uint8), np.empty((batch_size, *shape[2:]), bool)
    for block in blocks:
        for piece in block.pieces:
            examined.note(*piece[:2], block.cut(piece)[1])
        for index in block.tiles:
            image, seen = block.cut(plan.window(index))
            if not seen.any():
                examined.empty_tiles.append(index)
                continue
            if batch_size == 1:
                yield np.array([index]), image[None], seen[None]
                continue
            images[len(indexes)], valid[len(indexes)] = image, seen
            indexes.append(index)
            if len(indexes) == batch_size:
                yield np.array(indexes), images, valid
                indexes = []
                images, valid = np.empty_like(images), np.empty_like(valid)
        del block, image, seen  # before the next block is waited for
    if indexes:
        yield np.array(indexes), images[: len(indexes)], valid[: len(indexes)]
