import csv

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.enums import ColorInterp

from core.job.errors import OutputError
from core.scene.__main__ import main
from core.scene.files import HEADER, ORIGIN, write_scene, write_scene_dataset
from core.scene.scene import Scene, draw_scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    drawn = draw_scene((150, 200), 8, density=4.0)
    assert len(drawn.boxes) > 1
    return drawn


def rows_of(path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_file_is_a_tiled_geotiff_in_metres(tmp_path, scene):
    path = write_scene(tmp_path / "town.tif", scene, block=64)
    with rasterio.open(path) as raster:
        assert raster.crs.to_epsg() == 32611
        assert raster.block_shapes == [(64, 64)] * 4
        assert raster.compression.value == "DEFLATE"
        assert (raster.transform.a, raster.transform.e, raster.transform.c, raster.transform.f) == (0.6, -0.6, *ORIGIN)
        assert raster.colorinterp[3] is ColorInterp.undefined  # near infrared is no transparency
        assert np.array_equal(raster.read(), scene.image)


def test_truth_lies_on_the_ground_where_the_raster_shows_it(tmp_path, scene):
    path = write_scene(tmp_path / "town.tif", scene, crs="EPSG:32610", origin=(500_000, 4_000_000))
    info = pyogrio.read_info(tmp_path / "town_truth.gpkg")
    assert info["crs"] == "EPSG:32610" and list(info["fields"]) == ["class"] and info["layer_name"] == "truth"
    _, _, geometry, fields = pyogrio.raw.read(tmp_path / "town_truth.gpkg")
    assert set(fields[0]) == {"pool"}
    x0, y0, x1, y1 = shapely.bounds(shapely.from_wkb(geometry)).T
    with rasterio.open(path) as raster:
        to_px = ~raster.transform
    assert np.allclose(np.stack([*(to_px @ (x0, y1)), *(to_px @ (x1, y0))], axis=1), scene.boxes, atol=1e-6)


def test_truth_as_rows_is_the_same(tmp_path, scene):
    write_scene(tmp_path / "town.tif", scene)
    header, *rows = rows_of(tmp_path / "town_truth.csv")
    assert tuple(header) == HEADER
    assert {(row[0], row[5]) for row in rows} == {("town.tif", "pool")}
    assert np.allclose(np.array([row[1:5] for row in rows], float), scene.boxes, atol=1e-3)


@pytest.mark.parametrize(("dtype", "worth"), [("uint8", 1), ("uint16", 257), ("float32", 1 / 255)])
def test_types_and_bands(tmp_path, scene, dtype, worth):
    with rasterio.open(write_scene(tmp_path / "town.tif", scene, dtype=dtype, bands=3)) as raster:
        assert raster.dtypes == (dtype,) * 3
        assert np.allclose(raster.read(), scene.image[:3] * float(worth), atol=1e-6)


def test_a_scene_without_pools_has_an_empty_truth(tmp_path, scene):
    empty = Scene(scene.image, np.empty((0, 4)), np.empty(0, np.int64), ("pool",), 0.6)
    write_scene(tmp_path / "bare.tif", empty)
    assert len(rows_of(tmp_path / "bare_truth.csv")) == 1
    assert pyogrio.read_info(tmp_path / "bare_truth.gpkg")["features"] == 0


def test_writing_twice_replaces(tmp_path, scene):
    for _ in range(2):
        write_scene(tmp_path / "town.tif", scene)
    assert pyogrio.read_info(tmp_path / "town_truth.gpkg")["features"] == len(scene.boxes)


def test_impossible_files_are_refused_with_a_sentence(tmp_path, scene):
    with pytest.raises(OutputError, match="uint8, uint16 or float32"):
        write_scene(tmp_path / "town.tif", scene, dtype="int8")
    with pytest.raises(OutputError, match="does not exist"):
        write_scene(tmp_path / "nowhere" / "town.tif", scene)


def test_a_dataset_is_a_training_folder(tmp_path):
    folder = write_scene_dataset(tmp_path / "towns", 3, 96, 20, density=4.0)
    names = [f"images/scene_000{k}.tif" for k in (1, 2, 3)]
    assert rows_of(folder / "split.csv") == [["image", "split"], *([name, "train"] for name in names)]
    header, *rows = rows_of(folder / "annotations.csv")
    assert tuple(header) == HEADER and {row[5] for row in rows} == {"pool"}
    for k, name in enumerate(names):
        drawn = draw_scene(96, 20 + k, density=4.0)
        with rasterio.open(folder / name) as raster:
            assert np.array_equal(raster.read(), drawn.image)
        boxes = np.array([row[1:5] for row in rows if row[0] == name], float).reshape(-1, 4)
        assert np.allclose(boxes, drawn.boxes, atol=1e-3)


def test_the_commands_do_what_they_say(tmp_path, capsys):
    assert main(["demo", str(tmp_path / "demo.tif"), "--size", "80", "--seed", "2", "--bands", "3"]) == 0
    assert (tmp_path / "demo_truth.gpkg").exists() and "80 x 80 px" in capsys.readouterr().out
    assert main(["dataset", str(tmp_path / "set"), "--count", "1", "--size", "64"]) == 0
    assert (tmp_path / "set" / "images" / "scene_0001.tif").exists()
    assert main(["demo", str(tmp_path / "no" / "demo.tif"), "--size", "64"]) == 1
    assert "does not exist" in capsys.readouterr().err
