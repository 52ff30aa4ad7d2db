import numpy as np
import pyogrio.raw
import pytest
import shapely
from pyproj import Transformer

from core.__main__ import main
from core.evaluate import evaluate
from core.job.errors import LabelError

UTM = "EPSG:32611"
X, Y = 500_000, 4_000_000


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
    for path in ("bad.gpkg", "none.gpkg"):
        with pytest.raises(LabelError, match=f"{path}' cannot be read"):
            evaluate(str(tmp_path / path), files[1], 0.5, 0.5)


def test_the_command_prints_a_table(files, capsys):
    assert main(["evaluate", *files, "--threshold", "0.5"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "At IoU 0.5 and a score of 0.5 or more"
    assert shown[-1].split() == ["overall", "0.332", "0.667", "0.500", "0.571", "2", "1", "2"]
