"""Outlines: polygons (N, 2) in metres, most of them around the origin, length along x."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

WAVES = np.arange(2.0, 6.0)  # of a blob's radius, to a turn
POOL_SHAPES = ("rectangle", "kidney", "oval", "L", "round", "roman")


def rectangle(length: float, width: float, x: float = 0.0, y: float = 0.0) -> np.ndarray:
    """Rectangle centred on (x, y)."""
    a, b = length / 2, width / 2
    return np.array([[x - a, y - b], [x + a, y - b], [x + a, y + b], [x - a, y + b]])


def ellipse(length: float, width: float, points: int = 20) -> np.ndarray:
    """Ellipse; a circle where both are equal."""
    return _circle(points) * np.array([length / 2, width / 2])


def rounded_rectangle(length: float, width: float, radius: float) -> np.ndarray:
    """Rectangle with quarter circles of `radius` for corners."""
    corners = []
    for k, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        turn = np.linspace(0, np.pi / 2, 4) + k * np.pi / 2
        centre = np.array([sx * (length / 2 - radius), sy * (width / 2 - radius)])
        corners.append(centre + radius * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    return np.concatenate(corners)


def kidney(length: float, width: float, bend: float, skew: float) -> np.ndarray:
    """Bean: an ellipse bent by `bend` widths, one end wider than the other by `skew` (-1 to 1)."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    c, s = np.cos(turn), np.sin(turn)
    outline = np.stack([c * length / 2, (s * (1 + skew * c) / 2 + bend * (c * c - 0.5)) * width], axis=1)
    return _fitted(outline, length, width * (1 + abs(bend)))


def l_shape(length: float, width: float, arm: float) -> np.ndarray:
    """L: a rectangle without one corner; both arms `arm` wide."""
    a, b = length / 2, width / 2
    return np.array([[-a, -b], [a, -b], [a, -b + arm], [-a + arm, -b + arm], [-a + arm, b], [-a, b]])


def roman(length: float, width: float) -> np.ndarray:
    """Rectangle with a smaller half circle at each end."""
    radius = width * 0.35
    turn = np.linspace(-np.pi / 2, np.pi / 2, 8)
    cap = np.stack([length / 2 - radius + radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    end = length / 2 - radius
    right = np.concatenate([[[end, -width / 2]], cap, [[end, width / 2]]])
    return np.concatenate([right, -right])


def blob(radius: float, ragged: float, rng: np.random.Generator, points: int = 18) -> np.ndarray:
    """Round outline whose radius varies by `ragged` of itself: a crown, a pond, a flower bed."""
    turn = _turns(points)
    phases, sizes = rng.uniform(0, 2 * np.pi, len(WAVES)), rng.normal(0, ragged / 2, len(WAVES))
    reach = radius * (1 + sizes @ np.cos(WAVES[:, None] * turn + phases[:, None])).clip(0.4, 1.6)
    return _circle(points) * reach[:, None]


def pool_outline(shape: str, length: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """Outline of a pool of one of POOL_SHAPES, within `length` by `width` (a round one within `width` twice)."""
    if shape == "kidney":
        return kidney(
            length, width * 0.9, float(rng.choice([-1, 1]) * rng.uniform(0.15, 0.4)), rng.uniform(-0.35, 0.35)
        )
    if shape == "oval":
        return ellipse(length, width)
    if shape == "L":
        return l_shape(length, width * 1.5, width * 0.85) * np.array([1, rng.choice([-1, 1])])
    if shape == "round":
        return ellipse(width, width)
    if shape == "roman":
        return roman(length, width)
    return rounded_rectangle(length, width, rng.uniform(0.1, 0.9))


def turned(outline: np.ndarray, angle: float) -> np.ndarray:
    """Rotate about the origin, from x towards y (clockwise on an image)."""
    c, s = math.cos(angle), math.sin(angle)
    return outline @ np.array([[c, s], [-s, c]])


def swept(outline: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Convex hull of an outline and itself moved by `offset`: the shadow of an upright prism."""
    points = np.concatenate([outline, outline + offset])
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    return np.array(_half_hull(points) + _half_hull(points[::-1]))


def stretched(outline: np.ndarray, direction: np.ndarray, factor: float) -> np.ndarray:
    """Outline around the origin made `factor` times as long along a direction (2,)."""
    unit = direction / max(math.hypot(*direction), 1e-9)
    return outline + np.outer(outline @ unit, (factor - 1) * unit)


def bounds(outline: np.ndarray) -> tuple[float, float, float, float]:
    """Smallest and greatest x and y, as xmin, ymin, xmax, ymax."""
    (x0, y0), (x1, y1) = np.minimum.reduce(outline).tolist(), np.maximum.reduce(outline).tolist()
    return x0, y0, x1, y1


def all_bounds(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """Bounds of many outlines at once, float64 (N, 4)."""
    if not outlines:
        return np.empty((0, 4))
    points = np.concatenate(outlines)
    starts = np.concatenate([[0], np.cumsum([len(outline) for outline in outlines])[:-1]])
    return np.concatenate([np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)], axis=1)


@lru_cache(maxsize=64)
def _turns(points: int) -> np.ndarray:
    return np.linspace(0, 2 * np.pi, points, endpoint=False)


@lru_cache(maxsize=64)
def _circle(points: int) -> np.ndarray:
    return np.stack([np.cos(_turns(points)), np.sin(_turns(points))], axis=1)


def _half_hull(points: np.ndarray) -> list[tuple[float, float]]:
    """One side of Andrew's monotone chain, without its last point."""
    hull: list[tuple[float, float]] = []
    for x, y in points.tolist():
        while len(hull) > 1:
            (ax, ay), (bx, by) = hull[-2], hull[-1]
            if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                break
            hull.pop()
        hull.append((x, y))
    return hull[:-1]


def _fitted(outline: np.ndarray, length: float, width: float) -> np.ndarray:
    low, high = outline.min(0), outline.max(0)
    return (outline - (low + high) / 2) * (np.array([length, width]) / (high - low))
