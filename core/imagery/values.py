"""Source values to the 0-255 that a model sees: one range a band, chosen once for the whole raster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..job.card import Band

PERCENTILES = (0.5, 99.5)
Range = tuple[float, float]


@dataclass(frozen=True)
class SourceBand:
    """What a file says of a band's values: physical value = value * `scale` + `offset`, in `unit`."""

    dtype: str
    nbits: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""


def choose_ranges(
    sources: Sequence[SourceBand],
    card_bands: Sequence[Band],
    value_range: Range | None,
    sample: Callable[[], np.ndarray],
) -> tuple[tuple[Range, ...], tuple[str, ...]]:
    """Choose for each band the source values that become 0 and 255; returns them with notices.

    In this order: the user's `value_range`; 8 bit as it is; NBITS; the range the model was trained with, where the
    values lie in it; 0-1 or 0-255 where the values, after scale and offset, are such; else the 0.5-99.5 percentile of
    `sample()` (bands, N), valid pixels of the whole raster in source units. Bands of one type and unit share a range.
    """
    if value_range is not None:
        return (value_range,) * len(sources), ()
    ranges = [_declared_range(source) for source in sources]
    if None not in ranges:
        return tuple(ranges), ()
    values = sample().astype(np.float64)
    if values.shape[1] == 0:
        return tuple(known or (0.0, 1.0) for known in ranges), ("No valid pixel was found to take a value range from.",)
    if all(source.dtype.startswith("uint") for source in sources) and values.any():
        values = values[:, values.any(axis=0)]  # a black collar that nobody declared would drag the low end to 0
    notices = []
    for members in _groups(sources, card_bands, ranges):
        physical = [values[i] * sources[i].scale + sources[i].offset for i in members]
        trained = [_trained_range(card_bands[i], values[i]) for i in members]
        if None not in trained:
            chosen = trained
            notices.append(f"Values are stretched from {_text(chosen[0])} to 0-255, the range the model has learnt.")
        else:
            pooled = np.concatenate(physical)
            natural = _natural_range(pooled, sources[members[0]])
            low, high = natural or _percentile_range(pooled, [card_bands[i] for i in members])
            chosen = [
                ((low - sources[i].offset) / sources[i].scale, (high - sources[i].offset) / sources[i].scale)
                for i in members
            ]
            if not natural and pooled.min() == pooled.max():
                notices.append(f"All values seen are {pooled[0]:.5g}. If there are others, give a value range.")
            how = "" if natural else ", by the 0.5-99.5 percentile of the whole raster"
            notices.append(f"Values are stretched from {_text(chosen[0])} to 0-255{how}.")
        for i, known in zip(members, chosen, strict=True):
            ranges[i] = known
    return tuple(ranges), tuple(dict.fromkeys(notices))


def to_bytes(values: np.ndarray, ranges: Sequence[Range]) -> np.ndarray:
    """Map values (C, H, W) to uint8 by each band's range: low to 0, high to 255, clipped; what is not finite to 0."""
    if values.dtype == np.uint8 and all(known == (0.0, 255.0) for known in ranges):
        return values
    mapped = np.empty(values.shape, np.uint8)
    wide = np.float64 if values.dtype.itemsize > 4 or values.dtype.kind in "iu" else np.float32
    for band, (low, high) in enumerate(ranges):
        grey = values[band].astype(wide)
        with np.errstate(invalid="ignore", over="ignore"):
            grey -= low
            grey *= 255.0 / (high - low)
        np.nan_to_num(grey, copy=False, nan=0.0)
        np.clip(grey, 0.0, 255.0, out=grey)
        np.rint(grey, out=grey)
        mapped[band] = grey
    return mapped


def _declared_range(source: SourceBand) -> Range | None:
    if source.nbits is not None and np.dtype(source.dtype).kind == "u":
        return (0.0, float(2**source.nbits - 1))
    return {"uint8": (0.0, 255.0), "int8": (-128.0, 127.0)}.get(source.dtype)


def _groups(
    sources: Sequence[SourceBand], card_bands: Sequence[Band], ranges: Sequence[Range | None]
) -> list[list[int]]:
    """Group the bands without a range: what is of one type and unit shares one, save a band of role "other"."""
    groups: dict[tuple[str, str, int], list[int]] = {}
    for i, (source, band) in enumerate(zip(sources, card_bands, strict=True)):
        if ranges[i] is None:
            groups.setdefault((source.dtype, source.unit, i if band.role == "other" else -1), []).append(i)
    return list(groups.values())


def _trained_range(band: Band, values: np.ndarray) -> Range | None:
    """Give the range of the card, where it is not that of 8 bit and the values plausibly are of its kind."""
    if (band.low, band.high) == (0.0, 255.0):
        return None
    low, middle, high = np.percentile(values, (PERCENTILES[0], 50.0, PERCENTILES[1]))
    width = band.high - band.low
    fits = band.low <= middle <= band.high and 0.1 * width <= high - low <= 2.0 * width
    return (band.low, band.high) if fits else None


def _natural_range(values: np.ndarray, source: SourceBand) -> Range | None:
    """Recognize 0-1 and 0-255: values that stay inside and are not all in its dark quarter (reflectance often is)."""
    bright = np.percentile(values, PERCENTILES[1])
    scaled = (source.scale, source.offset) != (1.0, 0.0)
    continuous = scaled or np.dtype(source.dtype).kind == "f"
    for top in (1.0, 255.0) if continuous else (255.0,):
        if values.min() >= 0.0 and values.max() <= top * (1 + 1e-6) and bright >= top / 4:
            return (0.0, top)
    return None


def _percentile_range(values: np.ndarray, card_bands: Sequence[Band]) -> Range:
    """Map the percentiles of the values to those of the model's training imagery, or to 0 and 255 where unknown.

    Imagery of 8 bit seldom fills 0-255; stretched that far, other types would show the model more contrast than it
    has learnt.
    """
    low, high = np.percentile(values, PERCENTILES)
    if not high > low:
        high = low + max(1.0, abs(low)) * (1.0 if float(low).is_integer() else 1e-3)
    dark, light = _trained_percentiles(card_bands)
    unit = (high - low) / (light - dark)
    return float(low - dark * unit), float(high + (255.0 - light) * unit)


def _trained_percentiles(card_bands: Sequence[Band]) -> Range:
    """Find the grey values (0-255) of the percentiles in the card's pooled histograms; 0 and 255 without them."""
    if not card_bands or not all(sum(band.histogram) > 0 for band in card_bands):
        return (0.0, 255.0)
    shares = [np.asarray(band.histogram, np.float64) / sum(band.histogram) for band in card_bands]
    if len({share.size for share in shares}) != 1:
        return (0.0, 255.0)
    cumulated = np.concatenate([[0.0], np.cumsum(np.mean(shares, axis=0))])
    edges = np.linspace(0.0, 255.0, cumulated.size)
    dark, light = np.interp(np.divide(PERCENTILES, 100.0), cumulated, edges)
    return (float(dark), float(light)) if light - dark > 32.0 else (0.0, 255.0)


def _text(known: Range) -> str:
    return f"{known[0]:.5g} to {known[1]:.5g}"
