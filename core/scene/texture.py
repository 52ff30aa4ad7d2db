"""Noise of three grain sizes, endless and without seams, the same wherever a tile of the scene is cut."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

PERIOD = 1024  # samples; 205 m at 0.2 m, longer than anything of one paint
SIGMAS_M = (6.0, 0.9, 0.25)  # mottle, clump, grain
_SEED = 20_200_601


class Texture:
    """Samples of the three noises, standard normal, on a grid of `step_m`, shifted by the scene's own offset."""

    def __init__(self, step_m: float, rng: np.random.Generator) -> None:
        self._fields = _noise_fields(step_m)
        self._offset = rng.integers(0, PERIOD, 2)

    def window(self, row: int, column: int, rows: int, columns: int) -> np.ndarray:
        """Noise float32 (rows, columns, 3) from sample (row, column) of the scene on; both may be negative."""
        down = (np.arange(row, row + rows) + self._offset[0]) % PERIOD
        across = (np.arange(column, column + columns) + self._offset[1]) % PERIOD
        return self._fields[down[:, None], across[None, :]]


@lru_cache(maxsize=4)
def _noise_fields(step_m: float) -> np.ndarray:
    """Periodic gaussian-filtered white noise, (PERIOD, PERIOD, 3), each standardised."""
    rng = np.random.default_rng(_SEED)
    frequency = np.fft.fftfreq(PERIOD)
    squared = frequency[:, None] ** 2 + frequency[None, : PERIOD // 2 + 1] ** 2
    fields = []
    for sigma_m in SIGMAS_M:
        white = np.fft.rfft2(rng.standard_normal((PERIOD, PERIOD)))
        smooth = np.fft.irfft2(white * np.exp(-2 * np.pi**2 * (sigma_m / step_m) ** 2 * squared), s=(PERIOD, PERIOD))
        fields.append((smooth - smooth.mean()) / smooth.std())
    return np.stack(fields, axis=-1).astype(np.float32)
