"""Anchors for the objects at hand: how many they reach, and the cheapest ones that reach nearly as many as the best."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from ..job.card import LEVELS, Architecture
from ..retinanet.cost import operations

REACHED_IOU = 0.5  # at which an anchor learns an object (Lin et al. 2017, section 4.1)
OFFSETS = np.array([1, 3, 5, 7]) / 16  # how far along an axis an object may lie from the nearest anchor, in strides
MOST_OBJECTS = 1000  # looked at; of more, as many spread evenly over the sizes
PRICE = 0.03  # share of the objects that a network of twice the cost must reach in addition
LEAST_GAIN = 0.01  # in the same measure, for ratios other than the start's
MARGIN = 1.5  # levels reach to objects so many times larger than those seen
FINEST_LEVELS = (2, 3)  # never coarser than the paper's: neighbours would share a cell
BASE_SIZES = 6  # tried, from the smallest objects' size to the median object's
RATIOS = ((0.7, 1.0, 1.4), (0.5, 1.0, 2.0), (1 / 3, 1.0, 3.0), (0.25, 0.5, 1.0, 2.0, 4.0))
HISTOGRAM_EDGES = (0, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # px; the last bin is open


@dataclass(frozen=True)
class Coverage:
    """How well anchors fit objects: `reached`: share of the objects that an anchor overlaps by IoU 0.5 or more, over
    all places they may lie; `use`: share whose best anchor is on each level; `mean_iou`: with the best anchor."""

    reached: float
    use: tuple[float, ...]
    mean_iou: float


@dataclass(frozen=True)
class AnchorFit:
    """A choice of anchors: the architecture that has them, their coverage, and the network's cost relative to the
    architecture it was fitted from."""

    architecture: Architecture
    coverage: Coverage
    cost: float

    @property
    def worth(self) -> float:
        """The coverage less the price of the cost."""
        return self.coverage.reached - PRICE * math.log2(self.cost)


def coverage(sizes: np.ndarray, architecture: Architecture) -> Coverage:
    """Compare objects, widths and heights (N, 2) px, with an architecture's anchors.

    Objects lie anywhere between anchors, so that levels with a coarse stride miss small objects whatever their sizes.
    """
    return _coverage(_spread(sizes), architecture)


def fit_anchors(
    sizes: np.ndarray,
    start: Architecture,
    levels: tuple[str, ...] | None = None,
    ratios: tuple[tuple[float, ...], ...] = RATIOS,
) -> AnchorFit:
    """Fit levels, base sizes and ratios to objects, widths and heights (N, 2) px.

    Scales stay as they are, and so do the levels where they are given. `ratios`: sets that may take the place of the
    start's, where the objects' shapes ask for it. A network of twice the cost must reach 0.03 more
    of the objects; of choices that are equally good, the one whose anchors fit the objects best.
    """
    sizes = _spread(sizes)
    start = replace(start, integer_anchors=False)
    chosen = _best([_fit(sizes, candidate, start) for candidate in _candidates(sizes, start, levels)])
    shapes = [replace(chosen.architecture, anchor_ratios=values) for values in ratios]
    other = _best([chosen, *(_fit(sizes, shape, start) for shape in shapes)])
    return other if other.worth > chosen.worth + LEAST_GAIN else chosen


def default_sizes(levels: Iterable[str]) -> tuple[float, ...]:
    """Base sizes of the paper, px: four strides a level, 32 at P3 (Lin et al. 2017, section 4)."""
    return tuple(4.0 * 2 ** int(level[1:]) for level in levels)


def summary(sizes: np.ndarray, fit: AnchorFit, start: Architecture) -> dict[str, Any]:
    """Values of the `anchors` event: the objects' sizes, and what the default and the chosen anchors reach and cost."""
    sides = np.sqrt(sizes.prod(axis=1))
    counts, _ = np.histogram(sides, [*HISTOGRAM_EDGES, np.inf])
    default = AnchorFit(start, coverage(sizes, start), 1.0)
    return {
        "objects": len(sizes),
        "median_px": round(float(np.median(sides)), 1),
        "histogram": {"edges_px": list(HISTOGRAM_EDGES), "counts": counts.tolist()},
        "default": _described(default),
        "chosen": _described(fit),
    }


