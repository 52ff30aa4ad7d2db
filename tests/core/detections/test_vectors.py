import json
import sqlite3
import subprocess
import sys
import time
import warnings
import weakref
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from pyproj import CRS, Geod, Transformer

from core.detections.detections import Detections
from core.detections.vectors import read_boxes, require_writable, write_detections
from core.job.errors import Cancelled, LabelError, OutputError

UTM = CRS.from_epsg(32611).to_wkt()
NAMES = ("pool", "Bäume")
RUN = {"raster": "/a/b.tif", "threshold": 0.5, "objects": {"pool": 2}}
SUFFIXES = (".gpkg", ".shp", ".geojson", ".fgb")


@dataclass(frozen=True)
class SomeGrid:
    crs_wkt: str | None = UTM
    left: float = 400_000.0
    top: float = 3_700_000.0
    size: float = 0.6

    def to_map(self, boxes):
        x, y = self.left + self.size * boxes[:, [0, 2]], self.top - self.size * boxes[:, [3, 1]]
        return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


GRID = SomeGrid()
THREE = Detections(
    np.array([[10, 20, 30, 30], [40, 20, 50, 30], [50, 70, 60, 80]], float),
    np.array([0.30009, 0.5, 0.9]),
    np.array([1, 0, 0]),
)
GAP = [shapely.box(400_000, 3_699_000, 400_100, 3_699_100)]


def portions(detections, size):
    return (detections.take(slice(first, first + size)) for first in range(0, len(detections), size))


