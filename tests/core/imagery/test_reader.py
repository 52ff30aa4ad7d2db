"""Reading ahead by blocks gives the tiles that reading one by one gives."""

import threading
import time
from contextlib import closing

import numpy as np
import pytest
import shapely
from affine import Affine

from core.imagery.examined import Examined
from core.imagery.raster import open_raster
from core.imagery.reader import read_batches
from core.imagery.tiles import plan_tiles
from core.job.errors import RasterError

LAYOUTS = {
    "tiled": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "rows": {},
    "resampled": {"transform": Affine(0.37, 0, 5e5, 0, -0.37, 4e6)},
    "turned": {"transform": Affine.translation(5e5, 4e6) @ Affine.rotation(20) @ Affine.scale(0.6, -0.6)},
}


def collected(raster, plan, batch_size=4, examined=None):
    tiles = {}
    for indexes, images, valid in read_batches(raster, plan, batch_size, examined):
        assert 0 < len(indexes) == len(images) == len(valid) <= batch_size
        for index, image, seen in zip(indexes.tolist(), images, valid, strict=True):
            assert index not in tiles
            tiles[index] = (image, seen)
    return tiles


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("core.imagery.blocks.BLOCK_PX", 60_000)
    monkeypatch.setattr("core.imagery.blocks.PIECE_PX", 10_000)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_tiles_equal_those_read_one_by_one(write_raster, scene, rgb, small_blocks, layout):
    with open_raster(write_raster(scene(300, 500), **layout), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32)
        examined = Examined(plan)
        tiles = collected(raster, plan, examined=examined)
        assert sorted([*tiles, *examined.empty_tiles]) == plan.indexes().tolist()
        for index, (image, seen) in tiles.items():
            x0, y0, x1, y1 = plan.window(index)
            wanted, valid = raster.read(x0, y0, x1 - x0, y1 - y0)
            assert np.abs(image.astype(int) - wanted).max() <= 1
            assert (seen == valid).all()


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_the_batch_size_does_not_change_the_tiles(write_raster, scene, rgb, small_blocks, batch_size):
    with open_raster(write_raster(scene(300, 400)), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32)
        one, other = collected(raster, plan), collected(raster, plan, batch_size)
    assert list(one) == list(other)
    assert all((one[index][0] == other[index][0]).all() for index in one)


def test_batches_stay_as_they_were_given(write_raster, scene, rgb):
    """The thread reads on while the caller still holds a batch."""
    with open_raster(write_raster(scene(300, 400)), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32)
        batches = [(images, images.copy()) for _, images, _ in read_batches(raster, plan, 2)]
    assert all((images == copy).all() for images, copy in batches)


def test_empty_tiles_are_left_out_and_noted(write_raster, scene, rgb):
    values = scene(256, 512)
    values[:, :, :300] = 0
    with open_raster(write_raster(values, nodata=0), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 0, 32)
        examined = Examined(plan)
        tiles = collected(raster, plan, examined=examined)
        gaps = examined.gaps(raster.grid)
    assert sorted(tiles) == [2, 3, 6, 7]
    assert examined.empty_tiles == [0, 1, 4, 5]
    assert sum(gap.area for gap in gaps) == pytest.approx(288 * 256 * 0.36, rel=1e-6)


def test_nothing_valid_gives_no_batch(write_raster, rgb):
    with open_raster(write_raster(np.zeros((3, 100, 100), np.uint8), nodata=0), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 64, 0, 32)
        examined = Examined(plan)
        assert collected(raster, plan, examined=examined) == {}
    assert len(examined.empty_tiles) == len(plan)


def test_only_tiles_of_the_area_are_read(write_raster, scene, rgb, small_blocks):
    corner = shapely.Polygon([(0, 0), (600, 0), (0, 500)])
    with open_raster(write_raster(scene(500, 600)), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32, corner)
        assert sorted(collected(raster, plan)) == plan.indexes().tolist()
        assert 0 < len(plan) < plan.rows * plan.cols


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_what_is_done_is_left_out_and_the_rest_comes_as_it_would_have(write_raster, scene, rgb, small_blocks, layout):
    image = scene(300, 500)
    image[:, 40:330, 30:260] = 0
    corner = shapely.Polygon([(-9, -9), (900, -9), (-9, 600)])
    with open_raster(write_raster(image, nodata=0, **layout), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 64, 32, 32, corner)
        batches = list(read_batches(raster, plan, 3))
        for begun in (1, 4, len(batches) - 1, len(batches)):
            done = np.zeros(plan.active.size, bool)
            done[[index for batch in batches[:begun] for index in batch[0]]] = True
            rest = list(read_batches(raster, plan, 3, None, done))
            assert len(rest) == len(batches) - begun
            for expected, batch in zip(batches[begun:], rest, strict=True):
                assert all(np.array_equal(one, other) for one, other in zip(expected, batch, strict=True))


