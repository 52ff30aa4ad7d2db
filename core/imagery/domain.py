"""Whether a raster looks like what a model has learnt from: its values against the card's histograms.

The bounds were read off real imagery (NAIP, NEON, aerial photographs of five countries) and drawn scenes: none of
those that a model of natural colours reads well is warned of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..job.card import HISTOGRAM_BINS, Band
from .raster import Raster

WINDOWS_A_SIDE = 5
WINDOW_PX = 96
FEWEST_PX = 2_000  # fewer say nothing
BLUE_FIRST = -0.05  # natural colours: red over blue grows with brightness, by 0.07 to 0.5 a grey level
LESS_ALIKE = 0.15  # of the first two bands' correlation against the last two: natural 0.11 at most, false colours 0.16
HAZE_LIFT, HAZE_CONTRAST = 45.0, 0.7  # grey levels above the card's darkest percent; of the card's spread
DARK = BRIGHT = 45.0  # grey levels between the medians
FLAT, HARD = 0.5, 1.8  # times the card's spread
CLIPPED = 0.15  # of the values are 0 or 255


@dataclass(frozen=True)
class Caution:
    """A sentence on what is unusual, and one on what to do about it."""

    text: str
    remedy: str


def unlike_the_model(raster: Raster, bands: Sequence[Band]) -> list[Caution]:
    """Say in what a raster is unlike the imagery a model knows; nothing where the card has no histograms."""
    if any(len(band.histogram) != HISTOGRAM_BINS or not sum(band.histogram) for band in bands):
        return []
    values = sample_seen(raster)
    if values.shape[1] < FEWEST_PX or (values == values[:, :1]).all():
        return []
    roles = tuple(band.role for band in bands)
    distinct = len(set(raster.band_indexes)) == len(roles)
    order = _band_order(values, bands) if roles == ("red", "green", "blue") and distinct else []
    return order or _brightness(values, bands)


def sample_seen(raster: Raster) -> np.ndarray:
    """Read valid pixels of windows spread over a raster, as the model would see them: uint8 (bands, N)."""
    grid = raster.grid
    wide, high = min(WINDOW_PX, grid.width), min(WINDOW_PX, grid.height)
    columns = np.unique(np.linspace(0, grid.width - wide, WINDOWS_A_SIDE).astype(int))
    rows = np.unique(np.linspace(0, grid.height - high, WINDOWS_A_SIDE).astype(int))
    parts = []
    for y in rows.tolist():
        for x in columns.tolist():
            image, valid = raster.read(x, y, wide, high)
            parts.append(image[:, valid])
    return np.concatenate(parts, axis=1)


def _band_order(values: np.ndarray, bands: Sequence[Band]) -> list[Caution]:
    red, green, blue = values.astype(np.float64)
    if min(red.std(), green.std(), blue.std()) < 2:
        return []
    correlations = np.corrcoef([red, green, blue])
    if correlations[1, 2] - correlations[0, 1] > LESS_ALIKE and red.mean() > green.mean():
        return [
            Caution(
                "The band taken as red looks like near infrared, as in false-colour images.",
                "Under Advanced, choose the bands that are red, green and blue; often these are 2, 3 and another one.",
            )
        ]
    brightness = (red + green + blue) / 3
    reddening = np.cov(brightness, red - blue)[0, 1] / brightness.var()
    if reddening < BLUE_FIRST and bands[0].std > 1.05 * bands[2].std:
        return [
            Caution(
                "Red and blue look exchanged: the file seems to store blue first.",
                "Under Advanced, choose the bands in the order 3, 2, 1.",
            )
        ]
    return []


def _brightness(values: np.ndarray, bands: Sequence[Band]) -> list[Caution]:
    known = np.array([_percentiles(band, (1, 50)) for band in bands])
    seen = np.percentile(values, (1, 50), axis=1).T
    lift, shift = (seen - known).mean(axis=0)
    contrast = float(np.mean(values.std(axis=1) / np.array([band.std for band in bands])))
    clipped = float(np.mean((values == 0) | (values == 255)))
    stretch = "Under Advanced, give the value range that shows the picture with usual contrast."
    if lift > HAZE_LIFT and contrast < HAZE_CONTRAST:
        return [
            Caution(
                "The picture is hazier or paler than those the model knows: there is hardly any dark in it.",
                "Objects may be missed. Use a clearer picture, or give a value range under Advanced.",
            )
        ]
    if clipped > CLIPPED:
        return [Caution(f"{clipped:.0%} of the values are pure black or white: the stretch cuts them off.", stretch)]
    if shift < -DARK or shift > BRIGHT:
        how = "darker" if shift < 0 else "brighter"
        return [Caution(f"The picture is much {how} than those the model knows.", stretch)]
    if contrast < FLAT or contrast > HARD:
        how = "less" if contrast < FLAT else "more"
        return [Caution(f"The picture has much {how} contrast than those the model knows.", stretch)]
    return []


def _percentiles(band: Band, shares: tuple[float, ...]) -> np.ndarray:
    """Read percentiles off a card's histogram, in grey levels."""
    rising = np.concatenate([[0.0], np.cumsum(band.histogram, dtype=np.float64)])
    return np.interp(np.array(shares) / 100, rising / rising[-1], np.linspace(0, 256, HISTOGRAM_BINS + 1))
