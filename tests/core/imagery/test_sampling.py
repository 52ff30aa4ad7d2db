"""A thin sample reaches over the whole raster."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling

from core.imagery.sampling import SAMPLE_PX, read_thinned, sample_places


@pytest.fixture
def ramp(write_raster):
    """Column number in band 1, row number in band 2."""

    def make(rows, columns, **profile):
        y, x = np.mgrid[:rows, :columns].astype(np.uint16)
        return write_raster(np.stack([x, y]), **profile)

    return make


def test_a_small_raster_is_read_whole(ramp):
    with rasterio.open(ramp(30, 40)) as dataset:
        assert (read_thinned(dataset, [1, 2]) == dataset.read().reshape(2, -1)).all()


@pytest.mark.parametrize("limit", [64_000_000, 1000])
def test_a_large_one_is_thinned_over_all_of_it(ramp, monkeypatch, limit):
    monkeypatch.setattr("core.imagery.sampling.MAX_DECODED_PX", limit)
    with rasterio.open(ramp(1500, 2100, tiled=True, blockxsize=128, blockysize=256)) as dataset:
        columns, rows = read_thinned(dataset, [1, 2])
    assert columns.size <= 1.05 * max(SAMPLE_PX, 16 * 16 * 64 * 64)
    for values, size in ((columns, 2100), (rows, 1500)):
        assert values.min() < 10
        assert values.max() > size - 256
        assert values.mean() == pytest.approx(size / 2, rel=0.12)


def test_windows_begin_at_blocks(ramp, monkeypatch):
    monkeypatch.setattr("core.imagery.sampling.MAX_DECODED_PX", 1000)
    with rasterio.open(ramp(1500, 2100, tiled=True, blockxsize=128, blockysize=256)) as dataset:
        windows = [window for window, _ in sample_places(dataset)]
    assert all(window.col_off % 128 == 0 or window.col_off == 2100 - 64 for window in windows)
    assert all(window.row_off % 256 == 0 or window.row_off == 1500 - 64 for window in windows)


def test_overviews_spare_the_windows(ramp, monkeypatch):
    monkeypatch.setattr("core.imagery.sampling.MAX_DECODED_PX", 1000)
    path = ramp(1500, 2100)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2], Resampling.nearest)
    with rasterio.open(path) as dataset:
        assert len(list(sample_places(dataset))) == 1
