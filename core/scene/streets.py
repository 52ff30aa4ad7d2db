"""Lays streets: arterial roads between districts, and the streets inside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from . import palette
from .builder import Builder, Frame
from .plan import Paint
from .shapes import rectangle

ARTERIAL_M = 14.0  # carriageway of an arterial road
STREET_M = 10.5  # carriageway of a street
VERGE_M = 3.6  # from a carriageway to the parcels: kerb, strip of grass, pavement
CORNER_M = 6.0  # radius of the kerb at a corner

Place = Callable[[np.ndarray], np.ndarray]  # from a street's own (along, across) in metres to the plan


class StreetPaints:
    """The paints that the streets of one district share: asphalt, pavement, verge."""

    def __init__(self, verge: Paint, rng: np.random.Generator) -> None:
        self.verge = verge
        self.asphalt = (palette.ASPHALT if rng.random() < 0.72 else palette.NEW_ASPHALT).pick(rng)
        self.pavement = palette.CONCRETE.pick(rng)

    def bands(self) -> tuple[tuple[float, Paint], ...]:
        """Half widths and paints of a street's bands, widest first: pavement, verge, kerb, carriageway."""
        half = STREET_M / 2
        return (
            (half + VERGE_M, self.pavement),
            (half + VERGE_M - 1.4, self.verge),
            (half + 0.35, self.pavement),
            (half, self.asphalt),
        )


def lay_streets(streets: Sequence[tuple[Place, float, float]], paints: StreetPaints, builder: Builder) -> None:
    """Lay streets, each from a start to an end along its `place`, in pieces short enough to follow a bend.

    All pavements come before all verges and those before all carriageways, so that crossings stay clear.
    """
    for half, paint in paints.bands():
        for place, start, end in streets:
            stops = np.linspace(start, end, max(2, math.ceil((end - start) / 12) + 1))
            for a, b in pairwise(stops):
                builder.ground(place(np.array([[a, -half], [b, -half], [b, half], [a, half]])), paint)


def open_mouth(place: Place, start: float, direction: int, paints: StreetPaints, builder: Builder) -> None:
    """Round the kerbs where a street begins at `start` and runs on in `direction` (1 or -1)."""
    for half, paint in paints.bands()[2:]:
        turn = np.linspace(0, math.pi / 2, 6)
        along = start + direction * CORNER_M * (1 - np.cos(turn))
        across = half + CORNER_M * (1 - np.sin(turn))
        side = np.stack([along, across], axis=1)
        builder.ground(place(np.concatenate([side, side[::-1] * (1, -1)])), paint)


def lay_arterials(roads: Sequence[Frame], length: float, builder: Builder, rng: np.random.Generator) -> None:
    """Lay straight main roads, `length` long, along the x axes of frames; crossings stay clear of pavements."""
    verge = (palette.SOIL, palette.LAWN, palette.DRY_LAWN, palette.CONCRETE)[rng.integers(4)].pick(rng)
    asphalt = (palette.ASPHALT if rng.random() < 0.6 else palette.NEW_ASPHALT).pick(rng)
    pavement, line = palette.CONCRETE.pick(rng), palette.PAINT_LINE.pick(rng, 0.9)
    stops = np.linspace(-length / 2, length / 2, math.ceil(length / 24) + 1)
    bands = (ARTERIAL_M + 9.2, verge), (ARTERIAL_M + 5.5, pavement), (ARTERIAL_M + 2.6, verge), (ARTERIAL_M, asphalt)
    for wide, paint in bands:
        for road in roads:
            for a, b in pairwise(stops):
                builder.ground(road.place(rectangle(b - a, wide, (a + b) / 2)), paint)
    for road in roads:
        for a, b in pairwise(stops):
            builder.ground(road.place(rectangle(b - a, 0.35, (a + b) / 2)), line)
            for x in (a + 4, a + 16):
                for y in (-ARTERIAL_M / 4, ARTERIAL_M / 4):
                    builder.ground(road.place(rectangle(3.0, 0.2, x, y)), line)
        _drive_traffic(road, length, builder, rng)


def _drive_traffic(road: Frame, length: float, builder: Builder, rng: np.random.Generator) -> None:
    """Put cars and some lorries on the four lanes of an arterial road."""
    for lane in (-0.375, -0.125, 0.125, 0.375):
        for x in np.arange(-length / 2, length / 2, 60.0) + rng.uniform(0, 60):
            if rng.random() < 0.4:
                spot = road.moved(x + rng.uniform(-20, 20), lane * ARTERIAL_M, 0.0 if lane > 0 else math.pi)
                (builder.lorry if rng.random() < 0.06 else builder.car)(spot, rng)
