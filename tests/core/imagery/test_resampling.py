"""Resampling keeps places, means and validity."""

import numpy as np
import pytest
from affine import Affine

from core.imagery.resampling import reach, resample

ALL = np.ones((60, 60), bool)


def centred(scale, width, height, turn=0.0):
    """From target px to source px, about the middle of 60 x 60 px."""
    return (
        Affine.translation(30, 30)
        @ Affine.rotation(turn)
        @ Affine.scale(scale)
        @ Affine.translation(-width / 2, -height / 2)
    )


@pytest.mark.parametrize("scale", [0.5, 0.8, 1.2, 2.0, 3.3])
@pytest.mark.parametrize("turn", [0.0, 25.0])
def test_a_ramp_stays_a_ramp(scale, turn):
    y, x = np.mgrid[:60, :60] + 0.5
    image = np.rint(np.stack([2 * x + 20, 3 * y + 10])).astype(np.uint8)
    size = int(30 / scale)
    to_source = centred(scale, size, size, turn)
    resampled, valid = resample(image, ALL, to_source, size, size)
    v, u = np.mgrid[:size, :size] + 0.5
    wanted_x, wanted_y = to_source @ (u, v)
    assert valid.all()
    np.testing.assert_allclose(resampled[0], 2 * wanted_x + 20, atol=1.6)
    np.testing.assert_allclose(resampled[1], 3 * wanted_y + 10, atol=1.6)


@pytest.mark.parametrize("mirror", [(1, -1), (-1, 1), (-1, -1)])
def test_mirroring_is_exact(mirror):
    image = np.random.default_rng(0).integers(0, 255, (3, 60, 60), dtype=np.uint8)
    a, e = mirror
    resampled, _ = resample(image, ALL, Affine(a, 0, 10 if a > 0 else 50, 0, e, 10 if e > 0 else 50), 40, 40)
    assert (resampled == image[:, 10:50, 10:50][:, ::e, ::a]).all()


@pytest.mark.parametrize("scale", [0.7, 1.3, 2.5])
@pytest.mark.parametrize("turn", [0.0, 25.0])
def test_invalid_pixels_do_not_mix_in(scale, turn):
    image = np.full((1, 60, 60), 200, np.uint8)
    valid = ALL.copy()
    valid[:, 30:] = False
    image[:, ~valid] = 0
    size = int(24 / scale)
    to_source = centred(scale, size, size, turn)
    resampled, seen = resample(image, valid, to_source, size, size)
    assert 0.4 < seen.mean() < 0.6
    assert np.abs(resampled[0][seen].astype(int) - 200).max() <= 2
    v, u = np.nonzero(seen)
    assert (to_source @ (u + 0.5, v + 0.5))[0].max() < 30 + scale / 2 + 0.51


def test_reach_grows_with_the_coarser_axis():
    assert reach(Affine.scale(0.5)) == 4
    assert reach(Affine.scale(1.0, 4.0)) == 13
