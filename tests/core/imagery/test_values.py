"""Which source values become 0 and 255."""

import numpy as np
import pytest

from core.imagery.values import SourceBand, choose_ranges, to_bytes
from core.job.card import Band

RGB = (Band("red"), Band("green"), Band("blue"))


def ranges(dtype, values=None, card=RGB, value_range=None, **described):
    sources = [SourceBand(dtype, **described)] * len(card)
    return choose_ranges(sources, card, value_range, lambda: np.asarray(values))[0]


def ramp(low, high, kind=np.float64, bands=3):
    return np.stack([np.linspace(low, high, 1001)] * bands).astype(kind)


def test_8_bit_is_never_stretched():
    assert ranges("uint8") == ((0.0, 255.0),) * 3  # and never sampled
    assert ranges("int8") == ((-128.0, 127.0),) * 3


def test_the_users_range_rules():
    assert ranges("uint8", value_range=(10.0, 90.0)) == ((10.0, 90.0),) * 3
    assert ranges("uint16", value_range=(0.0, 4000.0), nbits=12) == ((0.0, 4000.0),) * 3


def test_declared_bits():
    assert ranges("uint16", nbits=12) == ((0.0, 4095.0),) * 3
    assert ranges("uint8", nbits=4) == ((0.0, 15.0),) * 3


def test_a_0_to_1_float():
    assert ranges("float32", ramp(0.05, 0.9)) == ((0.0, 1.0),) * 3


def test_dark_reflectance_is_stretched():
    low, high = ranges("float32", ramp(0.02, 0.2))[0]
    assert (low, high) == pytest.approx((0.0209, 0.1991), abs=1e-4)


def test_8_bit_values_in_a_wider_type():
    assert ranges("uint16", ramp(3, 250, np.uint16)) == ((0.0, 255.0),) * 3
    assert ranges("float32", ramp(3, 250)) == ((0.0, 255.0),) * 3


def test_scale_and_offset():
    assert ranges("uint16", ramp(1500, 10_500), scale=1e-4, offset=-0.1)[0] == pytest.approx((1000.0, 11_000.0))


def test_the_percentile_of_all_bands_together():
    values = np.stack([np.linspace(0, 1000, 1001), np.linspace(1000, 2000, 1001), np.linspace(2000, 3000, 1001)])
    known = ranges("int16", values - 500)
    assert known == (known[0],) * 3
    assert known[0] == pytest.approx((15.0 - 500, 2985.0 - 500), abs=2)


def test_bands_of_another_unit_have_their_own_range():
    card = (Band("red"), Band("other"))
    values = np.stack([np.linspace(100, 2100, 1001), np.linspace(0, 50_000, 1001)])
    red, other = ranges("uint16", values, card)
    assert red == pytest.approx((110, 2090))
    assert other == pytest.approx((250, 49_750))


def test_an_undeclared_black_collar_does_not_count():
    values = np.concatenate([np.zeros((3, 900), np.uint16), ramp(1000, 2000, np.uint16)], axis=1)
    assert ranges("uint16", values)[0] == pytest.approx((1005, 1995), abs=1)


def test_the_models_range_where_the_values_are_of_its_kind():
    card = tuple(Band(role, low=200.0, high=3200.0) for role in ("red", "green", "blue"))
    assert ranges("uint16", ramp(300, 2500), card) == ((200.0, 3200.0),) * 3
    assert ranges("uint16", ramp(5000, 60_000), card)[0] == pytest.approx((5275, 59_725))
    assert ranges("uint8", card=card) == ((0.0, 255.0),) * 3


def test_the_percentile_meets_the_training_imagerys():
    histogram = [0] * 64
    histogram[16:48] = [100] * 32  # training imagery between 64 and 191
    card = tuple(Band(role, histogram=tuple(histogram)) for role in ("red", "green", "blue"))
    values = ramp(1000, 3000)
    low, high = ranges("uint16", values, card)[0]
    mapped = to_bytes(np.array([[[1000.0, 2000.0, 3000.0]]]), [(low, high)])[0, 0]
    np.testing.assert_allclose(mapped, [64, 128, 191], atol=1)


@pytest.mark.parametrize("values", [np.empty((3, 0)), np.full((3, 10), 7.0), np.zeros((3, 10))])
def test_flat_or_missing_values_still_give_a_range(values):
    for dtype in ("uint16", "float32"):
        low, high = ranges(dtype, values)[0]
        assert high > low
    sources = [SourceBand("uint16")] * 3
    assert choose_ranges(sources, RGB, None, lambda: values)[1]  # and it is said


def test_to_bytes_is_exact_at_both_ends_and_clips():
    values = np.array([[[-5, 0, 51, 100, 101]], [[0, 10, 20, 30, 40]]], np.int16)
    mapped = to_bytes(values, [(0.0, 100.0), (10.0, 20.0)])
    assert mapped.dtype == np.uint8
    assert mapped.tolist() == [[[0, 0, 130, 255, 255]], [[0, 0, 255, 255, 255]]]


def test_to_bytes_of_what_is_not_finite():
    values = np.array([[[np.nan, np.inf, -np.inf, 0.5]]], np.float32)
    assert to_bytes(values, [(0.0, 1.0)]).tolist() == [[[0, 255, 0, 128]]]


def test_8_bit_passes_untouched():
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert to_bytes(values, [(0.0, 255.0)]) is values
