"""Which band plays which role, and which is transparency."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp as CI

from core.imagery.bands import choose_bands
from core.job.errors import RasterError

RGB = ("red", "green", "blue")


@pytest.fixture
def chosen(write_raster):
    def choose(image, roles=RGB, bands=None, interpretation=None, names=None, tags=None, colormap=None):
        def finish(dataset):
            if interpretation:
                dataset.colorinterp = interpretation
            for index, name in enumerate(names or (), 1):
                dataset.set_band_description(index, name)
            for index, values in (tags or {}).items():
                dataset.update_tags(index, **values)
            if colormap:
                dataset.write_colormap(1, colormap)

        kind = {"alpha": "YES"} if len(image) == 2 else {"photometric": "MINISBLACK"}
        with rasterio.open(write_raster(image, finish=finish, **kind)) as dataset:
            return choose_bands(dataset, "a.tif", roles, bands)

    return choose


def grey(count, low=0, high=255):
    return np.random.default_rng(1).integers(low, high, (count, 40, 50), dtype=np.uint8, endpoint=True)


def with_alpha(alpha):
    return np.concatenate([grey(3), alpha[None].astype(np.uint8)])


def test_colour_interpretation_rules_over_the_order(chosen):
    choice = chosen(grey(3), interpretation=[CI.blue, CI.green, CI.red])
    assert choice.indexes == (3, 2, 1)
    assert choice.notices == ()


def test_the_users_bands_rule_over_all(chosen):
    assert chosen(grey(4), bands=(4, 2, 1), interpretation=[CI.red, CI.green, CI.blue, CI.undefined]).indexes == (
        4,
        2,
        1,
    )


@pytest.mark.parametrize(
    "names", [("Blue", "Green", "Red", "NIR"), ("B02", "B03", "B04", "B08"), ("", "verde band", "", "")]
)
def test_names(chosen, names):
    image = grey(4)
    if names[0]:
        assert chosen(image, (*RGB, "nir"), names=names).indexes == (3, 2, 1, 4)
        assert chosen(image, (*RGB, "nir"), names=names).notices == ()
    else:
        assert chosen(image, names=names).indexes == (1, 2, 3)


def test_red_edge_and_near_infrared_are_not_red(chosen):
    names = ("Red edge 1", "near-infrared", "coastal blue", "red 665 nm", "green", "blue")
    assert chosen(grey(6), (*RGB, "nir"), names=names).indexes == (4, 5, 6, 2)


def test_wavelengths_in_nanometres_and_micrometres(chosen):
    tags = {
        1: {"wavelength": "0.842"},
        2: {"wavelength": "665.0 Nanometers"},
        3: {"wavelength": "560"},
        4: {"wavelength": "490"},
    }
    assert chosen(grey(4), (*RGB, "nir"), tags=tags).indexes == (2, 3, 4, 1)


def test_places_are_the_last_resort_and_said_so(chosen):
    choice = chosen(grey(4), (*RGB, "nir"))
    assert choice.indexes == (1, 2, 3, 4)
    assert "does not say which band is which" in choice.notices[0]


def test_what_cannot_be_told_is_asked(chosen):
    with pytest.raises(RasterError, match="Choose the bands"):
        chosen(grey(5), names=("red", "green", "elevation", "slope", "aspect"))
    with pytest.raises(RasterError, match="nir cannot be told"):
        chosen(grey(3), (*RGB, "nir"))


def test_one_band_is_grey(chosen):
    choice = chosen(grey(1))
    assert choice.indexes == (1, 1, 1)
    assert choice.notices == ("'a.tif' has one band; it is used as grey in place of red, green, blue.",)
    assert chosen(grey(1), ("gray",)).notices == ()
    with pytest.raises(RasterError, match="has one band"):
        chosen(grey(1), (*RGB, "nir"))


def test_grey_with_transparency_is_grey(chosen):
    alpha = np.zeros((40, 50))
    alpha[10:] = 255
    image = np.stack([grey(1)[0], alpha.astype(np.uint8)])
    choice = chosen(image, interpretation=[CI.gray, CI.alpha])
    assert (choice.indexes, choice.alpha) == ((1, 1, 1), 2)


@pytest.mark.parametrize("bands", [(1, 2), (1, 2, 9), (0, 1, 2)])
def test_impossible_choices_are_refused(chosen, bands):
    with pytest.raises(RasterError, match="chosen"):
        chosen(grey(3), bands=bands)


def test_near_infrared_tagged_alpha_is_no_transparency(chosen):
    choice = chosen(with_alpha(grey(1, 8, 196)[0]), (*RGB, "nir"), interpretation=[CI.red, CI.green, CI.blue, CI.alpha])
    assert choice.alpha is None
    assert choice.indexes == (1, 2, 3, 4)
    assert "Band 4 is marked as transparency" in choice.notices[0]


def test_true_transparency(chosen):
    feathered = np.repeat(np.clip(np.arange(50) * 30 - 300, 0, 255)[None], 40, axis=0)
    for alpha in (np.full((40, 50), 255), np.zeros((40, 50)), feathered, feathered > 0):
        choice = chosen(with_alpha(alpha), interpretation=[CI.red, CI.green, CI.blue, CI.alpha])
        assert (choice.alpha, choice.notices) == (4, ())


def test_transparency_that_the_user_wants_as_a_band(chosen):
    image = with_alpha(np.full((40, 50), 255))
    choice = chosen(image, bands=(4, 1, 2), interpretation=[CI.red, CI.green, CI.blue, CI.alpha])
    assert (choice.indexes, choice.alpha) == ((4, 1, 2), None)


def test_a_palette_gives_its_colours(chosen):
    colours = {0: (10, 20, 30, 255), 7: (200, 100, 50, 255), 9: (1, 2, 3, 0)}
    choice = chosen(grey(1), colormap=colours)
    assert choice.palette[:, 0].tolist() == [10, 20, 30]
    assert choice.palette[:, 7].tolist() == [200, 100, 50]
    assert chosen(grey(1), ("gray",), colormap=colours).palette[:, 7].tolist() == [124]
    with pytest.raises(RasterError, match="palette"):
        chosen(grey(1), (*RGB, "nir"), colormap=colours)
