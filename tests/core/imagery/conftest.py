"""Rasters made on the spot: a scene with texture, and files of any encoding of it."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning

from core.imagery.grid import Grid
from core.job.card import Band

DATA = Path(__file__).resolve().parents[3] / ".." / "shared" / "data"
UTM = Affine(0.6, 0.0, 543557.4, 0.0, -0.6, 3741204.6)  # 0.6 m in EPSG:26911, 34° north


@pytest.fixture
def rgb():
    return (Band("red", mean=100.4), Band("green", mean=110.0), Band("blue", mean=120.0))


@pytest.fixture
def write_raster(tmp_path):
    """Write an array (bands, rows, columns) as a raster; returns its path."""

    def write(image, name="raster.tif", transform=UTM, crs="EPSG:26911", finish=None, driver="GTiff", **profile):
        path = tmp_path / name
        shape = {"count": image.shape[0], "height": image.shape[1], "width": image.shape[2]}
        georeference = {} if transform is None else {"transform": transform}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            options = {**shape, **georeference, **profile}
            with rasterio.open(path, "w", driver=driver, dtype=image.dtype, crs=crs, **options) as dataset:
                dataset.write(image)
                if finish:
                    finish(dataset)
        return str(path)

    return write


@pytest.fixture
def scene():
    """Smooth random texture, uint8 (3, rows, columns) between 20 and 230, the same for the same size."""

    def make(rows=96, columns=120):
        rng = np.random.default_rng(7)
        coarse = rng.uniform(20, 230, (3, rows // 8 + 2, columns // 8 + 2))
        y, x = np.arange(rows) / 8, np.arange(columns) / 8
        j, i = y.astype(int)[:, None], x.astype(int)[None]
        v, u = (y % 1)[:, None], (x % 1)[None]
        blend = (coarse[:, j, i] * (1 - u) + coarse[:, j, i + 1] * u) * (1 - v)
        blend += (coarse[:, j + 1, i] * (1 - u) + coarse[:, j + 1, i + 1] * u) * v
        return np.rint(blend).astype(np.uint8)

    return make


@pytest.fixture
def pixel_grid():
    """A grid whose map coordinates are x = column, y = -row."""

    def make(width, height):
        return Grid(width, height, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))

    return make


@pytest.fixture
def shared_data():
    """The folder of real imagery beside the checkout."""
    if not DATA.is_dir():
        pytest.skip("needs the real imagery in ../shared/data")
    return DATA
