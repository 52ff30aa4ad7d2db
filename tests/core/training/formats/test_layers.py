from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import Affine
from shapely.geometry.base import BaseGeometry

from core.job.errors import LabelError
from core.training.formats.checking import check
from core.training.formats.layers import Layer, read_layer
from core.training.formats.repairs import Repairs

CRS = "EPSG:32611"
PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)  # 200 x 100 px are 100 x 50 m


@pytest.fixture
def raster(tmp_path: Path) -> Path:
    profile = {"count": 1, "dtype": "uint8", "crs": CRS, "transform": PLACE}
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", width=200, height=100, **profile) as target:
        target.write(np.zeros((1, 100, 200), np.uint8))
    return tmp_path / "scene.tif"


def ground(x: float, y: float) -> tuple[float, float]:
    """Map coordinates of a pixel."""
    return PLACE @ (x, y)


def square(x0: float, y0: float, x1: float, y1: float) -> BaseGeometry:
    """Polygon on the ground around a box of pixels."""
    return shapely.box(*ground(x0, y1), *ground(x1, y0))


def layer(path: Path, shapes: list[BaseGeometry | None], crs: str | None = CRS, **fields: list) -> str:
    kinds = {shape.geom_type for shape in shapes if shape is not None}
    pyogrio.raw.write(
        path,
        shapely.to_wkb(np.array(shapes, object)),
        [np.array(values) for values in fields.values()],
        list(fields),
        geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
        crs=crs,
    )
    return str(path)


def boxes(source: Layer, raster: Path, repairs: Repairs | None = None) -> list[list[float]]:
    records = read_layer(source, raster, repairs if repairs is not None else Repairs())
    return [np.round(record.box, 3).tolist() for record in records.objects]


def test_polygons_become_their_bounds_with_class_and_mark(tmp_path, raster):
    path = layer(
        tmp_path / "l.gpkg", [square(10, 20, 30, 50), square(40, 0, 60, 10)], kind=["pool", "car"], doubt=[0, 1]
    )
    records = read_layer(Layer(path, "kind", ignore_field="doubt"), raster, Repairs())
    assert [record.label for record in records.objects] == ["pool", "car"]
    assert [record.ignore for record in records.objects] == [False, True]
    images, classes = check(records, None, Repairs())
    assert classes == ("car", "pool")
    assert np.allclose(images[0].truth.boxes, [[10, 20, 30, 50], [40, 0, 60, 10]])
    assert images[0].path == raster


def test_points_get_a_box_by_metres_or_by_a_field(tmp_path, raster):
    path = layer(
        tmp_path / "l.gpkg", [shapely.Point(ground(50, 60)), shapely.Point(ground(10, 10))], size=[4.0, np.nan]
    )
    scale = 1.0  # of UTM here, within 0.1 %
    assert np.allclose(boxes(Layer(path, size_m=6), raster), [[44, 54, 56, 66], [4, 4, 16, 16]], atol=0.02 * scale)
    assert np.allclose(boxes(Layer(path, size_m=6, size_field="size"), raster)[0], [46, 56, 54, 64], atol=0.02)
    repairs = Repairs()
    assert len(boxes(Layer(path, size_field="size"), raster, repairs)) == 1
    assert "Points without a size were left out: 1" in repairs.sentences()[0]


def test_a_multipoint_is_as_many_objects(tmp_path, raster):
    path = layer(tmp_path / "l.gpkg", [shapely.MultiPoint([ground(50, 60), ground(10, 10)])])
    assert len(boxes(Layer(path, size_m=2), raster)) == 2


def test_lines_become_their_bounds(tmp_path, raster):
    path = layer(tmp_path / "l.gpkg", [shapely.LineString([ground(5, 6), ground(9, 30)])])
    assert boxes(Layer(path), raster) == [[5, 6, 9, 30]]


