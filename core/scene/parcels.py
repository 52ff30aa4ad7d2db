"""Furnishes a parcel: house, drive, gardens, pool, trees and the things that stand about."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from shapely.geometry import Polygon

from . import palette
from .builder import EAVES_M, Builder, Frame
from .palette import Material
from .plan import Wing
from .shapes import POOL_SHAPES, blob, pool_outline, rectangle, turned

POOL_SHAPE_SHARES = (0.34, 0.28, 0.13, 0.07, 0.09, 0.09)


@dataclass(frozen=True)
class Style:
    """What the parcels of one district have in common; rates are chances or means a parcel."""

    roofs: tuple[str, ...]
    roof_weights: tuple[float, ...]
    roof_form: str
    green: float
    trees: float
    street_trees: float
    palms: float
    pools: float
    crown: int

    @classmethod
    def pick(cls, rng: np.random.Generator, density: float) -> Style:
        """Choose a district's style."""
        names = tuple(palette.ROOFS)
        weights = np.array([3.0, 2.5, 2.0, 1.6, 1.2, 0.5, 0.7, 0.06, 0.06]) * rng.gamma(1.1, 1.0, len(names))
        return cls(
            roofs=names,
            roof_weights=tuple(float(w) for w in weights / weights.sum()),
            roof_form=str(rng.choice(["hip", "gable", "mixed", "flat"], p=(0.35, 0.25, 0.33, 0.07))),
            green=float(rng.uniform(0.2, 0.85)),
            trees=float(rng.gamma(3.0, 1.0)),
            street_trees=float(rng.choice([0.15, 0.5, 0.95])),
            palms=float(rng.choice([0.0, 0.1, 0.5], p=(0.5, 0.35, 0.15))),
            pools=min(0.75, density * float(rng.gamma(2.0, 0.11))),
            crown=int(rng.integers(len(palette.CROWNS))),
        )

    def tree_material(self, rng: np.random.Generator) -> Material:
        """Choose a tree's material: mostly the district's own kind."""
        if rng.random() < 0.02:
            return palette.BLOSSOM
        return palette.CROWNS[self.crown if rng.random() < 0.5 else rng.integers(len(palette.CROWNS))]

    def garden(self, rng: np.random.Generator) -> Material:
        """Choose what a garden is covered with."""
        if rng.random() < self.green:
            return palette.LAWN
        covers = (palette.DRY_LAWN, palette.SOIL, palette.GRAVEL, palette.WEEDS)
        return covers[rng.choice(4, p=(0.45, 0.25, 0.15, 0.15))]


@dataclass(frozen=True)
class Parcel:
    """A parcel: its frame's origin is the middle of the street side, x along the street, y into the parcel."""

    frame: Frame
    outline: np.ndarray
    width: float
    depth: float
    kerb: float  # from the street side back to the carriageway


@dataclass(frozen=True)
class House:
    """Where the house of a parcel stands, in the parcel's frame."""

    left: float
    right: float
    front: float
    back: float


