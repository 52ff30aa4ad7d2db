"""Colours of the suburb as an aerial camera at 0.6 m sees them in sunlight: red, green, blue, near infrared, 0-255.

Chosen by eye and by the statistics of public aerial imagery of Californian suburbs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .plan import Colour, Paint


@dataclass(frozen=True)
class Material:
    """A kind of surface: its mean colour, how much pieces differ, and its noises as in `Paint`.

    `spread` is the standard deviation of brightness between pieces; `hue` that of warmth: red rises as blue falls.
    Both are relative.
    """

    colour: Colour
    spread: float
    hue: float = 0.025
    mottle: float = 0.0
    clump: float = 0.0
    grain: float = 0.0

    def pick(self, rng: np.random.Generator, fade: float = 1.0) -> Paint:
        """Choose the paint of one piece; `fade` makes all of it darker or lighter."""
        light, warm, green, near = rng.standard_normal(4).tolist()
        gain = fade * max(0.4, 1 + self.spread * light)
        tints = (1 + self.hue * warm, 1 + 0.3 * self.hue * green, 1 - self.hue * warm, 1 + 2 * self.hue * near)
        red, green, blue, nir = (gain * tint * value for tint, value in zip(tints, self.colour, strict=True))
        return Paint((red, green, blue, nir), self.mottle, self.clump, self.grain)


ASPHALT = Material((126, 126, 121, 117), 0.10, 0.012, 0.03, 0.015, 0.02)
NEW_ASPHALT = Material((82, 84, 86, 78), 0.10, 0.015, 0.04, 0.02, 0.02)
CONCRETE = Material((164, 158, 147, 160), 0.10, 0.015, 0.03, 0.03, 0.03)
PAVERS = Material((146, 128, 112, 142), 0.10, 0.03, 0.03, 0.04, 0.05)
DECK = Material((172, 166, 152, 168), 0.09, 0.02, 0.02, 0.03, 0.03)
COPING = Material((184, 182, 172, 172), 0.10, 0.02)
PAINT_LINE = Material((190, 190, 182, 180), 0.05)
LAWN = Material((83, 98, 74, 174), 0.12, 0.03, 0.08, 0.09, 0.05)
DRY_LAWN = Material((139, 130, 103, 154), 0.10, 0.03, 0.08, 0.07, 0.05)
SOIL = Material((149, 137, 117, 148), 0.11, 0.03, 0.07, 0.07, 0.06)
GRAVEL = Material((160, 150, 134, 158), 0.09, 0.03, 0.06, 0.06, 0.06)
WEEDS = Material((116, 112, 88, 142), 0.10, 0.03, 0.08, 0.10, 0.06)
HEDGE = Material((54, 70, 55, 138), 0.14, 0.03, 0.06, 0.24, 0.12)
WOOD = Material((122, 108, 94, 118), 0.12, 0.04, 0.0, 0.03, 0.05)
MASONRY = Material((168, 158, 142, 160), 0.09, 0.03)
POND = Material((70, 78, 56, 34), 0.15, 0.06, 0.05, 0.04, 0.01)
SOLAR = Material((52, 60, 82, 62), 0.12, 0.05, 0.0, 0.0, 0.06)
SKYLIGHT = Material((196, 200, 204, 180), 0.10)
VENT = Material((150, 150, 148, 140), 0.22)
TARPAULIN = Material((66, 108, 180, 120), 0.12, 0.06, 0.02, 0.06, 0.05)
TEAL_ROOF = Material((92, 142, 136, 112), 0.12, 0.05, 0.02, 0.02, 0.03)
BLUE_ROOF = Material((98, 128, 168, 122), 0.12, 0.05, 0.02, 0.02, 0.03)
TRAMPOLINE = Material((48, 50, 54, 52), 0.10)
TRAMPOLINE_RIM = Material((72, 110, 165, 110), 0.15, 0.08)

COURTS = (
    Material((88, 118, 96, 98), 0.10, 0.03, 0.02, 0.01, 0.01),
    Material((84, 112, 146, 96), 0.10, 0.03, 0.02, 0.01, 0.01),
    Material((150, 98, 82, 120), 0.10, 0.03, 0.02, 0.01, 0.01),
    Material((74, 134, 140, 92), 0.08, 0.03, 0.02, 0.01, 0.01),
)

ROOFS = {
    "brown": Material((117, 105, 95, 116), 0.12, 0.025, 0.02, 0.035, 0.05),
    "grey": Material((127, 126, 123, 117), 0.12, 0.015, 0.02, 0.03, 0.05),
    "dark": Material((80, 79, 80, 76), 0.12, 0.02, 0.02, 0.03, 0.05),
    "tan": Material((157, 141, 121, 154), 0.10, 0.025, 0.02, 0.03, 0.04),
    "terracotta": Material((166, 113, 84, 152), 0.11, 0.03, 0.02, 0.04, 0.06),
    "white": Material((194, 190, 182, 176), 0.06, 0.012, 0.03, 0.02, 0.02),
    "slate": Material((104, 116, 126, 104), 0.10, 0.02, 0.02, 0.03, 0.05),
    "blue": BLUE_ROOF,
    "teal": TEAL_ROOF,
}

CROWNS = (
    Material((57, 75, 60, 158), 0.15, 0.025, 0.06, 0.27, 0.13),
    Material((68, 86, 63, 167), 0.13, 0.025, 0.06, 0.26, 0.13),
    Material((48, 67, 58, 142), 0.14, 0.025, 0.06, 0.24, 0.12),
    Material((75, 84, 67, 153), 0.13, 0.03, 0.06, 0.27, 0.14),
)
BLOSSOM = Material((106, 88, 108, 150), 0.12, 0.06, 0.05, 0.18, 0.11)

CARS = (
    (Material((192, 192, 190, 180), 0.05), 0.30),
    (Material((52, 54, 57, 52), 0.20), 0.22),
    (Material((128, 130, 132, 122), 0.12), 0.24),
    (Material((140, 52, 46, 110), 0.15), 0.09),
    (Material((62, 92, 148, 88), 0.18, 0.06), 0.11),
    (Material((140, 128, 104, 130), 0.12), 0.04),
)
WINDSCREEN = Material((58, 62, 66, 54), 0.12)
LORRY_BOXES = (Material((198, 197, 193, 182), 0.04), BLUE_ROOF, Material((84, 150, 160, 110), 0.10, 0.05))


def pick_water(rng: np.random.Generator) -> Paint:
    """Choose a pool's water: light blue to teal, some greenish or dark.

    Quantiles over 600 pools of public imagery, 5 to 95 %: red 49-151, green 91-198, blue 91-203, near infrared 13-98.
    """
    kind = rng.random()
    bright = float(np.clip(rng.normal(0.95, 0.17), 0.5, 1.22))
    if kind < 0.6:  # blue: white or light plaster
        colour = np.array([102, 161, 172, 46]) * (1 + 0.05 * rng.standard_normal(4))
    elif kind < 0.88:  # teal
        colour = np.array([96, 158, 155, 44]) * (1 + 0.06 * rng.standard_normal(4))
    elif kind < 0.93:  # greenish
        colour = np.array([92, 142, 128, 42]) * (1 + 0.06 * rng.standard_normal(4))
    else:  # dark plaster
        colour = np.array([62, 100, 108, 26]) * (1 + 0.07 * rng.standard_normal(4))
    pale = rng.uniform(0, 0.16)  # red seen through shallow water over white plaster
    red, green, blue, nir = colour * bright + pale * np.array([150, 60, 50, 60])
    return Paint((float(red), float(green), float(blue), float(max(nir, 10) * rng.uniform(0.6, 1.4))), 0.0, 0.03, 0.03)
