"""What limits a job, as one polygon in the grid frame."""

import numpy as np
import pyogrio
import pytest
import shapely
from pyproj import CRS, Transformer

from core.imagery.area import area_in_grid
from core.imagery.grid import Grid
from core.job.errors import InvalidJob

pytestmark = pytest.mark.filterwarnings("ignore:'crs' was not provided")

UTM = CRS.from_epsg(26911)
GRID = Grid(400, 300, (0.5, 0.0, 500_000.0, 0.0, -0.5, 3_741_000.0), UTM.to_wkt(), 0.5)


@pytest.fixture
def layer(tmp_path):
    """Write geometries in map coordinates of the grid; returns the path."""

    def write(geometries, name="area.gpkg", crs="EPSG:26911", kind="Unknown", into="EPSG:26911", **options):
        if into != "EPSG:26911":
            to_crs = Transformer.from_crs(26911, into, always_xy=True)
            geometries = shapely.transform(geometries, lambda xy: np.stack(to_crs.transform(*xy.T), axis=1))
            crs = into
        path = tmp_path / name
        fields = options.pop("fields", {"id": np.arange(len(geometries))})
        pyogrio.raw.write(
            path,
            shapely.to_wkb(geometries),
            list(fields.values()),
            list(fields),
            geometry_type=kind,
            crs=crs,
            **options,
        )
        return str(path)

    return write


def on_map(x0, y0, x1, y1):
    """A rectangle told in grid px, as a polygon in map coordinates."""
    return shapely.box(*GRID.to_map(np.array([[x0, y0, x1, y1]]))[0])


def same(one, other, tolerance=1e-3):
    return one.symmetric_difference(other).area < tolerance * other.area


def test_nothing_limits():
    assert area_in_grid(GRID) is None


def test_an_extent():
    area = area_in_grid(GRID, extent=(500_010.0, 3_740_900.0, 500_060.0, 3_740_990.0))
    assert area.bounds == (20, 20, 120, 200)


def test_an_extent_is_cut_to_the_raster():
    assert area_in_grid(GRID, extent=(0.0, 0.0, 1e6, 1e7)).bounds == (0, 0, 400, 300)


@pytest.mark.parametrize("name", ["area.gpkg", "area.shp", "area.geojson", "area.fgb"])
def test_polygons_of_a_file(layer, name):
    shapes = [on_map(10, 20, 60, 90), on_map(200, 100, 300, 250)]
    wanted = shapely.union_all([shapely.box(10, 20, 60, 90), shapely.box(200, 100, 300, 250)])
    into = "EPSG:4326" if name.endswith("geojson") else "EPSG:26911"
    assert same(area_in_grid(GRID, mask_path=layer(shapes, name, into=into)), wanted)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2229"])
def test_polygons_in_another_crs(layer, crs):
    area = area_in_grid(GRID, mask_path=layer([on_map(10, 20, 360, 290)], into=crs))
    assert same(area, shapely.box(10, 20, 360, 290))


def test_long_edges_curve_in_the_rasters_crs(layer):
    """A parallel of latitude is straight in degrees; in UTM its middle lies kilometres off the chord."""
    grid = Grid(6000, 200, (100.0, 0.0, 200_000.0, 0.0, -100.0, 4_990_000.0), UTM.to_wkt(), 100.0)
    strip = shapely.box(-120.5, 45.0, -113.5, 46.5)
    path = layer([strip], crs="EPSG:4326")
    to_map = Transformer.from_crs(4326, 26911, always_xy=True)
    for lon in (-119.9, -118.9, -117.0, -114.2):
        x, y = to_map.transform(lon, 45.0)
        column, row = (x - 200_000) / 100, (4_990_000 - y) / -100 * -1
        area = area_in_grid(grid, mask_path=path)
        assert area.contains(shapely.Point(column, row - 1.5))
        assert not area.contains(shapely.Point(column, row + 1.5))