def told(values: dict[str, Any]) -> str:
    """Tell a summary in a sentence or two."""
    default, chosen = values["default"], values["chosen"]
    sizes = ", ".join(f"{size:g}" for size in chosen["sizes"])
    levels = chosen["levels"][0] + (f" to {chosen['levels'][-1]}" if len(chosen["levels"]) > 1 else "")
    return (
        f"Objects are {values['median_px']:g} px wide (median of {values['objects']:,}). Anchors of {sizes} px on "
        f"{levels} reach {chosen['reached']:.0%} of them; the default ones would reach {default['reached']:.0%}. The "
        f"network costs {chosen['cost']:.1f} times as much as with those."
    )


def _candidates(sizes: np.ndarray, start: Architecture, levels: tuple[str, ...] | None) -> list[Architecture]:
    small, middle, large = np.quantile(np.sqrt(sizes.prod(axis=1)), [0.02, 0.5, 0.98])
    largest = max(start.anchor_scales) * 1.3  # an anchor still reaches a square object 1.3 times its side
    bases = np.geomspace(small * 0.8, max(middle, small * 1.2), BASE_SIZES).round(1).clip(1)
    found = []
    for first, base in product(FINEST_LEVELS if levels is None else [int(levels[0][1:])], bases.tolist()):
        count = 1 if levels is None else len(levels)
        while levels is None and base * 2 ** (count - 1) * largest < large * MARGIN and first + count <= 7:
            count += 1
        names = LEVELS[first - 2 : first - 2 + count]
        found.append(replace(start, levels=names, anchor_sizes=tuple(base * 2**i for i in range(count))))
    return found


def _fit(sizes: np.ndarray, architecture: Architecture, start: Architecture) -> AnchorFit:
    return AnchorFit(architecture, _coverage(sizes, architecture), operations(architecture) / operations(start))


def _best(fits: list[AnchorFit]) -> AnchorFit:
    return max(fits, key=lambda fit: (round(fit.worth, 2), fit.coverage.mean_iou))


def _described(fit: AnchorFit) -> dict[str, Any]:
    shape = fit.architecture
    return {
        "levels": list(shape.levels),
        "sizes": list(shape.anchor_sizes),
        "scales": [round(scale, 4) for scale in shape.anchor_scales],
        "ratios": [round(ratio, 4) for ratio in shape.anchor_ratios],
        "reached": round(fit.coverage.reached, 4),
        "use": [round(share, 4) for share in fit.coverage.use],
        "cost": round(fit.cost, 3),
    }


def _spread(sizes: np.ndarray) -> np.ndarray:
    if len(sizes) <= MOST_OBJECTS:
        return sizes
    order = np.argsort(sizes.prod(axis=1), kind="stable")
    return sizes[order[np.linspace(0, len(sizes) - 1, MOST_OBJECTS).round().astype(int)]]


def _coverage(sizes: np.ndarray, architecture: Architecture) -> Coverage:
    levels = [int(level[1:]) for level in architecture.levels]
    best = [_best_iou(sizes, *pair, architecture) for pair in zip(architecture.anchor_sizes, levels, strict=True)]
    iou = np.stack(best)  # (levels, objects, offsets)
    top = iou.max(axis=0)
    use = np.bincount(iou.argmax(axis=0).ravel(), minlength=len(best)) / top.size
    return Coverage(float((top >= REACHED_IOU).mean()), tuple(use.tolist()), float(top.mean()))


def _best_iou(sizes: np.ndarray, base: float, level: int, architecture: Architecture) -> np.ndarray:
    """IoU (N, offsets) of objects with the best anchor of a level, for each place between its anchors."""
    scale, ratio = (values.ravel() for values in np.meshgrid(architecture.anchor_scales, architecture.anchor_ratios))
    anchors = np.stack([base * scale / np.sqrt(ratio), base * scale * np.sqrt(ratio)], axis=1)
    objects, fixed = sizes[:, None, None, :], anchors[None, :, None, :]
    apart = (OFFSETS * 2**level)[None, None, :, None]
    shared = np.minimum(np.minimum(objects, fixed), (objects + fixed) / 2 - apart).clip(0)  # (N, A, offsets, x and y)
    inside = shared[:, :, :, None, 0] * shared[:, :, None, :, 1]
    union = sizes.prod(axis=1)[:, None, None, None] + anchors.prod(axis=1)[None, :, None, None] - inside
    return (inside / union).max(axis=1).reshape(len(sizes), -1)
