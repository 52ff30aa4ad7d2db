"""Plans a suburb: arterial roads, districts between them, in each streets, blocks and parcels or one large site."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from . import palette, sites
from .builder import Builder, Frame
from .furnish import furnish
from .parcel import Parcel
from .plan import Plan, Sun
from .shapes import rectangle
from .style import Style

MARGIN_M = 24.0  # planned around the picture, so that shadows and crowns reach in
STREET_M = 10.5  # carriageway
VERGE_M = 3.6  # from the carriageway to the parcels: kerb, strip of grass, pavement
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
    arterial: float

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

    def strips(self, u0: float, u1: float, v0: float, v1: float) -> list[np.ndarray]:
        """A band of (u, v) cut along u into quadrilaterals of at most 12 m, so that it follows the bend."""
        us = np.linspace(u0, u1, max(2, math.ceil((u1 - u0) / 12) + 1))
        low = self.place(np.stack([us, np.full_like(us, v0)], axis=1))
        high = self.place(np.stack([us, np.full_like(us, v1)], axis=1))
        return [np.array([low[k], low[k + 1], high[k + 1], high[k]]) for k in range(len(us) - 1)]


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
    for line in columns:
        _plan_arterial(centre.moved(line, 0, math.pi / 2), reach, builder, rng)
    for line in rows:
        _plan_arterial(centre.moved(0, line), reach, builder, rng)
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
    district = District(frame, length, depth, bend, waves, phase, 8.0)
    kind = rng.choice(list(SITE_SHARES), p=list(SITE_SHARES.values()))
    if kind == "homes":
        _plan_homes(district, Style.pick(rng, density), builder, rng)
    else:
        inner = frame.moved(length / 2, depth / 2)
        SITES[kind](inner, length - 24, depth - 24, density, builder, rng)


def _plan_homes(district: District, style: Style, builder: Builder, rng: np.random.Generator) -> None:
    parcel_depth = rng.uniform(29, 37)
    pitch = 2 * (parcel_depth + VERGE_M) + STREET_M
    blocks = max(1, round(district.depth / pitch))
    edge = district.arterial + VERGE_M
    lines = np.linspace(0, district.depth, blocks + 1)
    road = palette.ASPHALT if rng.random() < 0.75 else palette.NEW_ASPHALT
    asphalt, pavement, verge = road.pick(rng), palette.CONCRETE.pick(rng), style.garden(rng).pick(rng)
    across = [] if district.length < 230 or rng.random() < 0.4 else [district.length * rng.uniform(0.4, 0.6)]
    breaks = [edge, *(x for u in across for x in (u - STREET_M / 2 - VERGE_M, u + STREET_M / 2 + VERGE_M))]
    spans = list(zip([edge, *breaks[2::2]], [*breaks[1::2], district.length - edge], strict=True))
    width = rng.uniform(14.5, 23)
    for low, high in itertools.pairwise(lines):
        front = low + (edge if low == 0 else STREET_M / 2 + VERGE_M)
        back = high - (edge if high == district.depth else STREET_M / 2 + VERGE_M)
        middle = (front + back) / 2
        for start, end in spans:
            for v, facing in ((front, 1), (back, -1)):
                _plan_row(district, (start, end), v, facing, abs(middle - v), width, style, builder, rng)
    mouth = 7.0  # streets begin at the kerb of the arterial road
    for v in lines[1:-1]:
        _lay_street(district.strips, mouth, district.length - mouth, v, (verge, pavement, asphalt), builder)
    for u in across:
        for half, paint in _street_bands((verge, pavement, asphalt)):
            for k in range(math.ceil(district.depth / 12)):
                v0, v1 = max(k * 12, mouth), min((k + 1) * 12, district.depth - mouth)
                quad = np.array([[u - half, v0], [u + half, v0], [u + half, v1], [u - half, v1]])
                _lay(district.place(quad), paint, builder)


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
    for u0, u1 in itertools.pairwise(edges):
        quad = np.array([[u0, v], [u1, v], [u1, v + facing * depth], [u0, v + facing * depth]])
        outline = district.place(quad)
        child = np.random.default_rng(rng.integers(2**63))
        if builder.near(outline, 12):
            frame = district.at((u0 + u1) / 2, v, facing)
            furnish(Parcel.divide(frame, outline, u1 - u0, depth, VERGE_M, child), style, builder, child)


def _street_bands(paints: tuple) -> tuple:
    verge, pavement, asphalt = paints
    half = STREET_M / 2
    return ((half + VERGE_M, pavement), (half + VERGE_M - 1.4, verge), (half + 0.4, pavement), (half, asphalt))


def _lay_street(strips, u0: float, u1: float, v: float, paints: tuple, builder: Builder) -> None:
    for half, paint in _street_bands(paints):
        for quad in strips(u0, u1, v - half, v + half):
            _lay(quad, paint, builder)


def _lay(quad: np.ndarray, paint, builder: Builder) -> None:
    builder.ground(quad, paint)


def _plan_arterial(frame: Frame, reach: float, builder: Builder, rng: np.random.Generator) -> None:
    """Lay a straight main road along the frame's x axis, with lines, traffic and a verge."""
    half = rng.uniform(5.5, 7.5)
    asphalt = (palette.ASPHALT if rng.random() < 0.6 else palette.NEW_ASPHALT).pick(rng)
    pavement, line = palette.CONCRETE.pick(rng), palette.PAINT_LINE.pick(rng, 0.9)
    long = 2 * reach + 20
    count = math.ceil(long / 24)
    xs = np.linspace(-long / 2, long / 2, count + 1)
    verge = (palette.SOIL, palette.LAWN, palette.DRY_LAWN, palette.CONCRETE)[rng.integers(4)].pick(rng)
    for wide, paint in (
        (23.2, verge),
        (2 * half + 5, pavement),
        (2 * half + 2.4, verge),
        (2 * half, asphalt),
    ):
        for x0, x1 in itertools.pairwise(xs):
            builder.ground(frame.place(rectangle(x1 - x0, wide, (x0 + x1) / 2)), paint)
    for x in np.arange(-long / 2, long / 2, 12.0):
        builder.ground(frame.place(rectangle(3.0, 0.2, x, half / 2)), line)
        builder.ground(frame.place(rectangle(3.0, 0.2, x, -half / 2)), line)
    for x0, x1 in itertools.pairwise(xs):
        builder.ground(frame.place(rectangle(x1 - x0, 0.35, (x0 + x1) / 2)), line)
    for lane in (-0.75, -0.25, 0.25, 0.75):
        for x in np.arange(-long / 2, long / 2, 60.0) + rng.uniform(0, 60):
            if rng.random() < 0.4:
                at = frame.moved(x + rng.uniform(-20, 20), lane * half, 0.0 if lane > 0 else math.pi)
                if builder.near(at.place(rectangle(10, 10)), 4):
                    (builder.lorry if rng.random() < 0.06 else builder.car)(at, rng)
