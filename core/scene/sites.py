"""Plans what is no row of homes: shops with car parks, flats around pools, parks with ponds and courts, vacant land."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from . import palette
from .builder import Builder, Frame
from .parcel import Box
from .plan import Wing
from .pools import dig_pool
from .shapes import blob, rectangle


def plan_shops(
    frame: Frame, length: float, depth: float, density: float, builder: Builder, rng: np.random.Generator
) -> None:
    """A car park with rows of cars and large flat roofs, some of them blue or teal."""
    _cover(frame, length, depth, palette.ASPHALT if rng.random() < 0.6 else palette.NEW_ASPHALT, builder, rng)
    roofs = ("white", "grey", "tan", "slate", "blue", "teal")
    for x in np.arange(-length / 2 + 25, length / 2 - 20, 48):
        half_x, half_y = rng.uniform(15, 22), rng.uniform(12, 22)
        at = frame.moved(x, -depth / 2 + half_y + 6)
        name = str(rng.choice(roofs, p=(0.42, 0.22, 0.14, 0.08, 0.08, 0.06)))
        builder.roof(at, (Wing(0, 0, half_x, half_y, True),), "flat", 0.0, palette.ROOFS[name].pick(rng), 6.0)
        for _ in range(rng.integers(6, 16)):
            spot = at.moved(rng.uniform(-0.85, 0.85) * half_x, rng.uniform(-0.85, 0.85) * half_y)
            builder.fitting(spot.place(rectangle(*rng.uniform(0.8, 3.2, 2))), palette.VENT.pick(rng))
        if rng.random() < 0.35:
            _solar_field(at, half_x, half_y, builder, rng)
    line = palette.PAINT_LINE.pick(rng, 0.9)
    for y in np.arange(-depth / 2 + 60, depth / 2 - 6, 17.0):
        busy = rng.uniform(0.05, 0.75)
        for x in np.arange(-length / 2 + 6, length / 2 - 6, 2.8):
            for side in (-2.7, 2.7):
                at = frame.moved(x, y + side, math.pi / 2)
                if not builder.near(at.place(rectangle(6, 6)), 3):
                    continue
                builder.ground(at.moved(0, 1.4).place(rectangle(5, 0.2)), line)
                if rng.random() < busy:
                    builder.car(at, rng)
        for x in np.arange(-length / 2 + 10, length / 2, 22.0):
            if rng.random() < 0.5:
                at = frame.moved(x, y)
                builder.tree(at.x, at.y, rng.uniform(1.5, 3), 5, palette.CROWNS[1].pick(rng), rng)
    for _ in range(rng.integers(1, 7)):
        at = frame.moved(rng.uniform(-0.45, 0.45) * length, rng.uniform(0, 0.45) * depth, rng.choice([0, math.pi / 2]))
        builder.lorry(at, rng)


def plan_flats(
    frame: Frame, length: float, depth: float, density: float, builder: Builder, rng: np.random.Generator
) -> None:
    """Long blocks of flats around courts, some courts with a pool."""
    _cover(frame, length, depth, palette.LAWN if rng.random() < 0.6 else palette.GRAVEL, builder, rng)
    paint = palette.ROOFS[str(rng.choice(["tan", "grey", "white", "terracotta", "dark"]))].pick(rng)
    asphalt = palette.ASPHALT.pick(rng)
    form = str(rng.choice(["hip", "gable", "flat"]))
    for y in np.arange(-depth / 2 + 24, depth / 2 - 20, 52.0):
        builder.ground(frame.place(rectangle(length, 8, 0, y - 22)), asphalt)
        for x in np.arange(-length / 2 + 24, length / 2 - 20, 50.0):
            at = frame.moved(x, y)
            if not builder.near(at.place(rectangle(50, 50)), 10):
                continue
            wings = (Wing(0, -13, 20, 5.5, True), Wing(0, 15, 20, 5.5, True), Wing(-17, 0, 5, 18, False))
            builder.roof(at, wings, form, 0.35, paint, 6.0)
            if rng.random() < min(0.9, 0.4 * density):
                builder.ground(at.place(rectangle(26, 14, 3, 1)), palette.DECK.pick(rng))
                dig_pool(at, Box(-8, -6, 18, 8), builder, rng, large=rng.random() < 0.5)
            for _ in range(rng.integers(3, 9)):
                spot = at.moved(rng.uniform(-24, 24), rng.choice([-22.0, 24.0]))
                builder.tree(spot.x, spot.y, rng.uniform(1.5, 4), 7, palette.CROWNS[rng.integers(3)].pick(rng), rng)
            for dx in np.arange(-20, 20, 2.8):
                if rng.random() < 0.4:
                    builder.car(at.moved(dx, -20.5, math.pi / 2), rng)


def plan_park(
    frame: Frame, length: float, depth: float, density: float, builder: Builder, rng: np.random.Generator
) -> None:
    """Lawns, groves, courts, and a pond of brown or green water, which is no pool."""
    _cover(frame, length, depth, palette.LAWN if rng.random() < 0.6 else palette.DRY_LAWN, builder, rng)
    for _ in range(rng.integers(0, 3)):
        at = frame.moved(rng.uniform(-0.35, 0.35) * length, rng.uniform(-0.35, 0.35) * depth)
        shore = blob(rng.uniform(8, 28), 0.18, rng, 30)
        builder.ground(at.place(shore * 1.12), palette.SOIL.pick(rng))
        builder.ground(at.place(shore), palette.POND.pick(rng))
    for _ in range(rng.integers(1, 4)):
        at = frame.moved(rng.uniform(-0.38, 0.38) * length, rng.uniform(-0.38, 0.38) * depth)
        wide, count = rng.choice([10.97, 15.0]), rng.integers(1, 4)
        for k in range(count):
            builder.court(at.moved(0, k * wide * 1.6), 23.8 if wide < 12 else 26.0, wide, rng)
    path = palette.CONCRETE.pick(rng)
    for _ in range(rng.integers(1, 4)):
        at = frame.moved(rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.4, 0.4) * depth, rng.uniform(0, math.pi))
        builder.ground(at.place(rectangle(min(length, depth) * 0.8, 2.2)), path)
    for _ in range(int(length * depth / rng.uniform(700, 3000))):
        grove = frame.moved(rng.uniform(-0.48, 0.48) * length, rng.uniform(-0.48, 0.48) * depth)
        kind = palette.CROWNS[rng.integers(4)]
        for _ in range(rng.integers(1, 7)):
            at = grove.moved(*rng.normal(0, 6, 2))
            radius = rng.uniform(1.8, 5.5)
            builder.tree(at.x, at.y, radius, 1.9 * radius, kind.pick(rng), rng)


def plan_vacant(
    frame: Frame, length: float, depth: float, density: float, builder: Builder, rng: np.random.Generator
) -> None:
    """Bare ground and weeds, with a few trees and lorries."""
    _cover(frame, length, depth, palette.SOIL if rng.random() < 0.5 else palette.WEEDS, builder, rng)
    track = palette.SOIL.pick(rng, 1.08)
    for _ in range(rng.integers(1, 5)):
        at = frame.moved(rng.uniform(-0.3, 0.3) * length, rng.uniform(-0.3, 0.3) * depth, rng.uniform(0, math.pi))
        for y in (-0.9, 0.9):
            builder.ground(at.place(rectangle(0.7 * min(length, depth), 0.7, 0, y)), track)
    for _ in range(int(length * depth / 400)):
        at = frame.moved(rng.uniform(-0.5, 0.5) * length, rng.uniform(-0.5, 0.5) * depth)
        if rng.random() < 0.5:
            cover = (palette.SOIL, palette.WEEDS, palette.DRY_LAWN)[rng.integers(3)]
            builder.ground(at.place(blob(rng.uniform(0.6, 2.5), 0.2, rng)), cover.pick(rng, 0.95))
        else:
            radius = min(rng.lognormal(0.2, 0.5), 4.0)
            builder.tree(at.x, at.y, radius, 1.5 * radius, palette.CROWNS[rng.integers(4)].pick(rng), rng)
    for _ in range(rng.integers(0, 4)):
        builder.lorry(frame.moved(rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.4, 0.4) * depth), rng)


def _cover(
    frame: Frame, length: float, depth: float, material: palette.Material, builder: Builder, rng: np.random.Generator
) -> None:
    """Lay one paint over a site, in squares of about 40 m so that a tile draws only those it shows."""
    paint = material.pick(rng)
    xs = np.linspace(-length / 2, length / 2, math.ceil(length / 40) + 1)
    ys = np.linspace(-depth / 2, depth / 2, math.ceil(depth / 40) + 1)
    for x0, x1 in pairwise(xs):
        for y0, y1 in pairwise(ys):
            builder.ground(frame.place(rectangle(x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2)), paint)


def _solar_field(at: Frame, half_x: float, half_y: float, builder: Builder, rng: np.random.Generator) -> None:
    for y in np.arange(-0.7 * half_y, 0.7 * half_y, 3.2):
        builder.fitting(at.place(rectangle(half_x * 1.4, 2.0, 0, y)), palette.SOLAR.pick(rng))
