"""Suppression on a layer: what stays, with all its fields, from every format to every format."""

import dataclasses
import sqlite3
from contextlib import closing

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely

from core.__main__ import main
from core.job.errors import Cancelled, InvalidJob, LabelError, OutputError
from core.job.jobs import job_from_json, job_to_json
from core.job.suppress_job import SuppressJob
from core.suppress import suppress

CRS = "EPSG:32611"
BOX = np.array([500_000.0, 4_000_000.0, 500_010.0, 4_000_010.0])
ROWS = [  # shift in x, class, score, note
    (0, "pool", 0.9, "best"),
    (2, "pool", 0.8, "IoU 8/12 with the best"),
    (6, "pool", 0.7, "IoU 4/16 with the best"),
    (0.2, "tarpaulin", 0.6, "the best, as another class"),
    (2, "tree", 0.95, "IoU 8/12 with the best, another class"),
    (100, "pool", None, "alone, without a score"),
    (101, None, 0.1, "over it, without a class"),
]


def write(path, shapes, columns, **options):
    names = list(columns)
    values = [np.array(columns[name], object) for name in names]
    masks = [np.array([value is None for value in column]) for column in values]
    kinds = {"score": np.float64, "number": np.int32, "seen": "datetime64[ms]", "fid": np.int64}
    filled = [
        np.array([kinds[n](0) if v is None else v for v in c], kinds[n]) if n in kinds else c
        for n, c in zip(names, values, strict=True)
    ]
    pyogrio.raw.write(
        path, shapely.to_wkb(shapes), filled, names, field_mask=masks, crs=CRS, geometry_type="Polygon", **options
    )
    return str(path)


def read(path, layer=None):
    meta, _, wkb, values = pyogrio.raw.read(path, layer=layer)
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], values, strict=True)), meta


def run(job, cancelled=lambda: False):
    events = []
    return suppress(job, events.append, cancelled), events


@pytest.fixture
def layer(tmp_path):
    shapes = shapely.box(*(BOX + np.array([[row[0], 0, row[0], 0] for row in ROWS])).T)
    columns = {
        "class": [row[1] for row in ROWS],
        "score": [row[2] for row in ROWS],
        "note": [row[3] for row in ROWS],
        "number": [*range(6), None],
        "seen": [np.datetime64("2026-05-04T03:02:01.000")] * 7,
    }
    return write(tmp_path / "found.gpkg", shapes, columns, layer="detections")


@pytest.fixture
def job(layer, tmp_path):
    return SuppressJob(layer, str(tmp_path / "kept.gpkg"))