def test_each_pixel_is_read_about_once(write_raster, scene, rgb, monkeypatch):
    with open_raster(write_raster(scene(600, 600)), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 64, 32)
        read, pixels = raster.read, []
        monkeypatch.setattr(raster, "read", lambda *window: pixels.append(window[2] * window[3]) or read(*window))
        collected(raster, plan)
    assert sum(pixels) < 1.3 * 600 * 600  # tile by tile it would be four times


def test_each_block_of_the_file_is_read_once(write_raster, scene, rgb, monkeypatch):
    """Pieces lie along the file's own blocks, however the tiles lie."""
    monkeypatch.setattr("core.imagery.blocks.PIECE_PX", 128 * 128)
    path = write_raster(scene(600, 700), tiled=True, blockxsize=64, blockysize=64)
    with open_raster(path, rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 160, 32, 32, shapely.box(100, 90, 650, 580))
        read, corners = raster.read, []
        monkeypatch.setattr(raster, "read", lambda *window: corners.append(window) or read(*window))
        collected(raster, plan)
    blocks = [
        (column, row)
        for x, y, width, height in corners
        for row in range(y // 64, -(-(y + height) // 64))
        for column in range(x // 64, -(-(x + width) // 64))
    ]
    assert len(corners) > 9
    assert len(blocks) == len(set(blocks))


@pytest.mark.parametrize("layout", [LAYOUTS["tiled"], LAYOUTS["resampled"]], ids=["tiled", "resampled"])
def test_ground_without_a_tile_is_not_read(write_raster, scene, rgb, monkeypatch, layout):
    monkeypatch.setattr("core.imagery.blocks.PIECE_PX", 64 * 64)
    corner = shapely.Polygon([(0, 0), (640, 0), (0, 640)])
    with open_raster(write_raster(scene(700, 700), **layout), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32, corner)
        read, seen = raster.read, np.zeros((2000, 2000), bool)

        def noting(x, y, width, height):
            seen[y : y + height, x : x + width] = True
            return read(x, y, width, height)

        monkeypatch.setattr(raster, "read", noting)
        examined = Examined(plan)
        collected(raster, plan, examined=examined)
        tiles = np.zeros_like(seen)
        for x0, y0, x1, y1 in (plan.window(index) for index in plan.indexes()):
            tiles[y0:y1, x0:x1] = True
        gaps = examined.gaps(raster.grid)
    assert seen[tiles].all()
    wide = np.zeros_like(tiles)  # whole pieces are read
    for x, y in np.argwhere(tiles)[:, ::-1][::7] // 64 * 64:
        wide[y : y + 64, x : x + 64] = True
    assert not (seen & ~wide).any()
    assert gaps == []


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_several_threads_give_what_one_gives(write_raster, scene, rgb, small_blocks, monkeypatch, layout):
    with open_raster(write_raster(scene(300, 500), **layout), rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32)
        monkeypatch.setattr("core.imagery.blocks.LOCAL_THREADS", 1)
        one = collected(raster, plan)
        monkeypatch.setattr("core.imagery.blocks.LOCAL_THREADS", 4)
        twins, twin = [], raster.twin
        monkeypatch.setattr(raster, "twin", lambda: twins.append(twin()) or twins[-1])
        several = collected(raster, plan)
    assert 1 <= len(twins) <= 3
    assert list(one) == list(several)
    assert all((one[index][part] == several[index][part]).all() for index in one for part in (0, 1))


def test_reading_is_never_far_ahead(write_raster, scene, rgb, monkeypatch):
    """A slow network is not buried in pixels."""
    monkeypatch.setattr("core.imagery.blocks.BLOCK_PX", 60_000)
    path = write_raster(scene(200, 3000), tiled=True, blockxsize=64, blockysize=64)
    with open_raster(path, rgb, 0.6) as raster:
        plan = plan_tiles(raster.grid, 128, 0, 32)
        read, columns = raster.read, []
        monkeypatch.setattr(raster, "read", lambda *window: columns.append(window[0] + window[2]) or read(*window))
        with closing(read_batches(raster, plan, 1)) as batches:
            index = next(batches)[0][0]
            time.sleep(0.3)
            assert max(columns) <= plan.window(index)[2] + 4 * 300


def test_closing_early_stops_the_threads(write_raster, scene, rgb, monkeypatch):
    monkeypatch.setattr("core.imagery.blocks.LOCAL_THREADS", 3)
    before = threading.active_count()
    with open_raster(write_raster(scene(500, 600)), rgb, 0.6) as raster:
        batches = read_batches(raster, plan_tiles(raster.grid, 128, 32, 32), 1)
        next(batches)
        batches.close()
        assert threading.active_count() == before


def test_a_damaged_file_stops_the_reading_with_a_sentence(write_raster, rgb):
    noise = np.random.default_rng(0).integers(0, 255, (3, 400, 400), dtype=np.uint8)
    path = write_raster(noise, tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    with open(path, "r+b") as file:  # noqa: PTH123
        file.truncate(300_000)
    with open_raster(path, rgb, 0.6) as raster, pytest.raises(RasterError, match=r"'raster\.tif' cannot be read"):
        collected(raster, plan_tiles(raster.grid, 128, 32, 32))
