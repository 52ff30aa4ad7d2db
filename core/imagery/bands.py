"""Which bands of a file play the roles that a model asks for, and which one is transparency."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from ..job.errors import RasterError
from .sampling import read_thinned

POSITIONS = {"red": 0, "green": 1, "blue": 2, "nir": 3}
PALETTE_ROLES = ("red", "green", "blue", "gray")
INTERPRETATIONS = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
    ColorInterp.nir: "nir",
    ColorInterp.pan: "gray",
}
# Whole names, and Sentinel-2's (Landsat's B4 is red or near infrared, by the satellite, and so is left alone).
NAMES = {
    "red": ("red", "r", "rot", "rouge", "rojo", "b04"),
    "green": ("green", "g", "grün", "vert", "verde", "b03"),
    "blue": ("blue", "b", "blau", "bleu", "azul", "b02"),
    "nir": ("nir", "n", "ir", "infrared", "b08"),
    "gray": ("gray", "grey", "pan", "panchromatic"),
}
WORDS = {"red": "red", "green": "green", "blue": "blue", "nir": "nir|near.?infra.?red", "gray": "gr[ae]y|panchromatic"}
NOT_THE_ROLE = re.compile(r"edge|coastal|shortwave|swir|narrow|mask|cloud")
WAVELENGTHS_UM = {"blue": (0.44, 0.52), "green": (0.52, 0.6), "red": (0.62, 0.69), "nir": (0.76, 0.9)}


@dataclass(frozen=True)
class BandChoice:
    """The source bands (from 1) for the card's bands, in the card's order.

    `alpha`: band whose zeros are transparent, or None. `palette`: uint8 (card bands, entries), the grey value of each
    palette index for each card band, with `palette_valid` (entries,), false where an entry is transparent.
    """

    indexes: tuple[int, ...]
    alpha: int | None = None
    palette: np.ndarray | None = None
    palette_valid: np.ndarray | None = None
    notices: tuple[str, ...] = ()


def choose_bands(dataset: DatasetReader, name: str, roles: Sequence[str], bands: Sequence[int] | None) -> BandChoice:
    """Find a source band for each role.

    In this order: the user's `bands`; palette colours; the only band as grey; colour interpretation; names; central
    wavelengths; places in the file (red, green, blue, near infrared). Raises RasterError where a role stays open.
    """
    if bands is not None:
        _require_bands(dataset, name, roles, bands)
    alpha, notices = find_alpha(dataset)
    if bands is not None and alpha in bands:
        alpha = None
    data = [index for index in dataset.indexes if index != alpha] or [1]
    alpha = alpha if alpha not in data else None

    first = bands[0] if bands else data[0]
    if dataset.colorinterp[first - 1] == ColorInterp.palette and (len(data) == 1 or set(bands or ()) == {first}):
        if set(roles) <= set(PALETTE_ROLES):
            palette, palette_valid = _palette(dataset, first, roles)
            return BandChoice((first,) * len(roles), alpha, palette, palette_valid, tuple(notices))
        raise RasterError(f"The model needs the bands {', '.join(roles)}; the palette of '{name}' has only colours.")
    if bands is not None:
        return BandChoice(tuple(bands), alpha, notices=tuple(notices))
    if len(data) == 1:
        if "nir" in roles or "other" in roles:
            raise RasterError(f"The model needs the bands {', '.join(roles)}; '{name}' has one band.")
        if tuple(roles) != ("gray",):
            notices.append(f"'{name}' has one band; it is used as grey in place of {', '.join(roles)}.")
        return BandChoice((data[0],) * len(roles), alpha, notices=tuple(notices))
    indexes, guesses = _by_role(dataset, name, roles, data)
    return BandChoice(indexes, alpha, notices=(*notices, *guesses))


def _require_bands(dataset: DatasetReader, name: str, roles: Sequence[str], bands: Sequence[int]) -> None:
    if len(bands) != len(roles):
        raise RasterError(f"The model needs {len(roles)} bands ({', '.join(roles)}); {len(bands)} were chosen.")
    for index in bands:
        if not 1 <= index <= dataset.count:
            raise RasterError(f"Band {index} was chosen, but '{name}' has {dataset.count} (counted from 1).")


def _by_role(
    dataset: DatasetReader, name: str, roles: Sequence[str], data: list[int]
) -> tuple[tuple[int, ...], list[str]]:
    known = _known_roles(dataset, data)
    colours_known = any(role in known for role in ("red", "green", "blue"))
    chosen: list[int] = []
    guessed: list[str] = []
    for role in roles:
        place = POSITIONS.get(role)
        if role in known and role != "other":
            chosen.append(known[role])
        elif role == "gray":
            chosen.append(known.get("green", data[0]))
            guessed.append(f"band {chosen[-1]} as grey")
        elif (
            place is not None
            and place < len(data)
            and data[place] not in known.values()
            and (role == "nir" or not colours_known)
        ):
            chosen.append(data[place])
            guessed.append(f"band {chosen[-1]} as {role}")
        elif role == "other" and set(data) - set(chosen):
            chosen.append(min(set(data) - set(chosen)))
            guessed.append(f"band {chosen[-1]} as {role}")
        else:
            raise RasterError(
                f"The model needs the bands {', '.join(roles)}, but which of the {len(data)} bands of '{name}' is "
                f"{role} cannot be told. Choose the bands."
            )
    if not guessed:
        return tuple(chosen), []
    return tuple(chosen), [f"'{name}' does not say which band is which: {', '.join(guessed)}."]


def _known_roles(dataset: DatasetReader, data: list[int]) -> dict[str, int]:
    """Find what the file says about its bands: role to band, the first band of each role."""
    tellers = (
        lambda index: INTERPRETATIONS.get(dataset.colorinterp[index - 1]),
        lambda index: _role_of_name(dataset.descriptions[index - 1] or ""),
        lambda index: _role_of_wavelength(dataset, index),
    )
    known: dict[str, int] = {}
    for tell in tellers:
        for index in data:
            role = tell(index)
            if role is not None and role not in known and index not in known.values():
                known[role] = index
    return known


def _role_of_name(text: str) -> str | None:
    text = text.strip().casefold()
    for role, names in NAMES.items():
        if text in names:
            return role
    if NOT_THE_ROLE.search(text):
        return None
    for role in ("nir", "red", "green", "blue", "gray"):  # "near infrared" before "red"
        if re.search(rf"(?<![a-z])(?:{WORDS[role]})(?![a-z])", text):
            return role
    return None


def _role_of_wavelength(dataset: DatasetReader, index: int) -> str | None:
    """Read GDAL's IMAGERY domain (micrometres), or the `wavelength` tag of ENVI files (nanometres or micrometres)."""
    text = dataset.tags(index, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM") or dataset.tags(index).get("wavelength", "")
    number = re.match(r"\s*(\d+(?:\.\d+)?)", text)
    if number is None:
        return None
    length = float(number[1]) / (1000.0 if float(number[1]) > 100 else 1.0)
    return next((role for role, (low, high) in WAVELENGTHS_UM.items() if low <= length < high), None)


def find_alpha(dataset: DatasetReader) -> tuple[int | None, list[str]]:
    """Tell transparency from a near infrared band that is tagged alpha, as NAIP's comes; its band, and notices.

    Transparency is nearly all clear or nearly all opaque; so a band of which less than three quarters of the pixels
    that are not clear come within 10 % of its peak is imagery.
    """
    tagged = [index for index in dataset.indexes if dataset.colorinterp[index - 1] == ColorInterp.alpha]
    if not tagged or dataset.count == 1:
        return None, []
    index = tagged[-1]
    values = read_thinned(dataset, [index]).astype(np.float64).ravel()
    peak = values.max(initial=0.0)
    seen = values[values > 0.1 * peak]
    if peak <= 0 or np.mean(seen >= 0.9 * peak) >= 0.75:
        return index, []
    return None, [
        f"Band {index} is marked as transparency but holds an image, as near infrared does; it is not used as "
        "transparency."
    ]


def _palette(dataset: DatasetReader, index: int, roles: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    entries = dataset.colormap(index)
    colours = np.zeros((max(entries) + 1, 4), np.float64)
    for entry, colour in entries.items():
        colours[entry] = colour
    red, green, blue, opacity = colours.T
    grey = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601
    by_role = {"red": red, "green": green, "blue": blue, "gray": grey}
    return np.stack([np.rint(by_role[role]) for role in roles]).astype(np.uint8), opacity > 0
