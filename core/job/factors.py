"""Scales and ratios of anchors as people write them: `1, 0.8, 0.63`, `2^0, 2^1/3, 2^2/3`, `1:2, 1:1, 2:1`."""

from __future__ import annotations

import re

from .errors import InvalidJob

NUMBER = r"\d+(?:\.\d+)?|\.\d+"
FRACTION = re.compile(rf"({NUMBER})(?:\s*[/:]\s*({NUMBER}))?")
POWER = re.compile(rf"({NUMBER})\s*(?:\^|\*\*)\s*\(?\s*(-?)\s*(.+?)\s*\)?")


def parse_factors(text: str) -> tuple[float, ...]:
    """Read positive factors with commas or semicolons between them, in or without brackets; each once, rising.

    A factor is a number, a fraction (`1/2`, `1:2`) or a power (`2^1/3`, `2**(1/3)`). Raises InvalidJob with the part
    that is none.
    """
    parts = [part.strip() for part in re.split(r"[,;]", text.strip().strip("[](){}"))]
    values = sorted({_factor(part) for part in parts if part})
    if not values:
        raise InvalidJob("Give at least one scale or ratio, such as 0.5, 1, 2.")
    return tuple(values)


def _factor(part: str) -> float:
    power = POWER.fullmatch(part)
    exponent = _fraction(power[3], part) * (-1 if power[2] else 1) if power else 1.0
    base = float(power[1]) if power else _fraction(part, part)
    value = base**exponent if abs(exponent) <= 10 else 0.0
    if not 0 < value < 1e6:
        raise InvalidJob(f"'{part}' is no positive factor.")
    return value


def _fraction(text: str, part: str) -> float:
    found = FRACTION.fullmatch(text)
    if not found or (found[2] and float(found[2]) == 0):
        raise InvalidJob(f"'{part}' is no factor: write a number, a fraction such as 1/2, or a power such as 2^1/3.")
    return float(found[1]) / float(found[2] or 1)
