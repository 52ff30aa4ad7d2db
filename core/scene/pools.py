"""Digs pools into yards, with their copings and decks."""

from __future__ import annotations

import math

import numpy as np
from shapely.geometry import Polygon

from . import palette
from .builder import Builder, Frame
from .palette import Material
from .parcel import Box, Circle
from .shapes import POOL_SHAPES, pool_outline, rectangle, turned

POOL_SHAPE_SHARES = (0.34, 0.28, 0.13, 0.07, 0.09, 0.09)


def dig_pool(
    frame: Frame,
    yard: Box,
    builder: Builder,
    rng: np.random.Generator,
    large: bool = False,
) -> Circle | None:
    """Dig a pool inside a yard of the frame; returns the circle around it, or None without room."""
    shape = str(rng.choice(POOL_SHAPES, p=POOL_SHAPE_SHARES))
    for shrink in (1.0, 0.9, 0.8, 0.7):
        length = float(np.clip(rng.lognormal(math.log(9.8), 0.2), 6, 15.5)) * shrink
        width = length * rng.uniform(0.42, 0.62)
        if large:
            shape, length = "rectangle", rng.uniform(12, 25)
            width = length * rng.uniform(0.4, 0.6)
        if shape == "round":
            width = rng.uniform(3.8, 6.5)
        free = rng.random() < 0.3
        angle = rng.uniform(0, math.pi) if free else rng.choice([0, math.pi / 2], p=(0.65, 0.35)) + rng.normal(0, 0.02)
        local = turned(pool_outline(shape, length, width, rng), angle)
        low, high = local.min(0), local.max(0)
        border = rng.uniform(0.5, 1.5)
        room = (
            yard.left - low[0] + border,
            yard.near - low[1] + border,
            yard.right - high[0] - border,
            yard.far - high[1] - border,
        )
        if room[2] <= room[0] or room[3] <= room[1]:
            continue
        x, y = rng.uniform(room[0], room[2]), rng.uniform(room[1], room[3])
        local = local + np.array([x, y])
        shore = Polygon(local)
        outline = frame.place(local)
        coping = frame.place(_ring(shore.buffer(rng.uniform(0.25, 0.6), quad_segs=3)))
        deep = rng.uniform(0.0, 0.45) * rng.choice([-1, 1])
        along = frame.angle + angle
        rim = palette.COPING.pick(rng, rng.choice([1.0, 0.82], p=(0.75, 0.25)))
        deck = palette.PAVERS if rng.random() < 0.18 else palette.DECK
        water = palette.pick_water(rng)
        if not builder.pool(outline, coping, water, rim, (deep * math.cos(along), deep * math.sin(along))):
            return None
        _deck(frame, yard, shore, deck, border, builder, rng)
        return Circle(float(x), float(y), float(np.hypot(*(high - low)) / 2))
    return None


def _ring(shape: Polygon) -> np.ndarray:
    return np.asarray(shape.exterior.coords)[:-1]


def _deck(
    frame: Frame,
    yard: Box,
    shore: Polygon,
    material: Material,
    border: float,
    builder: Builder,
    rng: np.random.Generator,
) -> None:
    """Lay the deck: a wide rectangle around the pool, a band that follows it, or next to nothing."""
    kind = rng.random()
    paint = material.pick(rng)
    if kind < 0.5:
        low_x, low_y, high_x, high_y = shore.bounds
        grow = rng.uniform(0.8, 3.0, 4)
        x0, y0 = max(low_x - grow[0], yard.left), max(low_y - grow[1], yard.near - 1)
        x1, y1 = min(high_x + grow[2], yard.right), min(high_y + grow[3], yard.far)
        outline = rectangle(x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2)
    elif kind < 0.9:
        outline = _ring(shore.buffer(border + rng.uniform(0, 1.0), quad_segs=3))
    else:
        return
    builder.ground(frame.place(outline), paint)
