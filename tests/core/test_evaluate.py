from xml.etree import ElementTree

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from pyproj import Transformer

from core.__main__ import main
from core.evaluate import evaluate as run
from core.job.errors import InvalidJob, LabelError
from core.job.jobs import EvaluateJob

UTM = "EPSG:32611"
X, Y = 500_000, 4_000_000


def evaluate(detections, truth, iou=0.5, threshold=None, **more):
    return run(EvaluateJob(detections, truth, iou=iou, threshold=threshold, **more), lambda _: None, lambda: False)


def square(x, y=0, side=10):
    return shapely.box(X + x, Y + y, X + x + side, Y + y + side)


def write(path, shapes, crs=UTM, layer=None, **columns):
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(np.array(shapes, object)),
        field_data=[np.array(column, object if isinstance(column[0], str) else float) for column in columns.values()],
        fields=list(columns),
        geometry_type="Polygon",
        crs=crs,
        layer=layer,
        append=path.exists(),
    )
    return str(path)


@pytest.fixture
def files(tmp_path):
    """Three true pools and a pond; found: two pools, a made-up one that scores low, and the pond as a pool."""
    found = write(
        tmp_path / "found.gpkg",
        [square(0), square(50), square(500), square(300)],
        layer="detections",
        **{"class": ["pool", "pool", "pool", "pool"], "score": [0.9, 0.8, 0.3, 0.7]},
    )
    true = write(
        tmp_path / "true.gpkg",
        [square(0), square(52), square(100), square(300)],
        **{"Label": ["Pool", "Pool", "Pool", "pond"]},
    )
    return found, true


