from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely

from core.__main__ import main
from core.export import export
from core.job.errors import Cancelled, InvalidJob, LabelError
from core.job.jobs import ExportJob, job_from_json, job_to_json
from core.training.formats.reading import read_labels
from core.training.formats.repairs import Repairs

PLACE = rasterio.Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)
CRS = "EPSG:32611"


@pytest.fixture
def raster(tmp_path: Path) -> str:
    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "crs": CRS, "transform": PLACE}
    with rasterio.open(path, "w", width=256, height=128, **profile) as target:
        target.write(np.full((3, 128, 256), 80, np.uint8))
    return str(path)


def layer(path: Path, boxes: list[tuple[float, ...]], **fields: list) -> str:
    """A layer of boxes in px of the raster; those without extent become points."""
    shapes = []
    for x0, y0, x1, y1 in boxes:
        a, b = PLACE @ (x0, y0), PLACE @ (x1, y1)
        shapes.append(shapely.box(*a, *b) if a != b else shapely.Point(a))
    columns = [np.array(values) for values in fields.values()]
    kind = "Polygon" if shapes[0].geom_type == "Polygon" else "Point"
    pyogrio.raw.write(
        path, shapely.to_wkb(np.array(shapes)), columns, list(fields), geometry_type=kind, crs=CRS, layer="labels"
    )
    return str(path)


@pytest.fixture
def labels(tmp_path: Path) -> str:
    boxes = [(10, 10, 30, 30), (100, 20, 140, 40), (200, 90, 220, 110)]
    return layer(tmp_path / "labels.gpkg", boxes, kind=["pool", "pool", "car"], doubt=[0, 0, 1])


def run(job: ExportJob, cancelled: bool = False) -> tuple[dict, list[dict]]:
    events: list[dict] = []
    return export(job, events.append, lambda: cancelled), events


def boxes_of(folder: Path, classes: tuple[str, ...]) -> list[list[float]]:
    images, _ = read_labels(folder, classes, Repairs())
    return [np.round(box, 3).tolist() for image in images for box in image.truth.boxes]


def test_a_layer_becomes_chips_that_are_read_again(tmp_path, raster, labels):
    job = ExportJob(raster, labels, str(tmp_path / "chips"), class_field="kind", tile_px=128)
    values, _ = run(job)
    assert {name: values[name] for name in ("chips", "objects", "classes", "format")} == {
        "chips": 2, "objects": 4, "classes": ["car", "pool"], "format": "arcgis",
    }  # fmt: skip
    assert (tmp_path / "chips" / "esri_model_definition.emd").exists()
    found = boxes_of(tmp_path / "chips", ("car", "pool"))
    assert sorted(found) == [[0, 20, 12, 40], [10, 10, 30, 30], [72, 90, 92, 110], [100, 20, 128, 40]]


def test_chips_without_objects_come_if_asked_and_chips_may_overlap(tmp_path, raster, labels):
    job = ExportJob(raster, labels, str(tmp_path / "a"), tile_px=64, format="coco")
    assert run(job)[0]["chips"] == 4
    assert run(ExportJob(raster, labels, str(tmp_path / "b"), tile_px=64, format="coco", empty=True))[0]["chips"] == 8
    assert run(ExportJob(raster, labels, str(tmp_path / "c"), tile_px=64, step_px=32, format="coco"))[0]["chips"] > 4


def test_points_get_a_box_and_doubtful_objects_are_not_to_be_learnt(tmp_path, raster):
    points = layer(tmp_path / "p.gpkg", [(50, 50, 50, 50), (200, 60, 200, 60)], doubt=[0, 1])
    job = ExportJob(
        raster, points, str(tmp_path / "c"), format="csv", tile_px=128, size_m=10, class_name="palm",
        ignore_field="doubt",
    )  # fmt: skip
    run(job)
    images, classes = read_labels(tmp_path / "c", None, Repairs())
    assert classes == ("palm",)
    marks = [image.truth.ignore is not None and bool(image.truth.ignore[0]) for image in images]
    assert marks == [False, True]
    assert boxes_of(tmp_path / "c", classes)[0] == pytest.approx([40, 40, 60, 60], abs=0.01)


def test_only_labelled_ground_is_written(tmp_path, raster, labels):
    area = layer(tmp_path / "area.gpkg", [(0, 0, 64, 64)], id=[1])
    values, _ = run(ExportJob(raster, labels, str(tmp_path / "c"), area=area, tile_px=128, format="voc", empty=True))
    assert values["chips"] == 1
    assert values["objects"] == 1
    (chip,) = (tmp_path / "c" / "images").glob("*.tif")
    with rasterio.open(chip) as written:
        assert written.read(1)[:64, :64].min() == 80
        assert written.read(1)[64:].max() == 0


def test_tens_of_thousands_of_labels_do_no_harm(tmp_path, raster):
    random = np.random.default_rng(1)
    corner = random.uniform(0, (250, 120), (30_000, 2))
    boxes = shapely.box(
        *(PLACE.c + 0.5 * corner[:, :1]).T, *(PLACE.f - 0.5 * corner[:, 1:] - 1).T,
        *(PLACE.c + 0.5 * corner[:, :1] + 1).T, *(PLACE.f - 0.5 * corner[:, 1:]).T,
    )  # fmt: skip
    path = tmp_path / "many.gpkg"
    pyogrio.raw.write(path, shapely.to_wkb(boxes), [], [], geometry_type="Polygon", crs=CRS)
    values, _ = run(ExportJob(raster, str(path), str(tmp_path / "c"), format="yolo", tile_px=64))
    assert values["chips"] == 8
    assert values["objects"] >= 27_000


def test_what_cannot_be_is_told(tmp_path, raster, labels):
    for changes, sentence in (
        ({"format": "tfrecord"}, "Chips are written as arcgis, coco"),
        ({"tile_px": 8}, "The chip size must lie between 32 and 8192 px, not 8."),
        ({"step_px": 500}, "The distance between chips"),
        ({"least_visible": 0.0}, "The least visible share"),
        ({"size_m": -1.0}, "positive number of metres"),
        ({"labels": "/nowhere/l.gpkg"}, "The layer of labels '/nowhere/l.gpkg' does not exist."),
        ({"output": raster}, "is a file. Choose a folder"),
    ):
        values = {"raster": raster, "labels": labels, "output": str(tmp_path / "c"), **changes}
        with pytest.raises(InvalidJob, match=sentence):
            run(ExportJob(**values))
    elsewhere = layer(tmp_path / "far.gpkg", [(5000, 0, 5010, 10)], kind=["pool"])
    with pytest.raises(LabelError):
        run(ExportJob(raster, elsewhere, str(tmp_path / "c")))
    assert not (tmp_path / "c").exists()


def test_cancel_leaves_nothing(tmp_path, raster, labels):
    with pytest.raises(Cancelled):
        run(ExportJob(raster, labels, str(tmp_path / "c")), cancelled=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.gpkg", "scene.tif"]


def test_the_job_survives_the_border(tmp_path, raster, labels):
    job = ExportJob(raster, labels, str(tmp_path / "c"), classes=("pool",), size_m=4.0, step_px=64)
    assert job_from_json(job_to_json(job)) == job


def test_the_command_says_what_it_wrote(tmp_path, raster, labels, capsys):
    out = tmp_path / "chips"
    options = ["--output", str(out), "--format", "kitti", "--class-field", "kind", "--tile", "128", "--ignore-field"]
    assert main(["export", raster, labels, *options, "doubt"]) == 0
    said = capsys.readouterr()
    assert f"{out}\n  2 chips with 4 objects (car, pool), as kitti" in said.out
