"""Pixels of rasters too large for memory: read where they are asked for, in blocks that are kept for a while."""

from collections import OrderedDict
from collections.abc import Callable
from threading import RLock

import numpy as np

from ..imagery.raster import Raster

BLOCK_PX = 512
KEPT_BYTES = 512_000_000  # of blocks, over all rasters
MOST_OPEN = 64  # files at once; systems allow 256 and more


class RasterStore:
    """Rasters by name, opened when they are needed, and the blocks of them read last; safe for several threads."""

    def __init__(
        self, open_file: Callable[[str], Raster], most_bytes: int = KEPT_BYTES, most_open: int = MOST_OPEN
    ) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self.lock = RLock()  # GDAL reads a file for one thread at a time
        self._open_file = open_file
        self._most_open = most_open
        self._open: OrderedDict[str, Raster] = OrderedDict()
        self._blocks: OrderedDict[tuple[str, int, int], np.ndarray] = OrderedDict()

    def raster(self, name: str) -> Raster:
        """The raster of a name, open; those not used for longest are closed."""
        with self.lock:
            found = self._open.pop(name, None) or self._open_file(name)
            self._open[name] = found
            while len(self._open) > self._most_open:
                self._open.popitem(last=False)[1].close()
            return found

    def block(self, name: str, col: int, row: int) -> np.ndarray:
        """The block uint8 (C, 512, 512) of a raster at a column and row of blocks; at its edges smaller."""
        key = (name, col, row)
        with self.lock:
            found = self._blocks.pop(key, None)
            if found is None:
                grid, x, y = self.raster(name).grid, col * BLOCK_PX, row * BLOCK_PX
                found, _ = self.raster(name).read(x, y, min(BLOCK_PX, grid.width - x), min(BLOCK_PX, grid.height - y))
                self.bytes += found.nbytes
            self._blocks[key] = found
            while self.bytes > self.most_bytes and len(self._blocks) > 1:
                self.bytes -= self._blocks.popitem(last=False)[1].nbytes
            return found

    def close(self) -> None:
        """Close all files and forget their blocks; what is asked for later is opened again."""
        with self.lock:
            while self._open:
                self._open.popitem()[1].close()
            self._blocks.clear()
            self.bytes = 0


class RasterPixels:
    """A window of a raster that can be cut like an array uint8 (C, height, width): `pixels[:, y0:y1, x0:x1]`.

    `x0`, `y0`: its top left corner in the raster's grid; the window lies within it.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, store: RasterStore, name: str, x0: int, y0: int, width: int, height: int) -> None:
        self.store, self.name = store, name
        self.x0, self.y0 = x0, y0
        self.shape = (len(store.raster(name).ranges), height, width)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: tuple[slice, slice, slice]) -> np.ndarray:
        bands, rows, cols = key
        (top, bottom, _), (left, right, _) = rows.indices(self.shape[1]), cols.indices(self.shape[2])
        found = np.empty((self.shape[0], max(0, bottom - top), max(0, right - left)), np.uint8)
        x0, y0, x1, y1 = self.x0 + left, self.y0 + top, self.x0 + right, self.y0 + bottom
        for row in range(y0 // BLOCK_PX, -(-y1 // BLOCK_PX)):
            for col in range(x0 // BLOCK_PX, -(-x1 // BLOCK_PX)):
                x, y = col * BLOCK_PX, row * BLOCK_PX
                block = self.store.block(self.name, col, row)
                a, b = max(x, x0), max(y, y0)
                c, d = min(x + block.shape[2], x1), min(y + block.shape[1], y1)
                found[:, b - y0 : d - y0, a - x0 : c - x0] = block[:, b - y : d - y, a - x : c - x]
        return found[bands]
