"""What a planned suburb is made of: values in metres, x to the right and y down from the image's top left corner."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

Colour = tuple[float, float, float, float]  # red, green, blue, near infrared, 0-255


@dataclass(frozen=True)
class Paint:
    """A surface: its colour, and how much three noises change it, as a standard deviation relative to the colour.

    `mottle` varies over 6 m, `clump` over 1 m, `grain` over 0.3 m.
    """

    colour: Colour
    mottle: float = 0.0
    clump: float = 0.0
    grain: float = 0.0


@dataclass(frozen=True)
class Sun:
    """The one direction of light: a unit vector to the sun, z up."""

    x: float
    y: float
    z: float

    @classmethod
    def at(cls, azimuth: float, elevation: float) -> Sun:
        """Sun at an azimuth (radians, clockwise from image up) and an elevation (radians)."""
        level = math.cos(elevation)
        return cls(math.sin(azimuth) * level, -math.cos(azimuth) * level, math.sin(elevation))

    def shadow(self, height: float) -> np.ndarray:
        """Offset on the ground (2,) of the shadow of a point at `height`."""
        return np.array([-self.x, -self.y]) * (height / self.z)


@dataclass(frozen=True)
class Patch:
    """A flat polygon (N, 2) of one paint."""

    outline: np.ndarray
    paint: Paint


@dataclass(frozen=True)
class Pool:
    """A pool: water with its deeper end along `deep` (a vector of length 1 or less), and its coping around it."""

    outline: np.ndarray
    coping: np.ndarray
    water: Paint
    rim: Paint
    deep: tuple[float, float]


@dataclass(frozen=True)
class Wing:
    """A rectangle of a roof in the house's frame: centre, half sizes; its ridge runs along x, or along y."""

    x: float
    y: float
    half_x: float
    half_y: float
    ridge_along_x: bool


@dataclass(frozen=True)
class Roof:
    """A roof of wings over one another, "hip", "gable" or "flat", in a frame turned by `angle` about `origin`."""

    origin: tuple[float, float]
    angle: float
    wings: tuple[Wing, ...]
    style: str
    pitch: float
    paint: Paint

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Bounds that hold the roof however it is turned: xmin, ymin, xmax, ymax."""
        reach = max(math.hypot(abs(w.x) + w.half_x, abs(w.y) + w.half_y) for w in self.wings)
        x, y = self.origin
        return x - reach, y - reach, x + reach, y + reach


@dataclass(frozen=True)
class Tree:
    """A crown seen from above: centre, mean radius, outline (N, 2)."""

    x: float
    y: float
    radius: float
    outline: np.ndarray
    paint: Paint


@dataclass
class Plan:
    """A whole suburb, in the order of painting; the planner appends to it.

    `ground`, then `pools`, darkened by `shadows`; then `things` (cars, hedges, tarpaulins), `roofs` and their
    `fittings` (panels, chimneys), the two darkened by `roof_shadows`; last `trees`.
    """

    sun: Sun
    base: Paint
    ground: list[Patch] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    shadows: list[np.ndarray] = field(default_factory=list)
    things: list[Patch] = field(default_factory=list)
    roofs: list[Roof] = field(default_factory=list)
    fittings: list[Patch] = field(default_factory=list)
    roof_shadows: list[np.ndarray] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
