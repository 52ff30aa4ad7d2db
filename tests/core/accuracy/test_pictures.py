import base64
import io
import re

import numpy as np
import pytest
import rasterio

from core.accuracy.pictures import GAP, Outline, in_colour, picture, png


def decoded(data: bytes) -> np.ndarray:
    with rasterio.MemoryFile(io.BytesIO(data), ext=".png") as file, file.open() as image:
        return image.read()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_png_holds_the_very_pixels():
    values = np.random.default_rng(1).integers(0, 256, (3, 7, 5), np.uint8)
    assert (decoded(png(values)) == values).all()
    assert (decoded(png(values[:, :1, :1])) == values[:, :1, :1]).all()


def test_bands_are_shown_in_their_colours():
    values = np.arange(4, dtype=np.uint8).reshape(4, 1, 1)
    assert in_colour(values, ("nir", "blue", "green", "red")).ravel().tolist() == [3, 2, 1]
    assert in_colour(values, ("nir", "red", "green", "other")).ravel().tolist() == [0, 1, 2]
    assert in_colour(values[:1], ("gray",)).ravel().tolist() == [0, 0, 0]


def test_panels_stand_side_by_side_with_their_own_boxes_over_one_image():
    values = np.zeros((3, 20, 40), np.uint8)
    svg = picture(values, [[Outline((10, 5, 20, 15), "#ffd400")], [Outline((0, 0, 4, 4), "#00e5ff", text="0.9")]], 80)
    assert f'viewBox="0 0 {2 * 80 + GAP:.1f} 40.0"' in svg
    assert '<rect x="20.0" y="10.0" width="20.0" height="20.0"' in svg
    assert svg.count("data:image/png") == 1
    assert svg.count("<use ") == 2
    assert "0.9</text>" in svg


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_imagery_far_sharper_than_the_page_is_thinned_and_boxes_stay_in_place():
    values = np.zeros((3, 1000, 1000), np.uint8)
    values[:, :500] = 200
    svg = picture(values, [[Outline((0, 500, 1000, 1000), "#ffd400")]], 100)
    data = base64.b64decode(re.search(r"base64,([^\"]+)", svg)[1])
    assert decoded(data).shape == (3, 200, 200)
    assert decoded(data)[0, :100].min() == 200
    assert '<rect x="0.0" y="50.0" width="100.0" height="50.0"' in svg
