import numpy as np
import pytest

from core.scene.sensor import MARGIN_PX, Sensor, area_average


def test_area_average_is_the_mean_of_each_square():
    values = np.arange(36, dtype=np.float32).reshape(6, 6, 1)
    assert np.allclose(area_average(values, 3)[..., 0], [[7, 10], [25, 28]])


def test_an_even_ground_stays_even_and_takes_gain_and_haze():
    sensor = Sensor(0.6, np.array([1.0, 0.9, 1.1, 1.0]), np.array([5.0, 0, 0, 0]), 0.0)
    side = 3 * (4 + 2 * MARGIN_PX)
    picture = sensor.expose(np.full((side, side, 4), 100, np.float32), 3, np.random.default_rng(0))
    assert picture.shape == (4, 4, 4)
    assert [int(band[0, 0]) for band in picture] == [105, 90, 110, 100]
    assert all(len(np.unique(band)) == 1 for band in picture)


def test_blur_spreads_light_and_keeps_its_sum():
    sensor = Sensor(0.6, np.ones(4), np.zeros(4), 0.0)
    values = np.zeros((9 + 2 * MARGIN_PX, 9 + 2 * MARGIN_PX, 4), np.float32)
    values[4 + MARGIN_PX, 4 + MARGIN_PX] = 250
    picture = sensor.expose(values, 1, np.random.default_rng(0))[0].astype(float)
    assert picture.sum() == pytest.approx(250, abs=6)  # rounding of each pixel
    assert picture[4, 4] == picture.max() < 150 and picture[4, 3] == picture[4, 5] == picture[3, 4] > 20
