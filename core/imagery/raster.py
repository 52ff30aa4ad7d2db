"""A raster as a model wants it: its bands, its values, its ground resolution, north up."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
import rasterio
from affine import Affine
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT

from ..job.card import Band
from .bands import choose_bands
from .dataset import georeference, open_dataset
from .gdal import gdal_session, is_remote, raster_name
from .grid import Grid
from .placement import Placement, place
from .resampling import reach, resample
from .source import Source

MAX_SOURCE_PX = 16_000_000  # source pixels resampled at once
OVERVIEW = 0.55  # overviews up to about half as coarse as the grid are used: what they blur or alias averages out


class Raster:
    """An open raster, read in the pixels of its `grid`; a context manager, for one thread at a time.

    `band_indexes`: source band (from 1) for each band of the card. `ranges`: source values that become 0 and 255.
    `notices`: sentences on what was assumed, chosen and resampled. `to_source`: affine from grid px to the file's px,
    None where they are the same. `source_resolution_m`: ground metres a pixel of the file, None where unknown.
    `read_by_rows`: the file stores whole rows, so that narrow windows decode too much. `block_shape`: rows and columns
    of the file's blocks, None where it is resampled. `is_remote`: the file is read over the network. `dtype`, `nodata`:
    of the file's values, `nodata` None where it declares none.
    """

    def __init__(
        self,
        path: str,
        name: str,
        placement: Placement,
        source: Source,
        overview: int | None,
        reduction: Affine,
        notices: Sequence[str],
        opened: ExitStack,
    ) -> None:
        self.source = path
        self.name = name
        self.grid: Grid = placement.grid
        self.source_resolution_m = placement.source_resolution_m
        self.band_indexes: tuple[int, ...] = source.band_indexes
        self.ranges = source.ranges
        self.dtype = source.dtype
        self.nodata = source.nodata
        self.notices = tuple(dict.fromkeys(notices))
        self.read_by_rows = placement.to_source is None and source.stored_by_rows
        self.to_source = placement.to_source
        self.block_shape: tuple[int, int] | None = source.block_shape if placement.to_source is None else None
        self.is_remote = is_remote(path)
        self._source = source
        self._overview = overview
        self._to_read = None if placement.to_source is None else reduction @ placement.to_source
        self._opened = opened

    def __enter__(self) -> Raster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def twin(self) -> Raster:
        """The same raster through a handle of its own, for another thread; it is closed on its own."""
        with gdal_session(self.name), ExitStack() as stack:
            level = self._overview
            if level is None:
                dataset, _ = open_dataset(self.source, self.name, stack)
            else:
                dataset = stack.enter_context(rasterio.open(self.source, overview_level=level))
            twin = copy.copy(self)
            twin._source = self._source.through(dataset)
            twin._opened = stack.pop_all()
            return twin

    def close(self) -> None:
        """Close the file."""
        self._opened.close()

    def read(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Read a window of the grid: uint8 (C, height, width), and bool (height, width), where it is valid.

        The window may reach outside of the raster. Invalid pixels hold the card's band means. Raises RasterError where
        the file is damaged.
        """
        with gdal_session(self.name):
            if self._to_read is None:
                return self._source.read(x, y, width, height)
            image = np.empty((len(self.ranges), height, width), np.uint8)
            valid = np.zeros((height, width), bool)
            left, right = max(x, 0), min(x + width, self.grid.width)
            top, bottom = max(y, 0), min(y + height, self.grid.height)
            if left < right and top < bottom:
                inside = np.s_[top - y : bottom - y, left - x : right - x]
                image[(..., *inside)], valid[inside] = self._resampled(left, top, right - left, bottom - top)
            np.copyto(image, self._source.fill[:, None, None], where=~valid)
            return image, valid

    def _resampled(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        left, top, right, bottom = self._source_window(x, y, width, height)
        if (right - left) * (bottom - top) > MAX_SOURCE_PX and max(width, height) > 1:
            return self._in_halves(x, y, width, height)
        image, valid = self._source.read(left, top, right - left, bottom - top)
        to_window = Affine.translation(-left, -top) @ self._to_read @ Affine.translation(x, y)
        return resample(image, valid, to_window, width, height)

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
        columns, rows = zip(*(self._to_read @ end for end in ends), strict=True)
        margin = reach(self._to_read)
        left, top = math.floor(min(columns)) - margin, math.floor(min(rows)) - margin
        return left, top, math.ceil(max(columns)) + margin, math.ceil(max(rows)) + margin


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
        dataset, overview, reduction = _reduced(dataset, str(path), placement, stack)
        source = Source(dataset, choice, card_bands, value_range)
        if placement.grid.crs_wkt is None:
            notices = (*notices, f"'{name}' has no coordinate reference system.")
        notices = (*notices, *placement.notices, *choice.notices, *source.notices)
        return Raster(str(path), name, placement, source, overview, reduction, notices, stack.pop_all())


def _reduced(
    dataset: DatasetReader, path: str, placement: Placement, stack: ExitStack
) -> tuple[DatasetReader, int | None, Affine]:
    """Change to the coarsest overview that still has two pixels along one of the grid, if there is any.

    Returns it with its level, None for the file itself, and the affine from the file's px to its px.
    """
    factors = [] if isinstance(dataset, WarpedVRT) else dataset.overviews(1)
    levels = [level for level, factor in enumerate(factors) if factor <= placement.coarsening * OVERVIEW]
    if not levels or placement.to_source is None:
        return dataset, None, Affine.identity()
    overview = stack.enter_context(rasterio.open(path, overview_level=levels[-1]))
    if overview.count != dataset.count:
        return dataset, None, Affine.identity()
    return overview, levels[-1], Affine.scale(overview.width / dataset.width, overview.height / dataset.height)
