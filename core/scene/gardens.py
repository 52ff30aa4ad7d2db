"""Lays out gardens: beds, fences, the things that stand about, and trees."""

from __future__ import annotations

import math

import numpy as np

from . import palette
from .builder import Builder, Frame
from .parcel import Circle, Parcel
from .plan import Wing
from .shapes import blob, rectangle
from .style import Style

SHED_ROOFS = {"brown": 0.26, "grey": 0.23, "white": 0.23, "tan": 0.16, "slate": 0.1, "blue": 0.01, "teal": 0.01}


def lay_beds(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    """Lay beds of earth, gravel and plants, and slabs."""
    for _ in range(rng.integers(2, 6)):
        x = rng.uniform(-0.45, 0.45) * parcel.width
        y = rng.uniform(0.05, 0.95) * parcel.depth
        materials = (palette.SOIL, palette.WEEDS, palette.LAWN, palette.GRAVEL, palette.CONCRETE)
        material = materials[rng.choice(5, p=(0.3, 0.2, 0.2, 0.15, 0.15))]
        if material is palette.CONCRETE:
            outline = rectangle(*rng.uniform(1.5, 5, 2))
        else:
            outline = blob(rng.uniform(1, 3.2), 0.18, rng, 12)
        builder.ground(parcel.frame.moved(x, y).place(outline), material.pick(rng))


def put_fences(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    """Put fences, walls or hedges on the right side and at the back; the neighbour has the left."""
    half, front, depth = parcel.width / 2, parcel.house.near + 2, parcel.depth
    for x, y, long, wide in ((half, (front + depth) / 2, 0, depth - front), (0, depth, parcel.width, 0)):
        kind = rng.random()
        thick = 0.25 if kind < 0.76 else rng.uniform(0.8, 1.6)
        material = palette.WOOD if kind < 0.45 else palette.MASONRY if kind < 0.76 else palette.HEDGE
        if kind < 0.92:
            outline = parcel.frame.place(rectangle(max(long, thick), max(wide, thick), x, y))
            builder.thing(outline, material.pick(rng), 1.8 if kind < 0.76 else rng.uniform(1.2, 3))


def stand_things(parcel: Parcel, pool: Circle | None, builder: Builder, rng: np.random.Generator) -> None:
    """Stand sheds, tarpaulins, trampolines and small things in the back yard, away from the pool."""
    yard = parcel.yard

    def spot(reach: float) -> Frame | None:
        x = rng.uniform(yard.left + reach, max(yard.right - reach, yard.left + reach + 0.1))
        y = rng.uniform(yard.near + reach, max(yard.far - reach, yard.near + reach + 0.1))
        if pool is not None and math.hypot(x - pool.x, y - pool.y) < pool.radius + 1.5 * reach:
            return None
        return parcel.frame.moved(x, y, rng.choice([0, math.pi / 2]) + rng.normal(0, 0.05))

    if rng.random() < 0.5 and (at := spot(2.4)):
        roof = palette.ROOFS[rng.choice(list(SHED_ROOFS), p=list(SHED_ROOFS.values()))]
        half_x, half_y = rng.uniform(1.3, 3.6, 2)
        wings = (Wing(0, 0, half_x, half_y, half_x > half_y),)
        builder.roof(at, wings, "gable" if rng.random() < 0.7 else "flat", 0.3, roof.pick(rng), 2.2)
    if rng.random() < 0.025 and (at := spot(2.0)):
        outline = at.place(rectangle(*rng.uniform(2.0, 6.5, 2)))
        builder.thing(outline, palette.TARPAULIN.pick(rng), rng.uniform(0.2, 2.0))
    if rng.random() < 0.07 and (at := spot(2.2)):
        builder.trampoline(at, rng)
    for _ in range(rng.integers(0, 6)):
        if at := spot(0.8):
            small = palette.CARS[rng.integers(len(palette.CARS))][0]
            builder.thing(at.place(rectangle(*rng.uniform(0.7, 2.4, 2))), small.pick(rng), rng.uniform(0.4, 2.0))


def plant_trees(parcel: Parcel, pool: Circle | None, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    """Plant street trees, garden trees mostly along the edges, and shrubs; crowns rarely reach over water."""
    half, house, drive = parcel.width / 2, parcel.house, parcel.drive

    def plant(x: float, y: float, radius: float, height: float) -> None:
        if pool is not None:
            gap = math.hypot(x - pool.x, y - pool.y) - pool.radius - radius
            if gap < (-0.9 if rng.random() < 0.15 else 0.0):
                return
        at = parcel.frame.moved(x, y)
        builder.tree(at.x, at.y, radius, height, style.tree(rng).pick(rng), rng)

    if rng.random() < style.street_trees:
        x = rng.uniform(-0.35, 0.35) * parcel.width
        if abs(x - drive.x) > drive.width / 2 + 0.5:
            radius = rng.uniform(2.2, 5.0)
            plant(x, rng.uniform(-2.5, 1.0), radius, 2.3 * radius)
    for _ in range(rng.poisson(style.trees)):
        edge = rng.random()
        if edge < 0.35:
            x, y = rng.uniform(-half, half), parcel.depth - rng.uniform(0, 3)
        elif edge < 0.7:
            x, y = rng.choice([-1, 1]) * (half - rng.uniform(0, 1.5)), rng.uniform(1, parcel.depth)
        else:
            x, y = rng.uniform(-half, half), rng.uniform(house.far + 1, parcel.depth)
        radius = float(np.clip(rng.lognormal(math.log(2.3), 0.45), 0.9, 7))
        over_house = house.left - 0.3 * radius < x < house.right + 0.3 * radius and house.near < y < house.far
        if not over_house:
            plant(x, y, radius, 2.0 * radius + 1.5)
    for _ in range(rng.integers(2, 9)):
        if rng.random() < 0.5:
            x, y = rng.uniform(-half, half), house.near - rng.uniform(0, 1.5)
        else:
            x, y = rng.choice([-1, 1]) * (half - rng.uniform(0.3, 1.2)), rng.uniform(house.near, parcel.depth)
        radius = rng.uniform(0.5, 1.2)
        plant(x, y, radius, 1.5 * radius)
    if rng.random() < style.palms:
        y = rng.choice([-2.0, 2.0, parcel.depth - 2])
        plant(rng.uniform(-half, half), y, rng.uniform(1.2, 2.0), rng.uniform(7, 13))