def test_hits_false_alarms_and_misses_are_counted_by_class(files):
    values = evaluate(*files, iou=0.5, threshold=0.5)
    assert set(values["classes"]) == {"pool", "pond"}  # the detections' spelling
    pool = values["classes"]["pool"]
    assert (pool["true_positives"], pool["false_positives"], pool["false_negatives"]) == (2, 1, 1)
    assert pool["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert pool["recall"] == pytest.approx(2 / 3, abs=1e-4)
    # Precision 1 up to recall 2/3, nothing beyond: recall points 0 to 0.66 are 67 of 101.
    assert pool["average_precision"] == pytest.approx(67 / 101, abs=1e-4)
    assert values["classes"]["pond"]["false_negatives"] == 1
    assert values["overall"]["true_positives"] == 2
    assert values["overall"]["false_negatives"] == 2


def test_without_a_threshold_the_best_one_is_taken(files):
    values = evaluate(*files, iou=0.5, threshold=None)
    assert (values["threshold"], values["threshold_is_best"]) == (0.8, True)


def test_a_stricter_overlap_finds_less(files):
    # Squares of side 10 that lie 2 apart: IoU 80 / 120.
    assert evaluate(*files, iou=0.7, threshold=0.5)["overall"]["true_positives"] == 1


def test_without_classes_on_a_side_all_are_one(tmp_path, files):
    plain = write(tmp_path / "plain.geojson", [square(0), square(300)], crs=UTM, name=["a", "b"])
    values = evaluate(files[0], plain, iou=0.5, threshold=0.5)
    assert list(values["classes"]) == ["object"]
    assert values["overall"]["true_positives"] == 2


def test_truth_in_another_crs_is_brought_over(tmp_path, files):
    there = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    moved = [
        shapely.transform(shape, lambda xy: np.column_stack(there.transform(xy[:, 0], xy[:, 1])))
        for shape in (square(0), square(50))
    ]
    truth = write(tmp_path / "degrees.geojson", moved, crs="EPSG:4326", **{"class": ["pool", "pool"]})
    values = evaluate(files[0], truth, iou=0.9, threshold=0.5)
    assert values["overall"]["true_positives"] == 2


def test_the_layer_of_detections_is_found_among_others(tmp_path):
    path = tmp_path / "found.gpkg"
    write(path, [square(900)], layer="not_examined", reason=["nodata"])
    write(path, [square(0)], layer="detections", score=[0.9])
    truth = write(tmp_path / "true.gpkg", [square(0)], id=[1.0])
    assert evaluate(str(path), truth, 0.5, 0.5)["overall"]["f1"] == 1.0
    assert evaluate(f"{path}|layername=not_examined", truth, 0.5, 0.5)["overall"]["f1"] == 0.0


def test_what_cannot_be_read_is_named(tmp_path, files):
    (tmp_path / "bad.gpkg").write_text("no")
    with pytest.raises(LabelError, match=r"bad\.gpkg' cannot be read"):
        evaluate(str(tmp_path / "bad.gpkg"), files[1], 0.5, 0.5)
    with pytest.raises(InvalidJob, match=r"none\.gpkg' does not exist"):
        evaluate(str(tmp_path / "none.gpkg"), files[1], 0.5, 0.5)
    with pytest.raises(LabelError, match=r"has no field 'kind'\. It has class, score\."):
        evaluate(*files, class_field="kind")


def test_the_command_prints_a_table(files, capsys):
    assert main(["evaluate", *files, "--threshold", "0.5"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "At IoU 0.5 and a score of 0.5 or more"
    assert shown[-1].split() == ["overall", "0.332", "0.667", "0.500", "0.571", "2", "1", "2"]


def test_fields_can_be_named(tmp_path):
    found = write(tmp_path / "f.gpkg", [square(0), square(50)], kind=["a", "b"], sure=[0.9, 0.2])
    true = write(tmp_path / "t.gpkg", [square(0), square(50)], sort=["a", "b"])
    named = {"class_field": "kind", "truth_class_field": "Sort", "score_field": "sure"}
    values = evaluate(found, true, threshold=0.5, **named)
    assert {name: row["recall"] for name, row in values["classes"].items()} == {"a": 1.0, "b": 0.0}


def test_within_an_area_only_what_lies_there_counts(tmp_path, files):
    """The area holds the first pool and, cut by its border, the pond: neither that nor what is found on it counts."""
    area = write(tmp_path / "area.gpkg", [shapely.box(X - 5, Y - 5, X + 30, Y + 30), square(296, 0, 8)], id=[1.0, 2.0])
    overall = evaluate(*files, threshold=0.5, area=area)["overall"]
    assert (overall["true_positives"], overall["false_positives"], overall["false_negatives"]) == (1, 0, 0)


@pytest.fixture
def raster(tmp_path):
    """An image of 0.5 m that holds the first pool, blue on grey, in another CRS than the layers if asked."""
    values = np.full((3, 120, 240), 90, np.uint8)
    values[:, 100:120, 10:30] = np.array([20, 120, 250])[:, None, None]
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": UTM, "photometric": "RGB"}
    place = rasterio.Affine(0.5, 0, X - 5, 0, -0.5, Y + 60)
    with rasterio.open(tmp_path / "scene.tif", "w", width=240, height=120, transform=place, **profile) as target:
        target.write(values)
    return str(tmp_path / "scene.tif")


def test_the_report_is_one_page_with_pictures(tmp_path, files, raster):
    page = tmp_path / "report.html"
    values = evaluate(*files, threshold=0.5, raster=raster, output=str(page))
    assert values["output"] == str(page)
    assert values["overall"] == evaluate(*files, threshold=0.5)["overall"]
    text = page.read_text("utf-8")
    shown = ElementTree.fromstring(text[text.index("<body>") : text.index("</html>")])
    headings = [heading.text for heading in shown.iter("h2")]
    expected = ["By class", "Precision and recall", "Samples", "Worst misses", "Worst false finds", "What was compared"]
    assert headings == expected
    rows = [[cell.text for cell in row] for row in next(shown.iter("tbody"))]
    assert rows[-1][0] == "all"
    assert rows[-1][-3:] == ["2", "1", "2"]
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "<script" not in text
    assert text.count("data:image/png;base64,") >= 4
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_figures_do_not_depend_on_the_rasters_grid(tmp_path, files, raster):
    degrees = Transformer.from_crs(UTM, "EPSG:3857", always_xy=True)
    west, south = degrees.transform(X - 50, Y - 50)
    there = str(tmp_path / "web.tif")
    with rasterio.open(
        there, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", crs="EPSG:3857",
        transform=rasterio.Affine(5, 0, west, 0, -5, south + 320),
    ) as target:  # fmt: skip
        target.write(np.full((1, 64, 64), 7, np.uint8))
    page = str(tmp_path / "r.html")
    assert evaluate(*files, threshold=0.5, raster=there, output=page)["overall"]["true_positives"] == 2


def test_a_report_without_a_raster_has_curves_alone(tmp_path, files):
    page = tmp_path / "report.html"
    assert main(["evaluate", *files, "--report", str(page)]) == 0
    text = page.read_text("utf-8")
    assert "polyline" in text
    assert "data:image" not in text
    assert "Samples" not in text


def test_the_report_speaks_the_language_asked_for(tmp_path, files):
    page = tmp_path / "bericht.html"
    assert main(["evaluate", *files, "--report", str(page), "--language", "de"]) == 0
    text = page.read_text("utf-8")
    assert '<html lang="de">' in text
    assert "<h1>Genauigkeit von found.gpkg</h1>" in text
    assert "<tr><th>Referenzobjekte</th><td>true.gpkg</td></tr>" in text
    with pytest.raises(InvalidJob, match="The language 'nl' is unknown; choose one of en, de, es"):
        evaluate(*files, language="nl")


def test_names_are_not_taken_for_markup(tmp_path):
    found = write(tmp_path / "f.gpkg", [square(0)], **{"class": ["<b>&"], "score": [0.5]})
    page = tmp_path / "r.html"
    other = write(tmp_path / "t.gpkg", [square(90)], **{"class": ["pool"]})
    evaluate(found, other, output=str(page))
    assert "&lt;b&gt;&amp;" in page.read_text("utf-8")
    assert "<b>&" not in page.read_text("utf-8")