def test_another_crs_is_brought_in_and_told(tmp_path, raster):
    back = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    moved = shapely.transform(square(10, 20, 30, 50), lambda xy: np.column_stack(back.transform(*xy.T)))
    repairs = Repairs()
    found = boxes(Layer(layer(tmp_path / "l.geojson", [moved], "EPSG:4326")), raster, repairs)
    assert np.allclose(found, [[10, 20, 30, 50]], atol=0.3)
    assert repairs.sentences() == [
        "Objects in another CRS (WGS 84) were brought into the raster's: 1, the first at 'l.geojson'."
    ]


def test_what_lies_elsewhere_is_passed_over_and_what_is_broken_counted(tmp_path, raster):
    bow_tie = shapely.Polygon([ground(10, 10), ground(30, 30), ground(30, 10), ground(10, 30)])
    path = layer(tmp_path / "l.gpkg", [square(500, 500, 520, 520), bow_tie, None], kind=["a", "b", "c"])
    repairs = Repairs()
    assert boxes(Layer(path, "kind"), raster, repairs) == [[10, 10, 30, 30]]
    assert sorted(repairs.counts) == ["Invalid geometries were made valid", "Objects without a geometry were left out"]


def test_objects_outside_of_the_labelled_area_go_and_cut_ones_are_to_ignore(tmp_path, raster):
    objects = [square(10, 10, 20, 20), square(95, 10, 105, 20), square(150, 10, 160, 20)]
    source = Layer(layer(tmp_path / "l.gpkg", objects), area=layer(tmp_path / "a.gpkg", [square(0, 0, 100, 100)]))
    repairs = Repairs()
    image = check(read_layer(source, raster, repairs), None, repairs)[0][0]
    assert np.allclose(image.truth.boxes, [[10, 10, 20, 20], [95, 10, 105, 20]])
    assert image.truth.ignore.tolist() == [False, True]
    assert image.area.bounds == pytest.approx((0, 0, 100, 100))
    assert repairs.counts == {"Objects outside of the labelled area were left out": 1}


def test_an_extent_limits_the_labelled_area_in_whatever_crs(tmp_path, raster):
    objects = [square(10, 10, 20, 20), square(150, 10, 160, 20)]
    path = layer(tmp_path / "l.gpkg", objects)
    west, south, east, north = square(0, 0, 100, 100).bounds
    there = Transformer.from_crs(CRS, "EPSG:3857", always_xy=True).transform_bounds(west, south, east, north)
    for extent, crs in (((west, south, east, north), None), (there, "EPSG:3857")):
        image = check(read_layer(Layer(path, extent=extent, extent_crs=crs), raster, Repairs()), None, Repairs())[0][0]
        assert len(image.truth) == 1
        assert image.area.bounds == pytest.approx((0, 0, 100, 100), abs=4)
    half = layer(tmp_path / "a.gpkg", [square(0, 0, 50, 100)])
    records = read_layer(Layer(path, area=half, extent=(west, south, east, north)), raster, Repairs())
    assert records.areas["scene.tif"].bounds == pytest.approx((0, 0, 50, 100))
    with pytest.raises(LabelError, match=r"The extent does not meet the labelled ground of the raster 'scene\.tif'"):
        read_layer(Layer(path, extent=(0.0, 0.0, 1.0, 1.0)), raster, Repairs())


def test_what_cannot_be_used_is_told(tmp_path, raster):
    path = layer(tmp_path / "l.gpkg", [square(10, 20, 30, 50)], kind=["pool"])
    far = layer(tmp_path / "a.gpkg", [square(500, 500, 600, 600)])
    bare = tmp_path / "bare.tif"
    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(bare, "w", driver="GTiff", width=9, height=9, count=1, dtype="uint8") as target,
    ):
        target.write(np.zeros((1, 9, 9), np.uint8))
    for source, over, sentence in [
        (Layer(path, "sort"), raster, "has no field 'sort'. It has kind"),
        (Layer(str(tmp_path / "no.gpkg")), raster, "The layer 'no.gpkg' cannot be read"),
        (Layer(path, area=far), raster, "No polygon of the area layer"),
        (Layer(path), bare, "has no place on the map"),
        (Layer(path), tmp_path / "no.tif", "cannot be read"),
    ]:
        with pytest.raises(LabelError) as told:
            read_layer(source, over, Repairs())
        assert sentence in str(told.value)
