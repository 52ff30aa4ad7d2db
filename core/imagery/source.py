"""A file in its own pixels, as the model sees its values: 8 bit, and valid or not."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.io import DatasetReader
from rasterio.windows import Window

from ..job.card import Band
from .bands import BandChoice
from .sampling import sample_places
from .values import Range, SourceBand, choose_ranges, to_bytes

LARGEST_VALUE = 1e30  # beyond lies no image but undeclared nodata such as -3.4e38
CHUNK_PX = 4_000_000  # raw values held at once, a band


class Source:
    """Reads a dataset's chosen bands; needs `gdal_session` around it."""

    def __init__(
        self, dataset: DatasetReader, choice: BandChoice, card_bands: Sequence[Band], value_range: Range | None
    ) -> None:
        self.dataset = dataset
        self.width, self.height = dataset.width, dataset.height
        self.band_indexes = choice.indexes
        self.dtype = dataset.dtypes[choice.indexes[0] - 1]
        self.nodata = dataset.nodatavals[choice.indexes[0] - 1]
        blocks = dataset.block_shapes[choice.indexes[0] - 1]
        self.block_shape = blocks
        self.stored_by_rows = blocks[1] >= dataset.width > 1024
        self.fill = np.array([round(min(max(band.mean, 0.0), 255.0)) for band in card_bands], np.uint8)
        self._choice = choice
        self._bands = sorted(set(choice.indexes))
        self._order = [self._bands.index(index) for index in choice.indexes]
        self._mask_bands = _mask_bands(dataset, self._bands)
        self._nodata = _nodata(dataset, self._bands)
        self._lookup: np.ndarray | None = None
        if choice.palette is not None:
            self.ranges, self.notices = ((0.0, 255.0),) * len(card_bands), ()
            return
        described = [_describe(dataset, index) for index in choice.indexes]
        self.ranges, self.notices = choose_ranges(described, card_bands, value_range, self._sample)
        if {source.dtype for source in described} in ({"uint16"}, {"int16"}):
            every = np.arange(65536, dtype=np.uint16).view(described[0].dtype)
            self._lookup = to_bytes(np.broadcast_to(every, (len(described), 1, 65536)), self.ranges)[:, 0]

    def through(self, dataset: DatasetReader) -> Source:
        """The same source, read through another handle of its file."""
        twin = copy.copy(self)
        twin.dataset = dataset
        return twin

    def read(self, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Read uint8 (C, height, width) and valid bool (height, width); what lies outside the file is invalid."""
        image = np.empty((len(self._order), height, width), np.uint8)
        valid = np.zeros((height, width), bool)
        left, right = max(x, 0), min(x + width, self.width)
        top, bottom = max(y, 0), min(y + height, self.height)
        if left < right:
            rows = max(1, CHUNK_PX // (right - left))
            for start in range(top, bottom, rows):
                stop = min(start + rows, bottom)
                window = Window(left, start, right - left, stop - start)
                lines, columns = slice(start - y, stop - y), slice(left - x, right - x)
                raw, valid[lines, columns] = self._raw(window, (stop - start, right - left))
                image[:, lines, columns] = self._greys(raw)
        np.copyto(image, self.fill[:, None, None], where=~valid)
        return image, valid

    def _greys(self, raw: np.ndarray) -> np.ndarray:
        palette = self._choice.palette
        if palette is not None:
            return palette[:, np.clip(raw[0], 0, palette.shape[1] - 1)]
        if self._lookup is not None and raw.dtype.itemsize == 2:
            keys = raw.view(np.uint16)
            return np.stack([table[keys[i]] for i, table in zip(self._order, self._lookup, strict=True)])
        if self._order == list(range(len(raw))):
            return to_bytes(raw, self.ranges)
        return to_bytes(raw[self._order], self.ranges)

    def _raw(self, window: Window, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Read raw values (distinct bands, rows, columns), thinned to `shape`, and where they are valid."""
        alpha = self._choice.alpha
        wanted = self._bands if alpha is None else [*self._bands, alpha]
        values = _read(self.dataset, wanted, window, shape)
        valid = np.ones(shape, bool)
        if alpha is not None:
            valid &= values[-1] > 0
            values = values[:-1]
        for index in self._mask_bands:
            valid &= self.dataset.read_masks(index, window=window, out_shape=shape) > 0
        if self._nodata is not None:
            missing = np.ones(shape, bool)
            for band, nodata in zip(values, self._nodata, strict=True):
                missing &= band == nodata
            valid &= ~missing
        if values.dtype.kind == "f":
            for band in values:
                valid &= np.abs(band) < LARGEST_VALUE  # false for NaN too
        if self._choice.palette_valid is not None and not self._choice.palette_valid.all():
            entries = self._choice.palette_valid
            valid &= entries[np.clip(values[0], 0, entries.size - 1)]
        return values, valid

    def _sample(self) -> np.ndarray:
        parts = []
        for window, shape in sample_places(self.dataset):
            values, valid = self._raw(window, shape)
            parts.append(values[:, valid])
        return np.concatenate(parts, axis=1)[self._order]


def _read(dataset: DatasetReader, indexes: list[int], window: Window, shape: tuple[int, int]) -> np.ndarray:
    """Read bands in one pass, whose types may differ (in a VRT)."""
    kinds = {dataset.dtypes[index - 1] for index in indexes}
    if len(kinds) == 1:
        return dataset.read(indexes, window=window, out_shape=(len(indexes), *shape))
    return np.stack([dataset.read(index, window=window, out_shape=shape).astype(np.float64) for index in indexes])


def _mask_bands(dataset: DatasetReader, bands: list[int]) -> list[int]:
    """Name the bands whose mask says more than the alpha band and nodata, which are read as values."""
    own = [
        index
        for index in bands
        if not {MaskFlags.all_valid, MaskFlags.alpha, MaskFlags.nodata} & set(dataset.mask_flag_enums[index - 1])
    ]
    shared = [index for index in own if MaskFlags.per_dataset in dataset.mask_flag_enums[index - 1]]
    return shared[:1] if shared else own


def _nodata(dataset: DatasetReader, bands: list[int]) -> list[float] | None:
    """Give each band's nodata value, rounded as its type stores it; None where a band has none it could hold.

    What is not finite is left out here: it is invalid anyway.
    """
    found = []
    for index in bands:
        nodata, kind = dataset.nodatavals[index - 1], np.dtype(dataset.dtypes[index - 1])
        if nodata is None or not np.isfinite(nodata):
            return None
        if kind.kind in "iu" and (nodata != int(nodata) or not np.iinfo(kind).min <= nodata <= np.iinfo(kind).max):
            return None
        with np.errstate(over="ignore"):
            found.append(kind.type(int(nodata)) if kind.kind in "iu" else kind.type(nodata))
    return found


def _describe(dataset: DatasetReader, index: int) -> SourceBand:
    nbits = dataset.tags(index, ns="IMAGE_STRUCTURE").get("NBITS", "")
    scale, offset = dataset.scales[index - 1], dataset.offsets[index - 1]
    return SourceBand(
        dtype=dataset.dtypes[index - 1],
        nbits=int(nbits) if nbits.isdigit() else None,
        scale=scale if scale > 0 else 1.0,
        offset=offset,
        unit=dataset.units[index - 1] or "",
    )