def test_per_class_first_then_across_classes(job):
    values, events = run(job)
    shapes, columns, meta = read(job.output)
    assert columns["note"].tolist() == [ROWS[k][3] for k in (0, 2, 4, 5, 6)]
    assert (values["objects"], values["dropped"], values["dropped_across"]) == (5, 1, 1)
    assert shapely.bounds(shapes)[0].tolist() == BOX.tolist()
    assert meta["crs"] == CRS
    assert events[-1]["done"] == 1


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"overlap": 0.2}, [0, 4, 5, 6]),
        ({"overlap": 1.0, "across": 1.0}, list(range(7))),
        ({"across": 1.0}, [0, 2, 3, 4, 5, 6]),
        ({"across": 0.5}, [2, 4, 6]),
        ({"class_field": "NOTE", "across": 1.0}, list(range(7))),
        ({"score_field": "number", "across": 1.0}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_options(job, changes, kept):
    run(dataclasses.replace(job, **changes))
    assert read(job.output)[1]["note"].tolist() == [ROWS[k][3] for k in kept]


def test_all_fields_stay_as_they_are(job):
    run(job)
    _, before, meta_before = read(job.layer)
    _, after, meta = read(job.output)
    assert meta["fields"].tolist() == meta_before["fields"].tolist()
    assert list(meta["dtypes"]) == list(meta_before["dtypes"])
    kept = [0, 2, 4, 5, 6]
    for name, column in before.items():
        assert np.array_equal(after[name].astype(str), column[kept].astype(str)), name
    with closing(sqlite3.connect(job.output)) as database:
        assert database.execute("SELECT count(*) FROM rtree_kept_geom").fetchone() == (5,)


@pytest.mark.parametrize("suffix", [".shp", ".geojson", ".fgb"])
def test_formats(job, tmp_path, suffix):
    first = dataclasses.replace(job, output=str(tmp_path / f"kept{suffix}"))
    run(first)
    run(SuppressJob(first.output, str(tmp_path / "again.gpkg")))
    assert len(read(first.output)[0]) == 5
    assert sorted(read(tmp_path / "again.gpkg")[1]["note"]) == sorted(ROWS[k][3] for k in (0, 2, 4, 5, 6))


def test_a_field_named_like_a_geopackages_own_number_stays(tmp_path):
    source = write(tmp_path / "a.shp", [shapely.box(*BOX)], {"fid": [77], "score": [0.5]})
    run(SuppressJob(source, str(tmp_path / "b.gpkg")))
    assert read(tmp_path / "b.gpkg")[1]["fid"].tolist() == [77]


def test_polygons_are_compared_as_they_are_not_by_their_bounds(tmp_path):
    low, high = shapely.Polygon([(0, 0), (10, 0), (0, 10)]), shapely.Polygon([(10, 10), (10, 0), (0, 10)])
    bow = shapely.Polygon([(20, 0), (30, 10), (30, 0), (20, 10)])  # crosses itself
    shapes = [low, high, shapely.Polygon([(0, 0), (10, 0), (1, 9)]), bow, bow]
    source = write(tmp_path / "a.gpkg", shapes, {"score": [0.5, 0.6, 0.4, 0.3, 0.2]})
    values, _ = run(SuppressJob(source, str(tmp_path / "b.gpkg")))
    assert read(tmp_path / "b.gpkg")[1]["score"].tolist() == [0.5, 0.6, 0.3]
    assert values["class_field"] is None


def test_a_layer_of_a_file_and_its_filter(job, tmp_path):
    nothing = write(tmp_path / "found.gpkg", [shapely.box(*BOX)], {"score": [1.0]}, layer="other", append=False)
    filtered = f"{nothing}|layername=detections|subset=\"note\" <> 'best'"
    run(dataclasses.replace(job, layer=filtered))
    assert read(job.output)[1]["note"].tolist() == [ROWS[k][3] for k in (2, 3, 4, 5, 6)]


def test_an_empty_layer_stays_empty(tmp_path):
    source = write(tmp_path / "a.gpkg", np.zeros(0, object), {"class": [], "score": []})
    values, _ = run(SuppressJob(source, str(tmp_path / "b.gpkg")))
    assert values["objects"] == 0
    assert read(tmp_path / "b.gpkg")[2]["fields"].tolist() == ["class", "score"]


def test_what_cannot_be_done_is_said_and_leaves_nothing(job, tmp_path):
    for changes, kind, sentence in (
        ({"overlap": 1.5}, InvalidJob, "must lie between 0 and 1, not 1.5"),
        ({"layer": "/nowhere.gpkg"}, InvalidJob, "does not exist"),
        ({"output": job.layer}, InvalidJob, "would overwrite the layer"),
        ({"output": str(tmp_path / "a.dxf")}, InvalidJob, "not as 'a.dxf'"),
        ({"output": "/nowhere/a.gpkg"}, InvalidJob, "folder"),
        ({"class_field": "kind"}, LabelError, "no field 'kind'. It has class, score, note"),
        ({"score_field": "note"}, LabelError, "'note' holds no numbers"),
        ({"layer": job.layer + "|layername=x"}, LabelError, "cannot be read"),
    ):
        with pytest.raises(kind, match=sentence):
            run(dataclasses.replace(job, **changes))
    bare = write(tmp_path / "bare.gpkg", [shapely.box(*BOX)], {"note": ["a"]})
    with pytest.raises(LabelError, match="no field of scores"):
        run(dataclasses.replace(job, layer=bare))
    pyogrio.raw.write(tmp_path / "points.gpkg", shapely.to_wkb([shapely.Point(0, 0)]), [], [], geometry_type="Point")
    with pytest.raises(LabelError, match="holds no polygons"):
        run(dataclasses.replace(job, layer=str(tmp_path / "points.gpkg")))
    with pytest.raises(Cancelled):
        run(job, cancelled=lambda: True)
    (tmp_path / "taken.gpkg").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        run(dataclasses.replace(job, output=str(tmp_path / "taken.gpkg")))
    assert {path.name for path in tmp_path.iterdir()} == {"found.gpkg", "bare.gpkg", "points.gpkg", "taken.gpkg"}


def test_from_the_shell(job, capsys):
    assert main(["suppress", job.layer, "--output", job.output, "--overlap", "0.2", "--across", "1"]) == 0
    assert "5 objects left, ranked by 'score'" in capsys.readouterr().out
    assert len(read(job.output)[0]) == 5
    assert main(["suppress", job.layer, "--output", job.output, "--score-field", "x"]) == 1


def test_the_job_survives_the_round_trip(job):
    assert job_from_json(job_to_json(dataclasses.replace(job, across=0.7))) == dataclasses.replace(job, across=0.7)


def test_many_boxes(tmp_path):
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 5_000, (20_000, 2))
    shapes = shapely.box(*np.hstack([corner, corner + rng.uniform(10, 30, corner.shape)]).T)
    source = write(tmp_path / "a.gpkg", shapes, {"score": rng.random(20_000).tolist()})
    values, _ = run(SuppressJob(source, str(tmp_path / "b.gpkg"), overlap=0.1))
    assert 5_000 < values["objects"] < 18_000
    kept, columns, _ = read(tmp_path / "b.gpkg")
    assert len(kept) == values["objects"] and len(np.unique(columns["score"])) == len(kept)
    i, j = shapely.STRtree(kept).query(kept, predicate="intersects")
    i, j = i[i < j], j[i < j]
    common = shapely.area(shapely.intersection(kept[i], kept[j]))
    assert (common / (shapely.area(kept[i]) + shapely.area(kept[j]) - common)).max() <= 0.1
