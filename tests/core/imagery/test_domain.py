"""A raster unlike the model's imagery is told in a sentence; one alike is passed in silence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.imagery.domain import sample_seen, unlike_the_model
from core.imagery.raster import open_raster
from core.job.card import Band, read_card
from core.scene.scene import draw_scene

SIDE = 224
MODEL = Path(__file__).resolve().parents[3] / "resources" / "models" / "swimming-pools.safetensors"


@pytest.fixture(scope="module")
def suburb():
    """Bands red, green, blue, near infrared of two drawn suburbs, side by side."""
    return np.concatenate([draw_scene(SIDE, seed).image for seed in (10, 12)], axis=2)


@pytest.fixture(scope="module")
def card_bands():
    """Bands of a card that has learnt from drawn suburbs."""
    values = np.concatenate([draw_scene(SIDE, seed).image[:3].reshape(3, -1) for seed in (1, 2)], axis=1)
    return tuple(
        Band(
            role, mean=float(band.mean()), std=float(band.std()), histogram=tuple(np.bincount(band >> 2, minlength=64))
        )
        for role, band in zip(("red", "green", "blue"), values, strict=True)
    )


@pytest.fixture
def sentences(write_raster, card_bands):
    def tell(image, **options):
        with open_raster(write_raster(image), card_bands, 0.6, **options) as raster:
            return [caution.text for caution in unlike_the_model(raster, card_bands)]

    return tell


def test_a_suburb_like_those_learnt_is_passed(suburb, sentences):
    assert sentences(suburb[:3]) == []


def test_blue_first_is_seen(suburb, sentences):
    (said,) = sentences(suburb[2::-1])
    assert "blue first" in said
    assert sentences(suburb[2::-1], bands=(3, 2, 1)) == []  # the remedy helps


def test_near_infrared_as_red_is_seen(suburb, sentences):
    (said,) = sentences(suburb[[3, 0, 1]])
    assert "near infrared" in said


def test_haze_is_seen(suburb, sentences):
    (said,) = sentences((suburb[:3] * 0.5 + 110).clip(0, 255).astype(np.uint8))
    assert "hazier" in said


@pytest.mark.parametrize(
    ("stretch", "words"),
    [
        (lambda values: values * 0.35, "darker"),
        (lambda values: values * 0.5 + 127, "hazier"),
        (lambda values: values * 0.3 + 55, "less contrast"),
        (lambda values: (values - 90) * 8, "cuts them off"),
    ],
)
def test_other_stretches_are_seen(suburb, sentences, stretch, words):
    (said,) = sentences(stretch(suburb[:3].astype(float)).clip(0, 255).astype(np.uint8))
    assert words in said


def test_a_range_given_by_hand_counts(suburb, sentences):
    dark = (suburb[:3] * 0.35).astype(np.uint8)
    assert sentences(dark) != []
    assert sentences(dark, value_range=(0, 89)) == []


def test_nothing_is_said_without_histograms_or_without_pixels(suburb, write_raster, card_bands):
    bare = tuple(replace(band, histogram=()) for band in card_bands)
    with open_raster(write_raster(suburb[2::-1]), bare, 0.6) as raster:
        assert unlike_the_model(raster, bare) == []
    empty = np.zeros((3, 200, 200), np.uint8)
    with open_raster(write_raster(empty, nodata=0), card_bands, 0.6) as raster:
        assert sample_seen(raster).shape == (3, 0)
        assert unlike_the_model(raster, card_bands) == []


def test_real_imagery_of_the_models_kind_is_passed(shared_data):
    bands = read_card(MODEL).bands
    variants = shared_data / "geotiff_variants"
    with open_raster(str(variants / "01_rgb_uint8.tif"), bands, 0.6) as raster:
        assert unlike_the_model(raster, bands) == []
    with open_raster(str(variants / "04_bgr_uint8.tif"), bands, 0.6, bands=(1, 2, 3)) as raster:
        assert "blue first" in unlike_the_model(raster, bands)[0].text
