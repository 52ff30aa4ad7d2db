"""A thin sample of a whole raster: enough for percentiles, cheap however large the file is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

SAMPLE_PX = 1_000_000
MAX_DECODED_PX = 64_000_000  # read whole and thinned below this, or by overviews; else by scattered windows
WINDOWS_A_SIDE = 16
WINDOW_PX = 64

Place = tuple[Window, tuple[int, int]]


def sample_places(dataset: DatasetReader) -> Iterator[Place]:
    """Say where to read: windows, each with the (rows, columns) to thin it to, spread over the whole raster."""
    width, height = dataset.width, dataset.height
    if width * height <= MAX_DECODED_PX or dataset.overviews(1):
        step = max(1.0, math.sqrt(width * height / SAMPLE_PX))
        yield Window(0, 0, width, height), (math.ceil(height / step), math.ceil(width / step))
        return
    wide, high = min(WINDOW_PX, width), min(WINDOW_PX, height)
    block_rows, block_columns = dataset.block_shapes[0]
    for y in _spread(height, high, block_rows):
        for x in _spread(width, wide, block_columns):
            yield Window(x, y, wide, high), (high, wide)


def _spread(length: int, window: int, block: int) -> list[int]:
    """Place windows evenly, each at the start of a block of the file so that one block is decoded for it."""
    starts = np.linspace(0, length - window, WINDOWS_A_SIDE).astype(int)
    return sorted({min(int(start) // block * block, length - window) for start in starts})


def read_thinned(dataset: DatasetReader, indexes: Sequence[int]) -> np.ndarray:
    """Read raw values of bands at the sample's places: (bands, pixels)."""
    parts = [
        dataset.read(list(indexes), window=window, out_shape=(len(indexes), *shape)).reshape(len(indexes), -1)
        for window, shape in sample_places(dataset)
    ]
    return np.concatenate(parts, axis=1)
