import time

import numpy as np
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from core.detections.ground import box_areas_m2, polygon_area_m2, to_wkb

PLACES = {  # EPSG code: somewhere in it, and the size of a box there
    32611: (400_000, 3_700_000, 30),
    32633: (800_000, 7_900_000, 30),  # far from the central meridian
    3857: (-13_000_000, 4_000_000, 30),
    4326: (-117.1, 33.2, 0.0003),
    3031: (1_500_000, -800_000, 50),  # polar stereographic
    2232: (3_100_000, 1_700_000, 100),  # US survey feet
    4807: (1.2, 54.3, 0.0003),  # gradians east of Paris
}


def boxes_at(x, y, size, n=40):
    rng = np.random.default_rng(0)
    corner = np.array([x, y]) + rng.uniform(-1000, 1000, (n, 2)) * size
    return np.concatenate([corner, corner + size * rng.uniform(0.3, 3, (n, 2))], axis=1)


@pytest.mark.parametrize("code", PLACES)
def test_areas_are_those_of_geodesic_polygons(code):
    crs = CRS.from_epsg(code)
    boxes = boxes_at(*PLACES[code])
    geod, to_degrees = crs.get_geod(), Transformer.from_crs(crs, crs.geodetic_crs.to_2d(), always_xy=True)
    unit = np.degrees(crs.geodetic_crs.axis_info[0].unit_conversion_factor)
    expected = []
    for x0, y0, x1, y1 in boxes:
        lon, lat = to_degrees.transform([x0, x1, x1, x0], [y0, y0, y1, y1])
        expected.append(abs(geod.polygon_area_perimeter(np.multiply(lon, unit), np.multiply(lat, unit))[0]))
    assert box_areas_m2(boxes, crs.to_wkt()) == pytest.approx(expected, rel=1e-3)


def test_web_mercator_is_not_taken_at_its_word():
    # At 34 degrees north a square of 10 units is 8.3 m a side.
    boxes = np.array([[-13_000_000, 4_028_802, -12_999_990, 4_028_812]], float)
    assert box_areas_m2(boxes, CRS.from_epsg(3857).to_wkt())[0] == pytest.approx(68.6, abs=0.3)


def test_a_hundred_metres_on_the_central_meridian():
    boxes = np.array([[500_000, 4_000_000, 500_100, 4_000_100]], float)
    assert box_areas_m2(boxes, CRS.from_epsg(32611).to_wkt())[0] == pytest.approx(10_000 / 0.9996**2)


def test_without_ground_there_is_no_area():
    boxes = np.array([[0.0, 0, 10, 10]])
    assert np.isnan(box_areas_m2(boxes, None)).all()
    assert np.isnan(box_areas_m2(np.array([[1e9, 1e9, 2e9, 2e9]]), CRS.from_epsg(32611).to_wkt())).all()
    assert polygon_area_m2([shapely.box(0, 0, 1, 1)], None) is None


def test_a_local_system_is_a_plane():
    boxes = np.array([[0.0, 0, 10, 10]])
    assert box_areas_m2(boxes, 'LOCAL_CS["site",UNIT["foot",0.3048]]') == pytest.approx([100 * 0.3048**2])
    assert np.isnan(box_areas_m2(boxes, 'LOCAL_CS["site",UNIT["unknown",1]]')).all()


def test_none():
    assert len(box_areas_m2(np.zeros((0, 4)), CRS.from_epsg(4326).to_wkt())) == 0
    assert polygon_area_m2([], None) == 0
    assert len(to_wkb(np.zeros((0, 4)))) == 0


def test_a_large_polygon_with_a_hole():
    outline = shapely.box(5, 45, 10, 50) - shapely.box(6, 46, 9, 49)
    expected = abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.segmentize(outline, 0.01))[0])
    assert polygon_area_m2([outline], CRS.from_epsg(4326).to_wkt()) == pytest.approx(expected, rel=1e-4)


def test_boxes_become_counter_clockwise_polygons():
    boxes = boxes_at(100, 200, 5)
    shapes = shapely.from_wkb(to_wkb(boxes))
    assert np.array_equal(shapely.bounds(shapes), boxes)
    assert shapely.is_ccw(shapely.get_exterior_ring(shapes)).all()
    assert to_wkb(boxes).tolist() == shapely.to_wkb(shapely.box(*boxes.T)).tolist()


def test_many_boxes_take_no_time():
    boxes = np.tile(boxes_at(400_000, 3_700_000, 30, 1000), (200, 1))
    start = time.process_time()
    box_areas_m2(boxes, CRS.from_epsg(32611).to_wkt())
    to_wkb(boxes)
    assert time.process_time() - start < 2.5  # measured .5 s