def furnish(parcel: Parcel, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    """Fill a parcel."""
    frame = parcel.frame
    house = _house_site(parcel, rng)
    builder.ground(parcel.outline, style.garden(rng).pick(rng))
    back = rectangle(parcel.width, parcel.depth - house.front, 0, (parcel.depth + house.front) / 2)
    builder.ground(frame.place(back), style.garden(rng).pick(rng))
    drive = _drive(parcel, house, builder, rng)
    _beds(parcel, builder, rng)
    yard = (-parcel.width / 2 + 0.8, house.back + 0.8, parcel.width / 2 - 0.8, parcel.depth - 0.8)
    pool = None
    if rng.random() < style.pools:
        pool = dig_pool(frame, yard, builder, rng)
    if rng.random() < 0.75:
        terrace = palette.PAVERS if rng.random() < 0.3 else palette.CONCRETE
        deep = rng.uniform(2, 4.5)
        wide = (house.right - house.left) * rng.uniform(0.3, 0.9)
        if pool is None:
            builder.ground(frame.place(rectangle(wide, deep, 0, house.back + deep / 2 - 0.5)), terrace.pick(rng))
    _fences(parcel, house, builder, rng)
    raise_house(parcel, house, style, builder, rng)
    _yard_things(parcel, yard, pool, builder, rng)
    _cars(parcel, drive, house, builder, rng)
    _trees(parcel, house, pool, drive, style, builder, rng)


def dig_pool(
    frame: Frame,
    yard: tuple[float, float, float, float],
    builder: Builder,
    rng: np.random.Generator,
    large: bool = False,
) -> tuple[float, float, float] | None:
    """Dig a pool inside a yard of the frame; returns its centre and reach (x, y, r) there, or None without room."""
    shape = str(rng.choice(POOL_SHAPES, p=POOL_SHAPE_SHARES))
    for shrink in (1.0, 0.9, 0.8, 0.7):
        length = float(np.clip(rng.lognormal(math.log(9.0), 0.2), 6, 15)) * shrink
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
            yard[0] - low[0] + border,
            yard[1] - low[1] + border,
            yard[2] - high[0] - border,
            yard[3] - high[1] - border,
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
        return float(x), float(y), float(np.hypot(*(high - low)) / 2)
    return None


def raise_house(parcel: Parcel, house: House, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    """Set a house of one to three wings on its site, with chimneys, panels and the like on its roof."""
    x, y = (house.left + house.right) / 2, (house.front + house.back) / 2
    frame = parcel.frame.moved(x, y)
    half_x, half_y = (house.right - house.left) / 2, (house.back - house.front) / 2
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


def _house_site(parcel: Parcel, rng: np.random.Generator) -> House:
    left, right = rng.uniform(0.9, 2.6, 2)
    front = rng.uniform(5.0, 8.5)
    deep = min(rng.uniform(11, 18), parcel.depth - front - rng.uniform(6, 13))
    return House(-parcel.width / 2 + left, parcel.width / 2 - right, front, front + max(deep, 8.0))


def _ring(shape: Polygon) -> np.ndarray:
    return np.asarray(shape.exterior.coords)[:-1]


def _deck(
    frame: Frame,
    yard: tuple[float, float, float, float],
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
        x0, y0 = max(low_x - grow[0], yard[0]), max(low_y - grow[1], yard[1] - 1)
        x1, y1 = min(high_x + grow[2], yard[2]), min(high_y + grow[3], yard[3])
        outline = rectangle(x1 - x0, y1 - y0, (x0 + x1) / 2, (y0 + y1) / 2)
    elif kind < 0.9:
        outline = _ring(shore.buffer(border + rng.uniform(0, 1.0), quad_segs=3))
    else:
        return
    builder.ground(frame.place(outline), paint)


def _drive(parcel: Parcel, house: House, builder: Builder, rng: np.random.Generator) -> tuple[float, float]:
    """Lay the drive and the path to the door; returns the drive's middle and width along the street."""
    wide = rng.choice([3.2, 5.5, 6.2], p=(0.35, 0.35, 0.3))
    side = rng.choice([-1.0, 1.0])
    x = side * (parcel.width / 2 - wide / 2 - rng.uniform(1.0, 2.5))
    long = house.front + parcel.kerb + 3
    material = palette.CONCRETE if rng.random() < 0.85 else palette.PAVERS if rng.random() < 0.5 else palette.ASPHALT
    paint = material.pick(rng)
    builder.ground(parcel.frame.place(rectangle(wide, long, x, house.front + 3 - long / 2)), paint)
    path = rectangle(1.2, house.front, -side * parcel.width * rng.uniform(0.05, 0.2), house.front / 2)
    builder.ground(parcel.frame.place(path), paint)
    return float(x), float(wide)


def _beds(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(2, 6)):
        x = rng.uniform(-0.45, 0.45) * parcel.width
        y = rng.uniform(0.05, 0.95) * parcel.depth
        materials = (palette.SOIL, palette.WEEDS, palette.LAWN, palette.GRAVEL, palette.CONCRETE)
        material = materials[rng.choice(5, p=(0.3, 0.2, 0.2, 0.15, 0.15))]
        if material is palette.CONCRETE:
            outline = rectangle(*rng.uniform(1.5, 5, 2))
        else:
            outline = blob(rng.uniform(1, 3.2), 0.25, rng, 12)
        builder.ground(parcel.frame.moved(x, y).place(outline), material.pick(rng))


def _fences(parcel: Parcel, house: House, builder: Builder, rng: np.random.Generator) -> None:
    """Put fences, walls or hedges on the right side and at the back; the neighbour has the left."""
    half, front, depth = parcel.width / 2, house.front + 2, parcel.depth
    for x, y, long, wide in ((half, (front + depth) / 2, 0, depth - front), (0, depth, parcel.width, 0)):
        kind = rng.random()
        thick = 0.25 if kind < 0.7 else rng.uniform(0.8, 1.6)
        material = palette.WOOD if kind < 0.45 else palette.MASONRY if kind < 0.7 else palette.HEDGE
        if kind < 0.92:
            outline = parcel.frame.place(rectangle(max(long, thick), max(wide, thick), x, y))
            builder.thing(outline, material.pick(rng), 1.8 if kind < 0.7 else rng.uniform(1.2, 3))


def _yard_things(
    parcel: Parcel,
    yard: tuple[float, float, float, float],
    pool: tuple[float, float, float] | None,
    builder: Builder,
    rng: np.random.Generator,
) -> None:
    """Stand sheds, parasols, tarpaulins and trampolines in the back yard, away from the pool."""

    def spot(reach: float) -> Frame | None:
        x = rng.uniform(yard[0] + reach, max(yard[2] - reach, yard[0] + reach + 0.1))
        y = rng.uniform(yard[1] + reach, max(yard[3] - reach, yard[1] + reach + 0.1))
        if pool is not None and math.hypot(x - pool[0], y - pool[1]) < pool[2] + 1.5 * reach:
            return None
        return parcel.frame.moved(x, y, rng.choice([0, math.pi / 2]) + rng.normal(0, 0.05))

    if rng.random() < 0.45 and (at := spot(2.0)):
        roof = palette.ROOFS[rng.choice(["brown", "grey", "white", "tan", "slate", "blue", "teal"], p=_SHED_SHARES)]
        half_x, half_y = rng.uniform(1.2, 3.2, 2)
        wings = (Wing(0, 0, half_x, half_y, half_x > half_y),)
        builder.roof(at, wings, "gable" if rng.random() < 0.7 else "flat", 0.3, roof.pick(rng), 2.2)
    if rng.random() < 0.05 and (at := spot(2.0)):
        outline = at.place(rectangle(*rng.uniform(2.0, 6.5, 2)))
        builder.thing(outline, palette.TARPAULIN.pick(rng), rng.uniform(0.2, 2.0))
    if rng.random() < 0.07 and (at := spot(2.2)):
        builder.trampoline(at, rng)
    for _ in range(rng.integers(0, 4)):
        if at := spot(0.8):
            small = palette.CARS[rng.integers(len(palette.CARS))][0]
            builder.thing(at.place(rectangle(*rng.uniform(0.7, 2.4, 2))), small.pick(rng), rng.uniform(0.4, 2.0))


_SHED_SHARES = (0.25, 0.22, 0.22, 0.16, 0.08, 0.04, 0.03)


def _cars(parcel: Parcel, drive: tuple[float, float], house: House, builder: Builder, rng: np.random.Generator) -> None:
    for x in [drive[0]] if drive[1] < 5 else [drive[0] - 1.45, drive[0] + 1.45]:
        if rng.random() < 0.3:
            at = parcel.frame.moved(x + rng.normal(0, 0.1), house.front - rng.uniform(2.8, 3.6), math.pi / 2)
            builder.car(at, rng)
    if rng.random() < 0.25:
        at = parcel.frame.moved(rng.uniform(-0.4, 0.4) * parcel.width, -parcel.kerb - 1.2)
        builder.car(at, rng)
    elif rng.random() < 0.01:
        builder.lorry(parcel.frame.moved(0, -parcel.kerb - 1.6), rng)


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


def _trees(
    parcel: Parcel,
    house: House,
    pool: tuple[float, float, float] | None,
    drive: tuple[float, float],
    style: Style,
    builder: Builder,
    rng: np.random.Generator,
) -> None:
    """Plant street trees, garden trees mostly along the edges, and shrubs; crowns rarely reach over water."""

    def plant(x: float, y: float, radius: float, height: float) -> None:
        if pool is not None:
            gap = math.hypot(x - pool[0], y - pool[1]) - pool[2] - radius
            if gap < (-0.9 if rng.random() < 0.15 else 0.0):
                return
        at = parcel.frame.moved(x, y)
        builder.tree(at.x, at.y, radius, height, style.tree_material(rng), rng)

    half = parcel.width / 2
    if rng.random() < style.street_trees:
        x = rng.uniform(-0.35, 0.35) * parcel.width
        if abs(x - drive[0]) > drive[1] / 2 + 0.5:
            radius = rng.uniform(2.2, 5.0)
            plant(x, rng.uniform(-2.5, 1.0), radius, 2.0 * radius)
    for _ in range(rng.poisson(style.trees)):
        edge = rng.random()
        if edge < 0.35:
            x, y = rng.uniform(-half, half), parcel.depth - rng.uniform(0, 3)
        elif edge < 0.7:
            x, y = rng.choice([-1, 1]) * (half - rng.uniform(0, 1.5)), rng.uniform(1, parcel.depth)
        else:
            x, y = rng.uniform(-half, half), rng.uniform(house.back + 1, parcel.depth)
        radius = float(np.clip(rng.lognormal(math.log(2.3), 0.45), 0.9, 7))
        if house.left - 0.3 * radius < x < house.right + 0.3 * radius and house.front < y < house.back:
            continue
        plant(x, y, radius, 1.8 * radius + 1)
    for _ in range(rng.integers(2, 9)):
        edge = rng.random()
        x = rng.uniform(-half, half) if edge < 0.5 else rng.choice([-1, 1]) * (half - rng.uniform(0.3, 1.2))
        y = house.front - rng.uniform(0, 1.5) if edge < 0.5 else rng.uniform(house.front, parcel.depth)
        radius = rng.uniform(0.5, 1.2)
        plant(x, y, radius, 1.5 * radius)
    if rng.random() < style.palms:
        plant(
            rng.uniform(-half, half),
            rng.choice([-2.0, 2.0, parcel.depth - 2]),
            rng.uniform(1.2, 2.0),
            rng.uniform(7, 13),
        )
