"""Raises houses of one to three wings, with what lies on their roofs."""

from __future__ import annotations

import numpy as np

from . import palette
from .builder import EAVES_M, Builder, Frame
from .parcel import Parcel
from .plan import Wing
from .shapes import rectangle
from .style import Style


def raise_house(parcel: Parcel, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    """Set a house of one to three wings on its site, with chimneys, panels and the like on its roof."""
    house = parcel.house
    frame = parcel.frame.moved((house.left + house.right) / 2, (house.near + house.far) / 2)
    half_x, half_y = (house.right - house.left) / 2, (house.far - house.near) / 2
    body_y = half_y * rng.uniform(0.55, 0.8)
    side = rng.choice([-1.0, 1.0])
    wings = [Wing(0, half_y - body_y if rng.random() < 0.6 else 0, half_x, body_y, True)]
    wing_x = half_x * rng.uniform(0.3, 0.48)
    wings.append(Wing(side * (half_x - wing_x), 0, wing_x, half_y, False))
    if rng.random() < 0.3:
        far_x = half_x * rng.uniform(0.25, 0.4)
        wings.append(Wing(-side * (half_x - far_x), half_y * 0.2, far_x, half_y * 0.8, False))
    form = style.roof_form if style.roof_form != "mixed" else str(rng.choice(["hip", "gable"]))
    if rng.random() < 0.06:
        form = "flat"
    name = str(rng.choice(style.roofs, p=style.roof_weights))
    if form == "flat" and name in ("terracotta", "brown"):
        name = "white"
    paint = palette.ROOFS[name].pick(rng)
    eaves = EAVES_M if rng.random() < 0.75 else 2 * EAVES_M
    builder.roof(frame, tuple(wings), form, rng.uniform(0.28, 0.5), paint, eaves)
    _fittings(frame, wings, form, builder, rng)


def _fittings(frame: Frame, wings: list[Wing], form: str, builder: Builder, rng: np.random.Generator) -> None:
    """Put panels, skylights, vents and chimneys on a house's roof."""
    body = wings[0]
    if rng.random() < 0.13:
        rows, columns = rng.integers(1, 4), rng.integers(3, 8)
        long, deep = min(columns * 1.05, body.half_x * 1.5), min(rows * 1.7, body.half_y * 0.85)
        at = frame.moved(rng.uniform(-0.3, 0.3) * body.half_x, body.y + rng.choice([-0.5, 0.5]) * body.half_y)
        builder.fitting(at.place(rectangle(long, deep)), palette.SOLAR.pick(rng))
    for _ in range(rng.integers(1, 5) if form != "flat" else rng.integers(3, 9)):
        wing = wings[rng.integers(len(wings))]
        at = frame.moved(wing.x + rng.uniform(-0.8, 0.8) * wing.half_x, wing.y + rng.uniform(-0.8, 0.8) * wing.half_y)
        material = palette.SKYLIGHT if rng.random() < 0.25 else palette.VENT
        builder.fitting(at.place(rectangle(*rng.uniform(0.4, 1.3, 2))), material.pick(rng))
