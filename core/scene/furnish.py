"""Furnishes a parcel: gardens, drive, house, pool, trees and cars."""

from __future__ import annotations

import math

import numpy as np

from . import palette
from .builder import Builder
from .gardens import lay_beds, plant_trees, put_fences, stand_things
from .houses import raise_house
from .parcel import Parcel
from .pools import dig_pool
from .shapes import rectangle
from .style import Style


def furnish(parcel: Parcel, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    """Fill a parcel in the style of its district."""
    for garden in parcel.split(parcel.house.near):
        builder.ground(garden, style.garden(rng).pick(rng))
    _lay_drive(parcel, builder, rng)
    lay_beds(parcel, builder, rng)
    _lay_terrace(parcel, builder, rng)
    pool = dig_pool(parcel.frame, parcel.yard, builder, rng) if rng.random() < style.pools else None
    put_fences(parcel, builder, rng)
    raise_house(parcel, style, builder, rng)
    stand_things(parcel, pool, builder, rng)
    _park_cars(parcel, builder, rng)
    plant_trees(parcel, pool, style, builder, rng)


def _lay_drive(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    """Lay the drive, and a path to the door."""
    drive, front = parcel.drive, parcel.house.near
    material = palette.CONCRETE if rng.random() < 0.85 else palette.PAVERS if rng.random() < 0.5 else palette.ASPHALT
    paint = material.pick(rng)
    long = front + parcel.kerb + 3
    builder.ground(parcel.frame.place(rectangle(drive.width, long, drive.x, front + 3 - long / 2)), paint)
    path_x = -math.copysign(parcel.width * rng.uniform(0.05, 0.2), drive.x)
    builder.ground(parcel.frame.place(rectangle(1.2, front, path_x, front / 2)), paint)


def _lay_terrace(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    if rng.random() < 0.7:
        house = parcel.house
        material = palette.PAVERS if rng.random() < 0.3 else palette.CONCRETE
        wide, deep = (house.right - house.left) * rng.uniform(0.3, 0.95), rng.uniform(2, 5)
        x = (house.left + house.right) / 2 + rng.uniform(-0.2, 0.2) * wide
        builder.ground(parcel.frame.place(rectangle(wide, deep, x, house.far + deep / 2 - 0.5)), material.pick(rng))


def _park_cars(parcel: Parcel, builder: Builder, rng: np.random.Generator) -> None:
    """Park cars on the drive and at the kerb, seldom a lorry."""
    drive, front = parcel.drive, parcel.house.near
    for x in [drive.x] if drive.width < 5 else [drive.x - 1.45, drive.x + 1.45]:
        if rng.random() < 0.3:
            spot = parcel.frame.moved(x + rng.normal(0, 0.1), front - rng.uniform(2.8, 3.6), math.pi / 2)
            builder.car(spot, rng)
    if rng.random() < 0.25:
        builder.car(parcel.frame.moved(rng.uniform(-0.4, 0.4) * parcel.width, -parcel.kerb - 1.2), rng)
    elif rng.random() < 0.01:
        builder.lorry(parcel.frame.moved(0, -parcel.kerb - 1.6), rng)
