"""How much polygons of any shape have in common."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import shapely

from .cells import area, iou

Likeness = Callable[[np.ndarray, np.ndarray], np.ndarray]


def likeness(shapes: np.ndarray) -> Likeness:
    """Build the IoU of shapes i and j (indexes): exact for polygons, and quick where both are upright boxes."""
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    with np.errstate(invalid="ignore"):
        upright = np.isclose(shapely.area(shapes), area(bounds), rtol=1e-9, atol=0.0)
    shapes = np.where(shapely.is_valid(shapes) | shapely.is_missing(shapes), shapes, shapely.make_valid(shapes))

    def alike(i: np.ndarray, j: np.ndarray) -> np.ndarray:
        fit = iou(bounds[i], bounds[j])
        odd = np.flatnonzero(~(upright[i] & upright[j]))
        one, two = shapes[i[odd]], shapes[j[odd]]
        common = shapely.area(shapely.intersection(one, two))
        union = shapely.area(one) + shapely.area(two) - common
        fit[odd] = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
        return fit

    return alike