def write(path, detections=THREE, gaps=(), grid=GRID, threshold=0.5, run=RUN):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return write_detections(path, portions(detections, len(detections) // 3 + 1), grid, NAMES, run, gaps, threshold)


def read(path, layer=None):
    meta, _, wkb, values = pyogrio.raw.read(path, layer=layer)
    return dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(wkb), meta


def test_a_geopackage_holds_everything_row_by_row(tmp_path):
    path = tmp_path / "a.gpkg"
    result = write(path, gaps=GAP)
    fields, shapes, meta = read(path, "detections")
    assert list(fields) == ["id", "class", "score", "box_area_m2"]
    assert fields["id"].tolist() == [1, 2, 3]
    assert fields["class"].tolist() == ["Bäume", "pool", "pool"]
    assert fields["score"].tolist() == [0.3, 0.5, 0.9]
    assert fields["box_area_m2"] == pytest.approx([72.04, 36.02, 36.02], abs=0.01)
    assert shapely.bounds(shapes[0]) == pytest.approx([400_006, 3_699_982, 400_018, 3_699_988])
    assert CRS(meta["crs"]).to_epsg() == 32611
    fields, shapes, _ = read(path, "not_examined")
    assert fields["reason"].tolist() == ["no data"]
    assert shapes[0].equals(GAP[0])
    assert result["layers"] == {"detections": "detections", "not_examined": "not_examined"}
    expected = Geod(ellps="WGS84").geometry_area_perimeter(
        shapely.transform(
            GAP[0],
            lambda p: np.column_stack(Transformer.from_crs(32611, 4326, always_xy=True).transform(p[:, 0], p[:, 1])),
        )
    )[0]
    assert result["not_examined_m2"] == pytest.approx(abs(expected), rel=1e-4)
    assert [file.name for file in tmp_path.iterdir()] == ["a.gpkg"]


def test_a_geopackage_is_one_that_every_qgis_reads(tmp_path):
    path = tmp_path / "a.gpkg"
    write(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        assert database.execute("SELECT count(*) FROM rtree_detections_geom").fetchone() == (3,)
        rows = database.execute(
            "SELECT table_name, md_standard_uri, metadata"
            " FROM gpkg_metadata_reference JOIN gpkg_metadata ON md_file_id = id"
        ).fetchall()
    assert [row[:2] for row in rows] == [(t, "http://mrcc.com/qgis.dtd") for t in ("detections", "not_examined")]
    assert json.dumps(RUN) in rows[0][2]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_gives_back_what_was_written(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    result = write(path, gaps=GAP, threshold=0.0)
    bounds, scores, classes, crs = read_boxes(path, "detections" if suffix == ".gpkg" else None)
    expected = shapely.box(*GRID.to_map(THREE.boxes).T)
    if suffix == ".geojson":
        to_degrees = Transformer.from_crs(32611, 4326, always_xy=True).transform
        expected = shapely.transform(expected, lambda p: np.column_stack(to_degrees(p[:, 0], p[:, 1])))
    order = np.argsort(scores)
    assert CRS(crs) == CRS("OGC:CRS84" if suffix == ".geojson" else 32611) or CRS(crs).to_epsg() == 4326
    assert bounds[order] == pytest.approx(shapely.bounds(expected), abs=1e-7)
    assert scores[order].tolist() == [0.3, 0.5, 0.9]
    assert classes[order].tolist() == ["Bäume", "pool", "pool"]
    if suffix != ".gpkg":
        assert result["layers"] == {"detections": str(path), "not_examined": str(tmp_path / f"a_not_examined{suffix}")}
        assert read(result["layers"]["not_examined"])[0]["reason"].tolist() == ["no data"]


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_other_formats_keep_what_reaches_the_threshold(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, threshold=0.5)
    assert sorted(read(path)[0]["score"].tolist()) == [0.5, 0.9]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_found_is_written_too(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    result = write(path, Detections.empty())
    assert len(read(path, "detections" if suffix == ".gpkg" else None)[1]) == 0
    assert result["not_examined_m2"] == 0
    assert result["layers"]["not_examined"] == ("not_examined" if suffix == ".gpkg" else None)


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_a_result_replaces_all_of_an_older_one(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write(path, gaps=GAP)
    with_gaps = {file.name for file in tmp_path.iterdir()}
    write(path, Detections.empty())
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {name for name in with_gaps if "not_examined" not in name}
    assert "a.qmd" in left


def test_scores_are_cut_so_that_thresholds_mean_the_same_everywhere(tmp_path):
    scores = np.concatenate([np.arange(1, 10_000, 7) / 1e4, np.random.default_rng(0).random(1000)])
    boxes = np.tile([[0.0, 0, 1, 1]], (len(scores), 1)) + np.arange(len(scores))[:, None]
    found = Detections(boxes, scores, np.zeros(len(scores), np.int64))
    write(tmp_path / "a.gpkg", found)
    written = read(tmp_path / "a.gpkg", "detections")[0]["score"]
    assert np.abs(written - scores).max() < 1e-4
    for threshold in np.arange(0, 1, 0.05).round(2):
        assert (written >= threshold).sum() == (scores >= threshold).sum()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_portions_do_not_show(tmp_path, suffix):
    rng = np.random.default_rng(1)
    corner = rng.uniform(0, 300, (60, 2)).round()
    found = Detections(np.concatenate([corner, corner + 4], axis=1), rng.random(60).round(3), rng.integers(0, 2, 60))
    folders = {size: tmp_path / str(size) for size in (7, 60)}
    for size, folder in folders.items():
        folder.mkdir()
        write_detections(folder / f"a{suffix}", portions(found, size), GRID, NAMES, RUN, [], 0.3)
    layer = "detections" if suffix == ".gpkg" else None
    one, two = (read(folder / f"a{suffix}", layer) for folder in folders.values())
    assert sorted(one[0]["id"]) == list(range(1, len(one[1]) + 1))
    for name in one[0]:
        assert one[0][name].tolist() == two[0][name].tolist()
    assert [shape.wkb for shape in one[1]] == [shape.wkb for shape in two[1]]


def test_one_portion_is_held_at_a_time(tmp_path):
    alive = weakref.WeakSet()

    def many():
        for k in range(5):
            assert len(alive) <= 1
            portion = THREE.moved(0, 100 * k)
            alive.add(portion)
            yield portion

    write_detections(tmp_path / "a.gpkg", many(), GRID, NAMES, RUN, [], 0.0)
    assert len(read(tmp_path / "a.gpkg", "detections")[1]) == 15


def test_what_stops_the_portions_leaves_everything_as_it_was(tmp_path):
    def broken():
        yield THREE
        raise Cancelled

    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        path.write_text("old")
        with pytest.raises(Cancelled):
            write_detections(path, broken(), GRID, NAMES, RUN, GAP, 0.0)
        assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == len(SUFFIXES)


def test_geojson_is_rfc_7946(tmp_path):
    write(tmp_path / "a.geojson")
    data = json.loads((tmp_path / "a.geojson").read_text())
    assert "crs" not in data
    ring = shapely.LinearRing(data["features"][0]["geometry"]["coordinates"][0])
    assert ring.is_ccw
    assert ring.bounds[0] == pytest.approx(-118.07, abs=0.01)


def test_a_shapefile_has_short_names_utf8_and_its_crs(tmp_path):
    long = "Ä" * 60
    write_detections(tmp_path / "a.shp", [THREE], GRID, (long, "x"), RUN, [], 0.0)
    fields = read(tmp_path / "a.shp")[0]
    assert list(fields) == ["id", "class", "score", "area_m2"]
    assert long in fields["class"]
    assert (tmp_path / "a.cpg").read_text() == "UTF-8"
    assert "UTM" in (tmp_path / "a.prj").read_text()


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_without_a_crs_areas_are_null(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    result = write(path, gaps=GAP, grid=SomeGrid(None))
    fields, _, meta = read(path, "detections" if suffix == ".gpkg" else None)
    assert np.isnan(fields["area_m2" if suffix == ".shp" else "box_area_m2"]).all()
    assert result["not_examined_m2"] is None
    assert meta["crs"] is None or "ndefined" in meta["crs"]
    if suffix == ".gpkg":
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("SELECT count(*) FROM detections WHERE box_area_m2 IS NULL").fetchone() == (3,)


@pytest.mark.parametrize(
    ("name", "crs", "sentence"),
    [
        ("a.kml", UTM, "Results are written as"),
        ("a.geojson", None, "no CRS"),
        ("missing/a.gpkg", UTM, "does not exist"),
    ],
    ids=["format", "no CRS", "no folder"],
)
def test_what_cannot_be_written_is_told_before_the_work_and_after(tmp_path, name, crs, sentence):
    with pytest.raises(OutputError, match=sentence):
        require_writable(tmp_path / name, crs)
    with pytest.raises(OutputError, match=sentence):
        write(tmp_path / name, grid=SomeGrid(crs))
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_this_gdal_lacks_is_refused(tmp_path):
    if "Parquet" in pyogrio.list_drivers(write=True):
        write(tmp_path / "a.parquet")
        assert len(read(tmp_path / "a.parquet")[1]) == 2
        return
    with pytest.raises(OutputError, match=r"cannot write Parquet files.*\.gpkg"):
        require_writable(tmp_path / "a.parquet", UTM)


def test_asking_whether_a_target_is_writable_leaves_it_alone(tmp_path):
    (tmp_path / "a.gpkg").write_text("old")
    require_writable(tmp_path / "a.gpkg", UTM)
    assert (tmp_path / "a.gpkg").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.gpkg"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are a matter of POSIX")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_cannot_grow_is_a_sentence_and_leaves_nothing(tmp_path, suffix):
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from core.detections.detections import Detections\n"
        "from core.detections.vectors import write_detections\n"
        "from core.job.errors import OutputError\n"
        "class Grid:\n"
        f"    crs_wkt = {UTM!r}\n"
        "    def to_map(self, boxes):\n"
        "        return boxes + [4e5, 3.7e6, 4e5, 3.7e6]\n"
        "boxes = np.arange(2000.0)[:, None] + [0, 0, 5, 5]\n"
        "many = Detections(boxes, np.ones(2000), np.zeros(2000, int))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))\n"
        "try:\n"
        "    write_detections(sys.argv[1], [many], Grid(), ['pool'], {}, [], 0.5)\n"
        "except OutputError as problem:\n"
        "    print(problem)\n"
    )
    path = tmp_path / f"a{suffix}"
    path.write_text("old")
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert f"'{path}' cannot be written" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "old"


def test_many_boxes_are_written_fast(tmp_path):
    n = 100_000
    rng = np.random.default_rng(0)
    corner = np.stack([rng.uniform(0, 1e5, n), np.sort(rng.uniform(0, 1e5, n))], axis=1)
    found = Detections(np.concatenate([corner, corner + 12], axis=1), rng.random(n), rng.integers(0, 2, n))
    start = time.process_time()
    write_detections(tmp_path / "a.gpkg", portions(found, 20_000), GRID, NAMES, RUN, [], 0.0)
    assert pyogrio.read_info(tmp_path / "a.gpkg", layer="detections")["features"] == n
    assert time.process_time() - start < 10  # measured 2 s


def test_any_polygon_layer_can_be_read_for_evaluation(tmp_path):
    shapes = np.array([shapely.Point(3, 4).buffer(2), None, shapely.MultiPolygon([shapely.box(0, 0, 1, 1)])], object)
    pyogrio.raw.write(
        tmp_path / "truth.fgb",
        geometry=shapely.to_wkb(shapes),
        field_data=[np.array([1, 2, 3])],
        fields=["Score"],
        geometry_type="Unknown",
        crs="EPSG:32611",
        layer_options={"SPATIAL_INDEX": "NO"},
    )
    bounds, scores, classes, crs = read_boxes(tmp_path / "truth.fgb")
    assert bounds == pytest.approx(np.array([[1, 2, 5, 6], [0, 0, 1, 1]]), abs=0.02)
    assert scores.tolist() == [1, 3]
    assert classes is None
    assert crs == "EPSG:32611"


def test_what_is_no_layer_is_told(tmp_path):
    (tmp_path / "a.gpkg").write_text("nothing")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    for name, sentence in (
        ("a.gpkg", "cannot be read"),
        ("missing.gpkg", "cannot be read"),
        ("a.csv", "no geometries"),
    ):
        with pytest.raises(LabelError, match=sentence) as caught:
            read_boxes(tmp_path / name)
        assert not str(caught.value).endswith("..")
