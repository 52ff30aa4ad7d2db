"""Draws a scene: plan the suburb, paint it tile by tile, and read the pools' boxes off the painted water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layout import plan_suburb
from .light import without_shaded_pools
from .paint import Canvas
from .plan import Plan
from .render import Renderer
from .sensor import MARGIN_PX, Sensor
from .texture import Texture
from .truth import WaterSurvey

CLASS_NAMES = ("pool",)
OVERSAMPLING = 3  # samples a pixel, each way
TILE_PX = 512


@dataclass(frozen=True)
class Scene:
    """A drawn picture and its truth.

    `image`: uint8 (4, H, W) red, green, blue, near infrared. `boxes`: float64 (N, 4) xyxy in px, the exact bounds of
    the water that shows. `labels`: int64 (N,), indexes of `class_names`.
    """

    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    resolution_m: float


def draw_scene(size_px: int | tuple[int, int], seed: int, *, resolution_m: float = 0.6, density: float = 1.0) -> Scene:
    """Draw the suburb of a seed: a square of `size_px`, or (height, width).

    `density` multiplies how many homes have a pool. Pools that show less than 4 px, or less than 40 % of their water,
    are no truth.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    plan = plan_suburb(width * resolution_m, height * resolution_m, seed, density)
    return paint_plan(without_shaded_pools(plan), (height, width), seed, resolution_m)


def paint_plan(plan: Plan, size_px: tuple[int, int], seed: int, resolution_m: float) -> Scene:
    """Paint a plan; `seed` chooses the camera, the texture and the noise."""
    height, width = size_px
    step_m = resolution_m / OVERSAMPLING
    rng = np.random.default_rng([seed, 2])
    sensor, texture = Sensor.pick(rng), Texture(step_m, rng)
    renderer, survey = Renderer(plan), WaterSurvey(len(plan.pools))
    image = np.empty((4, height, width), np.uint8)
    margin = MARGIN_PX * OVERSAMPLING
    for y in range(0, height, TILE_PX):
        for x in range(0, width, TILE_PX):
            rows, columns = min(TILE_PX, height - y), min(TILE_PX, width - x)
            first = (y * OVERSAMPLING - margin, x * OVERSAMPLING - margin)
            shape = (rows * OVERSAMPLING + 2 * margin, columns * OVERSAMPLING + 2 * margin)
            canvas = Canvas(*first, *shape, step_m, plan.base, texture)
            renderer.paint_ground(canvas)
            survey.count_drawn(canvas, margin)
            renderer.paint_above(canvas)
            survey.count_seen(canvas, margin)
            noise = np.random.default_rng([seed, 3, y, x])
            image[:, y : y + rows, x : x + columns] = sensor.expose(canvas.values, OVERSAMPLING, noise)
    boxes = survey.boxes(OVERSAMPLING)
    return Scene(image, boxes, np.zeros(len(boxes), np.int64), CLASS_NAMES, resolution_m)
