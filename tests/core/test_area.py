import math

import numpy as np
import pyogrio.raw
import pytest
import shapely
from pyproj import Transformer

from core.area import read_area
from core.imagery.grid import Grid
from core.job.errors import InvalidJob

UTM = "EPSG:32611"
GRID = Grid(100, 50, (2.0, 0.0, 500_000.0, 0.0, -2.0, 4_000_000.0), UTM, 2.0)  # 200 m by 100 m


def write(path, shapes, crs, layer="area"):
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array(shapes, object)),
        field_data=[np.array([str(i) for i in range(len(shapes))], object)],
        fields=["name"],
        geometry_type="Unknown",
        crs=crs,
        layer=layer,
        append=path.exists(),
    )
    return str(path)


def test_without_extent_and_mask_it_is_the_whole_raster():
    assert read_area(GRID, None, None) is None


def test_an_extent_is_cut_to_the_raster_and_told_in_pixels():
    area = read_area(GRID, (499_000.0, 3_999_950.0, 500_020.0, 4_001_000.0), None)
    assert area.bounds == (0, 0, 10, 25)
    assert area.area == 250


def test_the_polygons_of_a_mask_are_joined_and_told_in_pixels(tmp_path):
    shapes = [shapely.box(500_000, 3_999_980, 500_020, 4_000_000), shapely.box(500_010, 3_999_980, 500_040, 4_000_000)]
    area = read_area(GRID, None, write(tmp_path / "a.gpkg", shapes, UTM))
    assert area.bounds == (0, 0, 20, 10)
    assert area.area == pytest.approx(200)
    both = read_area(GRID, (500_030.0, 3_000_000.0, 600_000.0, 5_000_000.0), str(tmp_path / "a.gpkg"))
    assert both.area == pytest.approx(50)


def test_a_mask_in_another_crs_is_reprojected(tmp_path):
    shape = shapely.box(500_040, 3_999_940, 500_140, 3_999_980)
    there = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    moved = shapely.transform(shape, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1])))
    area = read_area(GRID, None, write(tmp_path / "a.gpkg", [moved], "EPSG:4326"))
    assert np.allclose(area.bounds, (20, 10, 70, 30), atol=1e-3)


def test_a_mask_as_large_as_the_world_is_no_hindrance(tmp_path):
    area = read_area(GRID, None, write(tmp_path / "a.gpkg", [shapely.box(-180, -90, 180, 90)], "EPSG:4326"))
    assert area.area == pytest.approx(GRID.width * GRID.height)


def test_a_mask_without_crs_is_taken_for_the_rasters(tmp_path):
    path = write(tmp_path / "a.shp", [shapely.box(500_000, 3_999_980, 500_020, 4_000_000)], None)
    assert read_area(GRID, None, path).area == pytest.approx(100)


def test_a_layer_and_a_subset_can_be_named(tmp_path):
    near, nearer = shapely.box(500_000, 3_999_980, 500_020, 4_000_000), shapely.box(500_000, 3_999_990, 500_010, 4e6)
    path = tmp_path / "a.gpkg"
    write(path, [shapely.box(0, 0, 1, 1)], UTM, "elsewhere")
    write(path, [near, nearer], UTM, "fields")
    assert read_area(GRID, None, f"{path}|layername=fields").area == pytest.approx(100)
    assert read_area(GRID, None, f"{path}|layerid=1").area == pytest.approx(100)
    assert read_area(GRID, None, f"{path}|layername=fields|subset=\"name\" = '1'").area == pytest.approx(25)


def test_a_bow_tie_is_made_valid(tmp_path):
    left, right, low, high = 500_000, 500_020, 3_999_980, 4_000_000
    bow = shapely.Polygon([(left, low), (right, high), (right, low), (left, high)])
    assert read_area(GRID, None, write(tmp_path / "a.gpkg", [bow], UTM)).area == pytest.approx(50)


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ([shapely.Point(500_010, 3_999_990)], "holds no polygons"),
        (
            [shapely.box(0, 0, 1, 1)],
            "the area layer and the raster do not overlap. The raster reaches from 500000, 39999",
        ),
    ],
)
def test_a_mask_that_leaves_nothing_is_refused(tmp_path, shapes, sentence):
    with pytest.raises(InvalidJob) as refusal:
        read_area(GRID, None, write(tmp_path / "a.gpkg", shapes, UTM))
    assert sentence in str(refusal.value)


def test_an_extent_elsewhere_is_refused_with_the_rasters_own():
    with pytest.raises(InvalidJob, match="the extent and the raster do not overlap"):
        read_area(GRID, (-10.0, 40.0, -9.0, 41.0), None)


def test_what_is_no_layer_is_refused(tmp_path):
    path = tmp_path / "a.gpkg"
    path.write_text("nothing")
    with pytest.raises(InvalidJob, match="cannot be used"):
        read_area(GRID, None, str(path))
    write(tmp_path / "b.gpkg", [shapely.box(500_000, 3_999_980, 500_020, 4_000_000)], UTM)
    with pytest.raises(InvalidJob, match="cannot be used"):
        read_area(GRID, None, f"{tmp_path / 'b.gpkg'}|layername=none")


def test_a_raster_in_degrees_takes_a_mask_in_metres(tmp_path):
    grid = Grid(100, 100, (1e-5, 0.0, -117.0, 0.0, -1e-5, 36.1), "EPSG:4326", 1.0)
    x, y = Transformer.from_crs("EPSG:4326", UTM, always_xy=True).transform(-116.9995, 36.0995)
    area = read_area(grid, None, write(tmp_path / "a.gpkg", [shapely.Point(x, y).buffer(10)], UTM))
    assert area.contains(shapely.Point(50, 50))
    pixel_m2 = 1e-10 * 111_320**2 * math.cos(math.radians(36.1)) * 0.996
    assert area.area == pytest.approx(math.pi * 100 / pixel_m2, rel=0.02)
