"""Plans a suburb: arterial roads, districts between them, in each streets, blocks and parcels or one large site."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from . import palette, sites
from .builder import Builder, Frame
from .furnish import furnish
from .parcel import Parcel
from .plan import Plan, Sun
from .shapes import rectangle
from .streets import ARTERIAL_M, STREET_M, VERGE_M, Place, StreetPaints, lay_arterials, lay_streets, open_mouth
from .style import Style

MARGIN_M = 16.0  # planned around the picture, so that shadows and crowns reach in
SITES = {"shops": sites.plan_shops, "flats": sites.plan_flats, "park": sites.plan_park, "vacant": sites.plan_vacant}
SITE_SHARES = {"homes": 0.83, "shops": 0.06, "flats": 0.05, "park": 0.03, "vacant": 0.03}


@dataclass(frozen=True)
class District:
    """The land between four arterial roads, (u, v) from 0 to (length, depth) in metres, streets along u.

    `frame` places it in the plan; streets bend by up to `bend` metres, less towards the edges, so that the district
    still fits its neighbours.
    """

    frame: Frame
    length: float
    depth: float
    bend: float
    waves: float
    phase: float

    def place(self, points: np.ndarray) -> np.ndarray:
        """From (u, v) to the plan (N, 2)."""
        u, v = points[:, 0] / self.length, points[:, 1] / self.depth
        fade = np.sin(np.pi * u.clip(0, 1)) * np.sin(np.pi * v.clip(0, 1))
        bent = points[:, 1] + self.bend * fade * np.sin(2 * np.pi * self.waves * u + self.phase)
        return self.frame.place(np.stack([points[:, 0], bent], axis=1))

    def at(self, u: float, v: float, facing: int) -> Frame:
        """Frame at (u, v): x along the street, y in the direction of v where `facing` is 1, against it where -1."""
        here, ahead = self.place(np.array([[u, v], [u + 0.5, v]]))
        angle = math.atan2(ahead[1] - here[1], ahead[0] - here[0])
        return Frame(float(here[0]), float(here[1]), angle if facing > 0 else angle + math.pi)

    def along(self, v: float) -> Place:
        """Way of a street along u at `v`."""
        return lambda points: self.place(points + np.array([0.0, v]))

    def across(self, u: float) -> Place:
        """Way of a street along v at `u`."""
        return lambda points: self.place(points[:, ::-1] + np.array([u, 0.0]))


def plan_suburb(width_m: float, height_m: float, seed: int, density: float) -> Plan:
    """Plan a suburb of the size of a picture; the same seed and size give the same plan."""
    rng = np.random.default_rng([seed, 0])
    sun = Sun.at(math.radians(rng.uniform(105, 255)), math.radians(rng.uniform(40, 66)))
    plan = Plan(sun, palette.WEEDS.pick(rng))
    builder = Builder(plan, (-MARGIN_M, -MARGIN_M, width_m + MARGIN_M, height_m + MARGIN_M))
    turn = rng.normal(0, 0.03) if rng.random() < 0.6 else rng.uniform(-math.pi / 4, math.pi / 4)
    centre = Frame(width_m / 2, height_m / 2, turn)
    reach = math.hypot(width_m, height_m) / 2 + MARGIN_M
    columns, rows = _cuts(reach, rng), _cuts(reach, rng)
    arterials = [centre.moved(u, 0, math.pi / 2) for u in columns] + [centre.moved(0, v) for v in rows]
    lay_arterials(arterials, 2 * reach + 20, builder, rng)
    for i in range(len(columns) - 1):
        for j in range(len(rows) - 1):
            u, v, length, depth = columns[i], rows[j], columns[i + 1] - columns[i], rows[j + 1] - rows[j]
            outline = centre.place(rectangle(length + 40, depth + 40, u + length / 2, v + depth / 2))
            if builder.near(outline):
                _plan_district(
                    centre.moved(u, v), length, depth, density, builder, np.random.default_rng([seed, 1, i, j])
                )
    plan.trees.sort(key=lambda tree: tree.radius)
    return plan


def _cuts(reach: float, rng: np.random.Generator) -> np.ndarray:
    """Places of the arterial roads, from below -reach to above reach."""
    count = math.ceil(2 * reach / 190) + 2
    steps = rng.uniform(190, 330, count)
    return -reach - rng.uniform(0, 300) + np.concatenate([[0], np.cumsum(steps)])


def _plan_district(
    frame: Frame, length: float, depth: float, density: float, builder: Builder, rng: np.random.Generator
) -> None:
    if rng.random() < 0.5:  # streets along the other side
        frame, length, depth = frame.moved(length, 0, math.pi / 2), depth, length
    bend = rng.uniform(8, 26) * rng.choice([-1, 1]) if rng.random() < 0.45 else 0.0
    waves, phase = rng.choice([0.5, 1.0]), rng.choice([0.0, math.pi / 2])
    district = District(frame, length, depth, bend, waves, phase)
    kind = rng.choice(list(SITE_SHARES), p=list(SITE_SHARES.values()))
    if kind == "homes":
        _plan_homes(district, Style.pick(rng, density), builder, rng)
    else:
        inner = frame.moved(length / 2, depth / 2)
        SITES[kind](inner, length - 24, depth - 24, density, builder, rng)


def _plan_homes(district: District, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    parcel_depth = rng.uniform(29, 37)
    blocks = max(1, round(district.depth / (2 * (parcel_depth + VERGE_M) + STREET_M)))
    lines = np.linspace(0, district.depth, blocks + 1)
    kerb, edge = ARTERIAL_M / 2, ARTERIAL_M / 2 + VERGE_M
    half = STREET_M / 2 + VERGE_M
    cross = [] if district.length < 230 or rng.random() < 0.4 else [district.length * rng.uniform(0.4, 0.6)]
    stops = [edge, *(u + side for u in cross for side in (-half, half)), district.length - edge]
    width = rng.uniform(14.5, 23)
    paints = StreetPaints(style.garden(rng).pick(rng), rng)
    streets = [district.along(v) for v in lines[1:-1]]
    crossings = [district.across(u) for u in cross]
    long = [(place, kerb, district.length - kerb) for place in streets]
    short = [(place, kerb, district.depth - kerb) for place in crossings]
    lay_streets([*long, *short], paints, builder)
    for place in streets:
        open_mouth(place, kerb, 1, paints, builder)
        open_mouth(place, district.length - kerb, -1, paints, builder)
    for place in crossings:
        for v in lines:
            for side in (-1, 1):
                if 0 < v + side < district.depth:
                    reach = kerb if v in (0, district.depth) else STREET_M / 2
                    open_mouth(place, v + side * reach, side, paints, builder)
    for low, high in pairwise(lines):
        front = low + (edge if low == 0 else half)
        back = high - (edge if high == district.depth else half)
        middle = (front + back) / 2
        for span in zip(stops[::2], stops[1::2], strict=True):
            for v, facing in ((front, 1), (back, -1)):
                _plan_row(district, span, v, facing, abs(middle - v), width, style, builder, rng)


def _plan_row(
    district: District,
    span: tuple[float, float],
    v: float,
    facing: int,
    depth: float,
    width: float,
    style: Style,
    builder: Builder,
    rng: np.random.Generator,
) -> None:
    """Divide one side of a street into parcels and furnish them."""
    count = max(1, round((span[1] - span[0]) / width))
    edges = np.linspace(*span, count + 1)
    edges[1:-1] += rng.uniform(-0.06, 0.06, count - 1) * width
    for u0, u1 in pairwise(edges):
        quad = np.array([[u0, v], [u1, v], [u1, v + facing * depth], [u0, v + facing * depth]])
        outline = district.place(quad)
        child = np.random.default_rng(rng.integers(2**63))
        if builder.near(outline, 6):
            frame = district.at((u0 + u1) / 2, v, facing)
            furnish(Parcel.divide(frame, outline, u1 - u0, depth, VERGE_M, child), style, builder, child)
