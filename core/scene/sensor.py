"""From the drawn light to the picture: area average, blur, haze and colour cast, noise, 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MARGIN_PX = 3  # of the picture, drawn around each tile for the blur; 0.6 % of the kernel lies outside at most


@dataclass(frozen=True)
class Sensor:
    """One flight's camera and air: blur (standard deviation in px), gain and haze by band, noise in grey levels."""

    blur_px: float
    gain: np.ndarray
    haze: np.ndarray
    noise: float

    @classmethod
    def pick(cls, rng: np.random.Generator) -> Sensor:
        """Choose a plausible flight."""
        haze = rng.uniform(0, 9) * np.array([0.6, 0.9, 1.1, 0.5])
        warm, green, near = rng.standard_normal(3)
        gain = rng.normal(1.0, 0.08) * (1 + np.array([0.03 * warm, 0.012 * green, -0.03 * warm, 0.04 * near]))
        return cls(float(rng.uniform(0.42, 0.68)), gain, haze, float(rng.uniform(1.2, 2.6)))

    def expose(self, values: np.ndarray, oversampling: int, rng: np.random.Generator) -> np.ndarray:
        """Turn drawn samples (rows, columns, 4), with MARGIN_PX around, into uint8 (4, height, width)."""
        picture = self._blurred(area_average(values, oversampling)) * self.gain + self.haze
        picture += self.noise * rng.standard_normal(picture.shape, np.float32)
        return np.rint(picture).clip(0, 255).astype(np.uint8).transpose(2, 0, 1)

    def _blurred(self, picture: np.ndarray) -> np.ndarray:
        reach = np.arange(-MARGIN_PX, MARGIN_PX + 1)
        kernel = np.exp(-(reach**2) / (2 * self.blur_px**2))
        kernel = (kernel / kernel.sum()).astype(np.float32)
        rows = picture.shape[0] - 2 * MARGIN_PX
        picture = sum(weight * picture[k : k + rows] for k, weight in enumerate(kernel))
        columns = picture.shape[1] - 2 * MARGIN_PX
        return sum(weight * picture[:, k : k + columns] for k, weight in enumerate(kernel))


def area_average(values: np.ndarray, factor: int) -> np.ndarray:
    """Mean of each `factor` by `factor` samples: (rows, columns, C) to (rows / factor, columns / factor, C)."""
    total = sum(values[i::factor, j::factor] for i in range(factor) for j in range(factor))
    return total / np.float32(factor * factor)