def test_extent_and_polygons_together(layer):
    path = layer([on_map(0, 0, 100, 300)])
    area = area_in_grid(GRID, extent=(500_025.0, 3_700_000.0, 500_500.0, 3_800_000.0), mask_path=path)
    assert same(area, shapely.box(50, 0, 100, 300))


def test_a_layer_named_as_qgis_does(layer):
    path = layer([on_map(0, 0, 50, 50)], layer="one")
    layer([on_map(100, 100, 150, 150)], layer="two", append=True)
    assert same(area_in_grid(GRID, mask_path=f"{path}|layername=two"), shapely.box(100, 100, 150, 150))
    assert same(area_in_grid(GRID, mask_path=f"{path}|layerid=0"), shapely.box(0, 0, 50, 50))


def test_a_filter_named_as_qgis_does(layer):
    path = layer([on_map(0, 0, 50, 50), on_map(100, 100, 150, 150)], layer="one")
    area = area_in_grid(GRID, mask_path=f"{path}|layername=one|subset=\"id\" = 1 OR 'a|b' = ''")
    assert same(area, shapely.box(100, 100, 150, 150))


def test_overlapping_invalid_and_other_geometries(layer):
    bow = shapely.Polygon(
        [(500_000, 3_741_000), (500_050, 3_740_950), (500_050, 3_741_000), (500_000, 3_740_950), (500_000, 3_741_000)]
    )
    point, line = shapely.Point(500_190, 3_740_990), shapely.LineString([(500_000, 3_741_000), (500_190, 3_740_860)])
    area = area_in_grid(GRID, mask_path=layer([bow, on_map(0, 0, 50, 100), on_map(20, 0, 50, 100), point, line]))
    assert area.is_valid
    assert area.geom_type in ("Polygon", "MultiPolygon")
    assert area.bounds == (0, 0, 100, 100)
    assert area.area == pytest.approx(50 * 100 + 2500)


def test_without_crs_the_rasters_is_meant(layer):
    path = layer([on_map(10, 20, 60, 90)], crs=None)
    assert same(area_in_grid(GRID, mask_path=path), shapely.box(10, 20, 60, 90))


def test_a_raster_without_crs(layer):
    grid = Grid(400, 300, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    path = layer([shapely.box(10, -50, 30, -20)], crs=None)
    assert same(area_in_grid(grid, mask_path=path), shapely.box(10, 20, 30, 50))


def test_an_extent_elsewhere_is_refused():
    with pytest.raises(InvalidJob, match="extent does not meet the raster"):
        area_in_grid(GRID, extent=(0.0, 0.0, 10.0, 10.0))


def test_polygons_elsewhere_are_refused(layer):
    with pytest.raises(InvalidJob, match=r"'area\.gpkg' do not meet"):
        area_in_grid(GRID, mask_path=layer([shapely.box(0, 0, 10, 10)]))


def test_a_layer_without_polygons_is_refused(layer):
    with pytest.raises(InvalidJob, match="holds no polygons"):
        area_in_grid(GRID, mask_path=layer([shapely.Point(500_010, 3_740_990)]))


def test_what_cannot_be_read_is_refused(layer, tmp_path):
    (tmp_path / "notes.gpkg").write_text("nothing")
    with pytest.raises(InvalidJob, match=r"'notes\.gpkg' cannot be read"):
        area_in_grid(GRID, mask_path=str(tmp_path / "notes.gpkg"))
    with pytest.raises(InvalidJob, match="cannot be read"):
        area_in_grid(GRID, mask_path=layer([on_map(0, 0, 9, 9)]) + "|layername=other")


def test_a_table_without_geometry_is_refused(tmp_path):
    (tmp_path / "table.csv").write_text("id,name\n1,a\n")
    with pytest.raises(InvalidJob, match="holds no polygons"):
        area_in_grid(GRID, mask_path=str(tmp_path / "table.csv"))
