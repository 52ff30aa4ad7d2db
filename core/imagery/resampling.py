"""Resampling of an image in memory: scaled along its axes, or turned."""

from __future__ import annotations

import math

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.warp import reproject
from rasterio.windows import Window

AVERAGE_FROM = 1.5  # source px along one target px; below, cubic (its kernel widened by GDAL) keeps edges sharper
KERNEL_PX = 3  # source px, times the coarsening, that a target px may draw on beyond its own; cubic needs 2
COVERED = np.uint8(200)  # of valid ground; leaves room above for cubic's overshoot beside a collar
# GDAL takes unit pixels with the origin at 0 for no transform at all: pixel coordinates are told with an offset.
PIXELS = Affine(1.0, 0.0, 1024.0, 0.0, -1.0, 1024.0)
PLANE = CRS.from_epsg(3857)  # any projected system: both sides are pixels


def reach(to_source: Affine) -> int:
    """Tell how many source px around its own a target pixel draws on, at most."""
    a, b, _, d, e, _ = to_source[:6]
    return KERNEL_PX * math.ceil(max(1.0, math.hypot(a, d), math.hypot(b, e))) + 1


def resample(
    image: np.ndarray, valid: np.ndarray, to_source: Affine, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Resample uint8 (C, H, W) with its validity (H, W) to `width` x `height` px.

    `to_source`: affine from target px to source px, whose image must lie inside the source by `reach`. Averages when
    coarsening, else cubic. Invalid pixels do not mix in; a target pixel is valid where at least half of it is.
    """
    coarsening = math.sqrt(abs(to_source.determinant))
    stack = np.concatenate([image * valid, np.where(valid, COVERED, np.uint8(0))[None]])
    method = Resampling.average if coarsening > AVERAGE_FROM else Resampling.cubic
    if _is_scaling(to_source, width, height):
        target = _scaled(stack, to_source, width, height, method)
    else:
        target = _turned(stack, to_source, width, height, method)
    image, cover = target[:-1], target[-1]
    valid = cover >= COVERED / 2
    partly = valid & (cover != COVERED)
    if partly.any():
        whole = np.rint(image[:, partly] * (COVERED / cover[partly]))
        image[:, partly] = np.minimum(whole, 255).astype(np.uint8)
    return image, valid


def _is_scaling(to_source: Affine, width: int, height: int) -> bool:
    """Tell whether RasterIO can do it: no turn, and not a shift by parts of a pixel, which it would round."""
    a, b, x, d, e, y = to_source[:6]
    resized = abs(width * abs(a) - width) >= 1 or abs(height * abs(e) - height) >= 1
    copied = max(abs(value - round(value)) for value in (a, e, x, y)) < 1e-6
    return b == 0 and d == 0 and (resized or copied)


def _scaled(stack: np.ndarray, to_source: Affine, width: int, height: int, method: Resampling) -> np.ndarray:
    """Scale through GDAL's RasterIO: the same pixels as its warper, 5 to 10 times as fast."""
    a, _, x, _, e, y = to_source[:6]
    if a < 0:
        stack, a, x = stack[:, :, ::-1], -a, stack.shape[2] - x
    if e < 0:
        stack, e, y = stack[:, ::-1], -e, stack.shape[1] - y
    count, rows, columns = stack.shape
    size = {"width": columns, "height": rows, "count": count}
    with rasterio.open("", mode="w+", driver="MEM", dtype="uint8", transform=PIXELS, **size) as memory:
        memory.write(stack)
        window = Window(x, y, width * a, height * e)
        return memory.read(window=window, out_shape=(count, height, width), resampling=method)


def _turned(stack: np.ndarray, to_source: Affine, width: int, height: int, method: Resampling) -> np.ndarray:
    """Turn through GDAL's warper.

    It would take the kernel's width from the ratio of the windows' sizes, which for a turned window is another one.
    """
    a, b, _, d, e, _ = to_source[:6]
    target = np.zeros((len(stack), height, width), np.uint8)
    reproject(
        stack,
        target,
        src_transform=PIXELS,
        dst_transform=PIXELS @ to_source,
        src_crs=PLANE,
        dst_crs=PLANE,
        resampling=method,
        XSCALE=1.0 / math.hypot(a, d),
        YSCALE=1.0 / math.hypot(b, e),
    )
    return target
