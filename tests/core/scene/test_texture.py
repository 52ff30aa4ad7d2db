import numpy as np

from core.scene.texture import PERIOD, Texture


def test_noises_are_standard_and_ever_finer():
    noise = Texture(0.2, np.random.default_rng(0)).window(0, 0, PERIOD, PERIOD)
    assert np.allclose(noise.mean((0, 1)), 0, atol=1e-4) and np.allclose(noise.std((0, 1)), 1, atol=1e-3)
    steps = np.abs(np.diff(noise, axis=1)).mean((0, 1))
    assert steps[0] < 0.3 * steps[1] < 0.3 * steps[2]


def test_windows_are_cut_from_one_endless_field():
    texture = Texture(0.2, np.random.default_rng(4))
    large = texture.window(-20, -30, 100, 120)
    assert np.array_equal(texture.window(5, -10, 40, 50), large[25:65, 20:70])
    assert np.array_equal(texture.window(PERIOD, -PERIOD, 8, 8), texture.window(0, 0, 8, 8))
