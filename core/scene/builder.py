"""Puts things into a plan together with what they imply: their shadows, their copings, and no pool over another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import palette
from .plan import Paint, Patch, Plan, Pool, Roof, Tree, Wing
from .shapes import blob, bounds, ellipse, rectangle, stretched, swept, turned

EAVES_M = 2.8
CAR_M = (4.6, 1.9)


@dataclass(frozen=True)
class Frame:
    """A local frame on the ground: its origin in the plan, and its x axis turned by `angle` (clockwise on an image)."""

    x: float
    y: float
    angle: float

    @cached_property
    def _turn(self) -> np.ndarray:
        return turned(np.eye(2), self.angle)

    def place(self, outline: np.ndarray) -> np.ndarray:
        """From this frame (N, 2) to the plan."""
        return outline @ self._turn + (self.x, self.y)

    def moved(self, x: float, y: float, angle: float = 0.0) -> Frame:
        """Frame whose origin lies at (x, y) of this one, turned further by `angle`."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        return Frame(self.x + c * x - s * y, self.y + s * x + c * y, self.angle + angle)


class Builder:
    """Fills a plan inside `area` (xmin, ymin, xmax, ymax in metres); what lies wholly outside is left out."""

    def __init__(self, plan: Plan, area: tuple[float, float, float, float]) -> None:
        self.plan = plan
        self.area = area
        self._pool_boxes = np.empty((0, 4))

    def near(self, outline: np.ndarray, reach: float = 0.0) -> bool:
        """Whether an outline's bounds, grown by `reach`, touch the area."""
        box = bounds(outline)
        area = self.area
        return (
            box[0] - reach < area[2]
            and box[2] + reach > area[0]
            and box[1] - reach < area[3]
            and box[3] + reach > area[1]
        )

    def ground(self, outline: np.ndarray, paint: Paint) -> None:
        """Lay a flat surface over the earlier ones."""
        if self.near(outline):
            self.plan.ground.append(Patch(outline, paint))

    def thing(self, outline: np.ndarray, paint: Paint, height: float) -> None:
        """Stand a prism on the ground, with its shadow."""
        if self.near(outline, 2 * height):  # the sun stands at 40 degrees or more
            self.plan.things.append(Patch(outline, paint))
            self.plan.shadows.append(swept(outline, self.plan.sun.shadow(height)))

    def fitting(self, outline: np.ndarray, paint: Paint) -> None:
        """Lay something on a roof."""
        if self.near(outline):
            self.plan.fittings.append(Patch(outline, paint))

    def roof(self, frame: Frame, wings: tuple[Wing, ...], style: str, pitch: float, paint: Paint, eaves: float) -> None:
        """Set a roof on walls of height `eaves`."""
        outlines = [frame.place(rectangle(2 * w.half_x, 2 * w.half_y, w.x, w.y)) for w in wings]
        if not any(self.near(outline, 3 * eaves) for outline in outlines):
            return
        self.plan.roofs.append(Roof((frame.x, frame.y), frame.angle, wings, style, pitch, paint))
        self.plan.shadows += [swept(outline, self.plan.sun.shadow(eaves)) for outline in outlines]
        if style != "flat":  # the ridge throws its own shadow further
            for wing in wings:
                rise = math.tan(pitch) * min(wing.half_x, wing.half_y)
                long = max(wing.half_x - (wing.half_y if style == "hip" else 0), 0.5) if wing.ridge_along_x else 0.5
                wide = 0.5 if wing.ridge_along_x else max(wing.half_y - (wing.half_x if style == "hip" else 0), 0.5)
                ridge = frame.place(rectangle(2 * long, 2 * wide, wing.x, wing.y))
                self.plan.shadows.append(swept(ridge, self.plan.sun.shadow(eaves + rise)))

    def tree(self, x: float, y: float, radius: float, height: float, paint: Paint, rng: np.random.Generator) -> None:
        """Grow a tree, its shadow on the ground and on roofs; a large crown has smaller ones at its sides."""
        centre, sun = np.array([x, y]), self.plan.sun
        if not self.near(centre[None], radius + 2 * height):
            return
        outline = blob(radius, 0.13, rng)
        self.plan.trees.append(Tree(x, y, radius, outline + centre, paint))
        for _ in range(rng.integers(0, 4) if radius > 2.2 else 0):
            side, turn = radius * rng.uniform(0.35, 0.6), rng.uniform(0, 2 * math.pi)
            at = centre + radius * 0.85 * np.array([math.cos(turn), math.sin(turn)])
            self.plan.trees.append(Tree(float(at[0]), float(at[1]), side, blob(side, 0.14, rng, 12) + at, paint))
        # The shadow of a ball is as much longer than the ball as the sun is low.
        crown = stretched(outline * 0.95, sun.shadow(1.0), 1 / sun.z) + centre
        self.plan.shadows.append(crown + sun.shadow(0.55 * height))
        self.plan.roof_shadows.append(crown + sun.shadow(max(0.55 * height - EAVES_M - 1, 0)))

    def pool(
        self, outline: np.ndarray, coping: np.ndarray, water: Paint, rim: Paint, deep: tuple[float, float]
    ) -> bool:
        """Dig a pool; returns False, and digs none, where its bounds would touch another pool's."""
        box = np.array(bounds(outline))
        others = self._pool_boxes
        apart = 0.7  # metres: more than a pixel between two pools
        if np.any(
            (others[:, 0] < box[2] + apart)
            & (others[:, 2] > box[0] - apart)
            & (others[:, 1] < box[3] + apart)
            & (others[:, 3] > box[1] - apart)
        ):
            return False
        if self.near(outline, 2.0):
            self._pool_boxes = np.concatenate([others, box[None]])
            self.plan.pools.append(Pool(outline, coping, water, rim, deep))
        return True

    def car(self, frame: Frame, rng: np.random.Generator) -> None:
        """Park a car along the frame's x axis."""
        if not self.near(frame.place(np.zeros((1, 2))), 8.0):
            return
        shares = np.array([share for _, share in palette.CARS])
        material = palette.CARS[rng.choice(len(shares), p=shares / shares.sum())][0]
        length, width = np.array(CAR_M) * rng.uniform(0.92, 1.12)
        self.thing(frame.place(rectangle(length, width)), material.pick(rng), 1.4)
        glass = palette.WINDSCREEN.pick(rng)
        for x, deep in ((0.55, 0.7), (-1.45, 0.5)):
            self.plan.things.append(Patch(frame.place(rectangle(deep, width * 0.82, x)), glass))

    def lorry(self, frame: Frame, rng: np.random.Generator) -> None:
        """Park a lorry with a long box along the frame's x axis."""
        length = rng.uniform(6, 13)
        box = palette.LORRY_BOXES[rng.choice(3, p=(0.8, 0.14, 0.06))]
        self.thing(frame.place(rectangle(length, 2.5)), box.pick(rng), 3.4)
        self.thing(frame.place(rectangle(1.8, 2.3, length / 2 + 1.2)), palette.CARS[0][0].pick(rng), 2.6)

    def trampoline(self, frame: Frame, rng: np.random.Generator) -> None:
        """Set up a round trampoline with a coloured rim."""
        across = rng.uniform(3.0, 4.4)
        self.thing(frame.place(ellipse(across, across, 14)), palette.TRAMPOLINE_RIM.pick(rng), 0.8)
        mat = frame.place(ellipse(across * 0.74, across * 0.74, 14))
        self.plan.things.append(Patch(mat, palette.TRAMPOLINE.pick(rng)))

    def court(self, frame: Frame, length: float, width: float, rng: np.random.Generator) -> None:
        """Lay a court: coloured play area within a surround, and white lines."""
        materials = rng.choice(len(palette.COURTS), 2)
        self.ground(frame.place(rectangle(length * 1.5, width * 1.6)), palette.COURTS[materials[0]].pick(rng))
        self.ground(frame.place(rectangle(length, width)), palette.COURTS[materials[1]].pick(rng))
        white = palette.PAINT_LINE.pick(rng)
        for y in (-width / 2, -width * 0.37, width * 0.37, width / 2):
            self.ground(frame.place(rectangle(length, 0.2, 0, y)), white)
        for x in (-length / 2, -length * 0.27, 0.0, length * 0.27, length / 2):
            self.ground(frame.place(rectangle(0.2, width, x, 0)), white)
