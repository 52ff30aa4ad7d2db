"""What the homes of one district have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import palette
from .palette import Material


@dataclass(frozen=True)
class Style:
    """What the parcels of one district have in common; rates are chances or means a parcel."""

    roofs: tuple[str, ...]
    roof_weights: tuple[float, ...]
    roof_form: str
    green: float
    trees: float
    street_trees: float
    palms: float
    pools: float
    crown: int

    @classmethod
    def pick(cls, rng: np.random.Generator, density: float) -> Style:
        """Choose a district's style."""
        names = tuple(palette.ROOFS)
        weights = np.array([3.0, 2.5, 2.0, 1.6, 1.2, 0.5, 0.7, 0.06, 0.06]) * rng.gamma(1.1, 1.0, len(names))
        return cls(
            roofs=names,
            roof_weights=tuple(float(w) for w in weights / weights.sum()),
            roof_form=str(rng.choice(["hip", "gable", "mixed", "flat"], p=(0.35, 0.25, 0.33, 0.07))),
            green=float(rng.uniform(0.1, 0.7)),
            trees=float(rng.gamma(3.0, 1.7)),
            street_trees=float(rng.choice([0.15, 0.5, 0.95])),
            palms=float(rng.choice([0.0, 0.1, 0.5], p=(0.5, 0.35, 0.15))),
            pools=min(0.75, density * float(rng.gamma(1.3, 0.105))),
            crown=int(rng.integers(len(palette.CROWNS))),
        )

    def tree(self, rng: np.random.Generator) -> Material:
        """Choose a tree: mostly the district's own kind."""
        if rng.random() < 0.007:
            return palette.BLOSSOM
        return palette.CROWNS[self.crown if rng.random() < 0.5 else rng.integers(len(palette.CROWNS))]

    def garden(self, rng: np.random.Generator) -> Material:
        """Choose what a garden is covered with."""
        if rng.random() < self.green:
            return palette.LAWN
        covers = (palette.DRY_LAWN, palette.SOIL, palette.GRAVEL, palette.WEEDS)
        return covers[rng.choice(4, p=(0.45, 0.25, 0.15, 0.15))]
