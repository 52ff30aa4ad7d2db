"""Three parts of labelled ground, by blocks: to learn from, to choose the best epoch, and to test."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections
from .labels import SHARES, LabelledImage, within

LEAST_TILES = 1.5  # side of a block: a window of training must fit in with room to move
MOST_TILES = 4.0
BLOCKS = 20  # aimed at
FEW_TO_LEARN = 50
FEW_TO_JUDGE = 30


@dataclass(frozen=True)
class Ground:
    """Labelled ground to be parted: an image, its width and height, and the side of a training tile, px of its file."""

    image: LabelledImage
    size: tuple[int, int]
    tile_px: float


def split_by_blocks(grounds: Sequence[Ground], seed: int) -> list[LabelledImage]:
    """Part images into blocks of 1.5 to 4 tiles, each of one split with its own area; a small image is one block.

    Windows are drawn within a block, so that none straddles two parts; an object that a block's border cuts is to
    ignore on both sides. Objects are spread over the parts in the shares 70, 15 and 15 %, as far as blocks allow; a
    part stays empty where too few blocks hold objects. The same seed gives the same parts.
    """
    areas = [_labelled(ground) for ground in grounds]
    tiles = [area.area / ground.tile_px**2 for area, ground in zip(areas, grounds, strict=True)]
    side = min(max(LEAST_TILES, math.sqrt(sum(tiles) / BLOCKS)), MOST_TILES)
    blocks = [
        replace(ground.image, truth=within(near, block), area=block, window=cell.bounds)
        for ground, area in zip(grounds, areas, strict=True)
        for block, cell, near in _parted(ground, area, side * ground.tile_px)
    ]
    weights = np.array([block.area.area for block in blocks])
    splits = _assigned(np.array([count_objects(block) for block in blocks]), weights, seed)
    return [replace(block, split=split) for block, split in zip(blocks, splits, strict=True)]


def to_map(image: LabelledImage, transform: Sequence[float]) -> BaseGeometry:
    """Area of an image in map coordinates, to be shown as a layer; `transform`: affine a to f of its file."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return shapely.transform(
        image.area, lambda xy: np.column_stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f])
    )


def small_samples(objects: dict[str, int]) -> list[str]:
    """Say which parts hold too few objects, by their numbers of objects: one sentence each."""
    found = []
    if objects.get("train", 0) < FEW_TO_LEARN:
        found.append(
            f"There are only {objects.get('train', 0)} objects to learn from: expect a first draft, to be corrected "
            "and trained again."
        )
    for split, what in (("val", "to choose the best epoch"), ("test", "to test the model")):
        count = objects.get(split, 0)
        if 0 < count < FEW_TO_JUDGE:
            margin = 1.96 * math.sqrt(0.8 * 0.2 / count)  # of a share of 0.8 (binomial)
            found.append(f"There are only {count} objects {what}: a recall of 0.80 is known to ±{margin:.2f}.")
    return found


def _labelled(ground: Ground) -> BaseGeometry:
    whole = shapely.box(0, 0, *ground.size)
    return whole if ground.image.area is None else ground.image.area.intersection(whole)


def count_objects(image: LabelledImage) -> int:
    """Count the objects of an image that are not to ignore."""
    ignore = image.truth.ignore
    return len(image.truth) if ignore is None else int((~ignore).sum())


def _parted(ground: Ground, area: BaseGeometry, side: float) -> Iterator[tuple[BaseGeometry, BaseGeometry, Detections]]:
    """Blocks of an area, about `side` px wide, each with its rectangle and the objects that touch it."""
    x0, y0, x1, y1 = area.bounds
    cols, rows = (max(1, int(length / side)) for length in (x1 - x0, y1 - y0))
    x, y = np.linspace(x0, x1, cols + 1), np.linspace(y0, y1, rows + 1)
    x[1:-1], y[1:-1] = x[1:-1].round(), y[1:-1].round()  # no px belongs to two blocks
    truth = ground.image.truth
    tree = shapely.STRtree(shapely.box(*truth.boxes.T))
    shapely.prepare(area)
    for j in range(rows):
        for i in range(cols):
            cell = shapely.box(x[i], y[j], x[i + 1], y[j + 1])
            block = cell if area.contains(cell) else area.intersection(cell)
            if block.area > 0:
                yield block, cell, truth.take(np.sort(tree.query(block)))


def _assigned(counts: np.ndarray, areas: np.ndarray, seed: int) -> list[str]:
    """Give each block to the part that lacks most of its share, those with the most objects first."""
    random = np.random.default_rng(seed)
    held = dict.fromkeys(SHARES, 0.0)
    weights = counts / max(counts.sum(), 1) + 0.01 * areas / areas.sum()  # empty blocks are spread by their area
    parts = list(SHARES)[: max(1, int((counts > 0).sum()))]
    splits = [""] * len(counts)
    for i in np.lexsort((random.permutation(len(counts)), -counts)).tolist():
        splits[i] = min(parts, key=lambda part: held[part] / SHARES[part])
        held[splits[i]] += weights[i]
    return splits
