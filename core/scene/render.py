"""Paints the part of a plan that one canvas shows, in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

from .paint import Canvas
from .plan import Plan
from .shapes import all_bounds

T = TypeVar("T")


class Layer(Generic[T]):
    """Things of one kind with their bounds, to find those that touch a canvas without walking through all."""

    def __init__(self, items: Sequence[T], outlines: list[np.ndarray]) -> None:
        self._items = items
        self._boxes = all_bounds(outlines)

    def on(self, canvas: Canvas) -> Iterator[tuple[int, T]]:
        """Place in the plan and thing, in the plan's order, of those that touch a canvas."""
        x0, y0, x1, y1 = canvas.extent
        low_x, low_y, high_x, high_y = self._boxes.T
        for k in np.flatnonzero((low_x < x1) & (high_x > x0) & (low_y < y1) & (high_y > y0)):
            yield int(k), self._items[k]


class Renderer:
    """Paints canvases of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._sun = plan.sun
        self._ground = Layer(plan.ground, [patch.outline for patch in plan.ground])
        self._pools = Layer(plan.pools, [pool.coping for pool in plan.pools])
        self._shadows = Layer(plan.shadows, plan.shadows)
        self._things = Layer(plan.things, [patch.outline for patch in plan.things])
        self._roofs = Layer(plan.roofs, [np.array(roof.extent).reshape(2, 2) for roof in plan.roofs])
        self._fittings = Layer(plan.fittings, [patch.outline for patch in plan.fittings])
        self._roof_shadows = Layer(plan.roof_shadows, plan.roof_shadows)
        self._trees = Layer(plan.trees, [tree.outline for tree in plan.trees])

    def paint_ground(self, canvas: Canvas) -> None:
        """Paint surfaces and pools; pool k of the plan marks its water with k + 1."""
        for _, patch in self._ground.on(canvas):
            canvas.patch(patch.outline, patch.paint)
        for k, pool in self._pools.on(canvas):
            canvas.pool(pool, k + 1)

    def paint_above(self, canvas: Canvas) -> None:
        """Paint what stands on the ground, and its shadows."""
        canvas.darken(canvas.inside_any(outline for _, outline in self._shadows.on(canvas)))
        for _, patch in self._things.on(canvas):
            canvas.patch(patch.outline, patch.paint)
        roofed = np.zeros(canvas.water.shape, bool)
        for _, roof in self._roofs.on(canvas):
            canvas.roof(roof, self._sun, roofed)
        for _, patch in self._fittings.on(canvas):
            canvas.patch(patch.outline, patch.paint)
        canvas.darken(roofed & canvas.inside_any(outline for _, outline in self._roof_shadows.on(canvas)))
        for _, tree in self._trees.on(canvas):
            canvas.tree(tree, self._sun)
