"""A raster as a model wants it: its bands, its values, its ground resolution, north up."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import reproject

from ..job.card import Band
from .bands import choose_bands
from .dataset import georeference, open_dataset
from .gdal import gdal_session, raster_name
from .grid import Grid
from .placement import Placement, place
from .source import Source

MAX_SOURCE_PX = 16_000_000  # source pixels resampled at once
AVERAGE_FROM = 1.5  # source px along one grid px; below, cubic (its kernel widened by GDAL) keeps edges sharper
THREADS = min(4, os.cpu_count() or 1)
# GDAL takes a transform with unit pixels and origin 0 for none at all: pixel coordinates are told with an offset.
PIXELS = Affine(1.0, 0.0, 1024.0, 0.0, -1.0, 1024.0)
PLANE = CRS.from_epsg(3857)  # any projected system: both sides are pixels


class Raster:
    """An open raster, read in the pixels of its `grid`; a context manager, for one thread at a time.

    `band_indexes`: source band (from 1) for each band of the card. `ranges`: source values that become 0 and 255.
    `notices`: sentences on what was assumed, chosen and resampled. `source_resolution_m`: ground metres a pixel of
    the file, None where unknown. `read_by_rows`: the file stores whole rows, so that narrow windows decode too much.
    """

    def __init__(
        self,
        path: str,
        name: str,
        source: Source,
        placement: Placement,
        notices: Sequence[str],
        opened: ExitStack,
    ) -> None:
        self.source = path
        self.name = name
        self.grid: Grid = placement.grid
        self.source_resolution_m = placement.source_resolution_m
        self.band_indexes: tuple[int, ...] = source.band_indexes
        self.ranges = source.ranges
        self.notices = tuple(dict.fromkeys(notices))
        self.read_by_rows = placement.to_source is None and source.stored_by_rows
        self._source = source
        self._to_source = placement.to_source
        self._coarsening = placement.coarsening
        self._opened = opened

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def read(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a window of the grid: uint8 (C, height, width), and bool (height, width), where it is valid.

        The window may reach outside of the raster. Invalid pixels hold the card's band means. Raises RasterError where
        the file is damaged.
        """
        with gdal_session(self.name):
            if self._to_source is None:
                return self._source.read(x, y, width, height)
            return self._resampled(x, y, width, height)

    def _resampled(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        left, top, right, bottom = self._source_window(x, y, width, height)
        if (right - left) * (bottom - top) > MAX_SOURCE_PX and max(width, height) > 1:
            return self._in_halves(x, y, width, height)
        bands = len(self.ranges)
        target = np.zeros((bands + 1, height, width), np.uint8)
        if right > left and bottom > top:
            image, valid = self._source.read(left, top, right - left, bottom - top)
            to_window = Affine.translation(-left, -top) @ self._to_source @ Affine.translation(x, y)
            reproject(
                np.concatenate([image, np.where(valid, np.uint8(255), np.uint8(0))[None]]),
                target,
                src_transform=PIXELS,
                dst_transform=PIXELS @ to_window,
                src_crs=PLANE,
                dst_crs=PLANE,
                src_alpha=bands + 1,
                dst_alpha=bands + 1,
                resampling=Resampling.average if self._coarsening > AVERAGE_FROM else Resampling.cubic,
                num_threads=THREADS,
            )
        image, valid = target[:bands], target[bands] > 127
        image[:, ~valid] = self._source.fill[:, None]
        return image, valid

    def _in_halves(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        if width >= height:
            half = width // 2
            parts = [self._resampled(x, y, half, height), self._resampled(x + half, y, width - half, height)]
        else:
            half = height // 2
            parts = [self._resampled(x, y, width, half), self._resampled(x, y + half, width, height - half)]
        images, valids = zip(*parts, strict=True)
        along = -1 if width >= height else -2
        return np.concatenate(images, axis=along), np.concatenate(valids, axis=along)

    def _source_window(self, x: int, y: int, width: int, height: int) -> tuple[int, int, int, int]:
        """Find the source px that a window of the grid is made of, with what the kernel needs around."""
        ends = ((x, y), (x + width, y), (x, y + height), (x + width, y + height))
        columns, rows = zip(*(self._to_source @ end for end in ends), strict=True)
        margin = 3 * math.ceil(max(1.0, self._coarsening)) + 1
        left, top = math.floor(min(columns)) - margin, math.floor(min(rows)) - margin
        right, bottom = math.ceil(max(columns)) + margin, math.ceil(max(rows)) + margin
        return max(left, 0), max(top, 0), min(right, self._source.width), min(bottom, self._source.height)


def open_raster(
    path: str,
    card_bands: Sequence[Band],
    model_resolution_m: float | None,
    *,
    bands: Sequence[int] | None = None,
    value_range: tuple[float, float] | None = None,
    resolution_m: float | str | None = "model",
) -> Raster:
    """Open a raster as a model wants it.

    `path`: a file or a GDAL name. `bands`: source bands from 1, in the card's order; None lets them be found.
    `value_range`: source values that become 0 and 255. `resolution_m`: "model" or None (resample to the model's where
    they differ by more than 10 %), "native" (leave as it is) or ground metres. Raises RasterError.
    """
    name = raster_name(path)
    with gdal_session(name), ExitStack() as stack:
        dataset, notices = open_dataset(str(path), name, stack)
        transform, crs_wkt = georeference(dataset)
        placement = place(name, dataset.width, dataset.height, transform, crs_wkt, model_resolution_m, resolution_m)
        choice = choose_bands(dataset, name, [band.role for band in card_bands], bands)
        dataset, placement = _reduced(dataset, str(path), placement, stack)
        source = Source(dataset, choice, card_bands, value_range)
        if placement.grid.crs_wkt is None:
            notices = (*notices, f"'{name}' has no coordinate reference system.")
        notices = (*notices, *placement.notices, *choice.notices, *source.notices)
        return Raster(str(path), name, source, placement, notices, stack.pop_all())


def _reduced(
    dataset: DatasetReader, path: str, placement: Placement, stack: ExitStack
) -> tuple[DatasetReader, Placement]:
    """Change to the coarsest overview that still has two pixels along one of the grid, if there is any."""
    factors = [] if isinstance(dataset, WarpedVRT) else dataset.overviews(1)
    levels = [level for level, factor in enumerate(factors) if factor <= placement.coarsening / 2]
    if not levels or placement.to_source is None:
        return dataset, placement
    overview = stack.enter_context(rasterio.open(path, overview_level=levels[-1]))
    if overview.count != dataset.count:
        return dataset, placement
    shrink = Affine.scale(overview.width / dataset.width, overview.height / dataset.height)
    coarsening = placement.coarsening * overview.width / dataset.width
    return overview, replace(placement, to_source=shrink @ placement.to_source, coarsening=coarsening)
