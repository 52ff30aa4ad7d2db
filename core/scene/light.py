"""Where the sun reaches: nobody digs a pool in a place that lies in the shade all day."""

from __future__ import annotations

from dataclasses import replace

import shapely

from .plan import Plan

MOST_SHADE = 0.4  # share of a pool's water that shadows and crowns may cover


def without_shaded_pools(plan: Plan) -> Plan:
    """The plan without the pools of which shadows and crowns cover more than 40 %."""
    outlines = [*plan.shadows, *(tree.outline for tree in plan.trees)]
    covers = shapely.make_valid([shapely.Polygon(outline) for outline in outlines])
    tree = shapely.STRtree(covers)
    sunny = []
    for pool in plan.pools:
        water = shapely.make_valid(shapely.Polygon(pool.outline))
        shade = shapely.union_all(shapely.intersection(covers[tree.query(water)], water))
        if shade.area <= MOST_SHADE * water.area:
            sunny.append(pool)
    return replace(plan, pools=sunny)
