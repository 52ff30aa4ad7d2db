"""A parcel and what stands where on it: values in its own frame, x along the street, y from the street inwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .builder import Frame


@dataclass(frozen=True)
class Box:
    """An upright rectangle of a frame: x from left to right, y from near to far."""

    left: float
    near: float
    right: float
    far: float


@dataclass(frozen=True)
class Circle:
    """A circle of a frame."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Drive:
    """A drive from the street to the house: the middle of its width, and its width."""

    x: float
    width: float


@dataclass(frozen=True)
class Parcel:
    """Land for one home: the origin of its frame is the middle of its street side.

    `outline`: its corners (4, 2) in the plan: left and right on the street, right and left at the back. `kerb`: metres
    from the street side out to the carriageway. `house`, `yard` (behind it) and `drive` divide it.
    """

    frame: Frame
    outline: np.ndarray
    width: float
    depth: float
    kerb: float
    house: Box
    yard: Box
    drive: Drive

    @classmethod
    def divide(
        cls, frame: Frame, outline: np.ndarray, width: float, depth: float, kerb: float, rng: np.random.Generator
    ) -> Parcel:
        """Choose where house, yard and drive lie."""
        half = width / 2
        left, right = rng.uniform(0.7, 2.2, 2)
        front = rng.uniform(5.0, 8.5)
        deep = max(8.0, min(rng.uniform(12, 20), depth - front - rng.uniform(6, 13)))
        wide = float(rng.choice([3.2, 5.5, 6.2], p=(0.35, 0.35, 0.3)))
        side = rng.choice([-1.0, 1.0])
        return cls(
            frame,
            outline,
            width,
            depth,
            kerb,
            house=Box(-half + left, front, half - right, front + deep),
            yard=Box(-half + 0.8, front + deep + 0.8, half - 0.8, depth - 0.8),
            drive=Drive(float(side * (half - wide / 2 - rng.uniform(1.0, 2.5))), wide),
        )

    def split(self, y: float) -> tuple[np.ndarray, np.ndarray]:
        """Outlines (4, 2) in the plan of the parts nearer and farther than `y` from the street."""
        left, right, far_right, far_left = self.outline
        share = y / self.depth
        left_y, right_y = left + share * (far_left - left), right + share * (far_right - right)
        return np.array([left, right, right_y, left_y]), np.array([left_y, right_y, far_right, far_left])
