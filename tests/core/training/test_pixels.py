from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from core.imagery.raster import Raster, open_raster
from core.job.card import Band
from core.training.pixels import RasterPixels, RasterStore

SIZE = (1300, 1100)  # height, width


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, *SIZE), np.uint8)


@pytest.fixture
def raster(tmp_path: Path, image: np.ndarray) -> Path:
    place = {"crs": "EPSG:32611", "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)}
    profile = {"driver": "GTiff", "count": 3, "height": SIZE[0], "width": SIZE[1], "dtype": "uint8", **place}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as target:
        target.write(image)
    return tmp_path / "a.tif"


def opened(path: str) -> Raster:
    return open_raster(path, tuple(Band(r) for r in ("red", "green", "blue")), 0.5)


def window(raster: Path, *place: int, **limits: int) -> RasterPixels:
    return RasterPixels(RasterStore(opened, **limits), str(raster), *(place or (0, 0, *SIZE[::-1])))


def test_windows_are_cut_like_an_array(raster, image):
    pixels = window(raster, 100, 90, 900, 1200)
    inside = image[:, 90:1290, 100:1000]
    assert pixels.shape == inside.shape
    for rows, cols in ((slice(0, 64), slice(0, 64)), (slice(300, 1100), slice(5, 899)), (slice(None), slice(None))):
        assert np.array_equal(pixels[:, rows, cols], inside[:, rows, cols])
    assert np.array_equal(pixels[1:2, 5:9, 7:20], inside[1:2, 5:9, 7:20])
    assert pixels[:, 9:9, 3:8].shape == (3, 0, 5)


def test_no_more_is_kept_than_there_is_room_for(raster, image):
    pixels = window(raster, most_bytes=2 * 3 * 512 * 512)
    assert np.array_equal(pixels[:, :, :], image)
    assert 0 < pixels.store.bytes <= pixels.store.most_bytes
    pixels.store.close()
    assert pixels.store.bytes == 0
    assert np.array_equal(pixels[:, 5:9, 5:9], image[:, 5:9, 5:9])


def test_a_block_that_was_read_is_not_read_again(raster, monkeypatch):
    reads: list[tuple[int, ...]] = []
    read = Raster.read
    monkeypatch.setattr(Raster, "read", lambda self, *window: reads.append(window) or read(self, *window))
    pixels = window(raster)
    for x in range(0, 400, 50):
        pixels[:, 0:64, x : x + 64]
    assert len(reads) == 1


def test_several_threads_may_read(raster, image):
    pixels = window(raster, most_bytes=1_000_000)
    with ThreadPoolExecutor(4) as pool:
        cuts = [(y, x) for y in range(0, 1200, 150) for x in range(0, 1000, 130)]
        found = list(pool.map(lambda at: pixels[:, at[0] : at[0] + 64, at[1] : at[1] + 64], cuts))
    assert all(np.array_equal(cut, image[:, y : y + 64, x : x + 64]) for (y, x), cut in zip(cuts, found, strict=True))


def test_only_so_many_files_are_open_at_once(raster, image):
    closed: list[str] = []
    store = RasterStore(opened, most_open=2)
    names = [str(raster), str(raster.parent / "." / raster.name), f"{raster.parent}/../{raster.parent.name}/a.tif"]
    for name in (names[0], f"{raster.parent}/./a.tif", names[2]):
        opening = store.raster(name)
        close = opening.close
        opening.close = lambda name=name, close=close: closed.append(name) or close()
    assert closed == [names[0]]
    assert np.array_equal(RasterPixels(store, names[0], 0, 0, 40, 40)[:, :, :], image[:, :40, :40])
