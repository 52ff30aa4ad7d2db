from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from core.detections.detections import Detections
from core.job.errors import Cancelled, LabelError
from core.training.chips import WRITERS, Chipping, export_chips
from core.training.formats.reading import read_labels
from core.training.formats.repairs import Repairs
from core.training.labels import LabelledImage

SIDE_BY_SIDE = Chipping(64, 64)
PLACE = Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)


@pytest.fixture
def scene(tmp_path: Path) -> LabelledImage:
    """An image of 100 x 64 px, uint16 in two bands: an object in the first chip of 64 px, one on the seam, one past."""
    values = np.arange(2 * 64 * 100, dtype=np.uint16).reshape(2, 64, 100)
    profile = {"count": 2, "dtype": "uint16", "crs": "EPSG:32611", "transform": PLACE}
    with rasterio.open(tmp_path / "scene.tif", "w", driver="GTiff", width=100, height=64, **profile) as target:
        target.write(values)
    truth = Detections.truth(np.array([[4, 6, 20, 30], [56, 10, 76, 20], [80, 30, 100, 64.0]]), np.array([0, 1, 0]))
    return LabelledImage(tmp_path / "scene.tif", truth, "val")


def test_chips_hold_the_images_own_values_and_place(tmp_path, scene):
    done = export_chips([scene], ("pool", "car"), tmp_path / "out", "csv", SIDE_BY_SIDE)
    assert (done.chips, done.objects, done.left_out) == (2, 4, 0)
    with rasterio.open(scene.path) as whole, rasterio.open(tmp_path / "out" / "images" / "000000001.tif") as chip:
        assert chip.crs == whole.crs
        assert chip.transform == PLACE @ Affine.translation(64, 0)
        assert chip.dtypes == whole.dtypes
        assert (chip.read()[:, :, :36] == whole.read()[:, :, 64:]).all()
        assert not chip.read()[:, :, 36:].any()


def test_objects_cut_by_a_chips_edge_are_to_ignore_where_little_of_them_shows(tmp_path, scene):
    export_chips([scene], ("pool", "car"), tmp_path / "out", "csv", SIDE_BY_SIDE)
    first, second = read_labels(tmp_path / "out", ("pool", "car"), Repairs())[0]
    assert first.split == second.split == "val"
    assert first.truth.boxes.tolist() == [[4, 6, 20, 30], [56, 10, 64, 20]]
    assert second.truth.boxes.tolist() == [[0, 10, 12, 20], [16, 30, 36, 64]]
    assert second.truth.ignore is None
    export_chips([scene], ("pool", "car"), tmp_path / "apart", "csv", Chipping(60, 60))
    first = read_labels(tmp_path / "apart", ("pool", "car"), Repairs())[0][0]
    assert first.truth.ignore.tolist() == [False, True]


def test_what_a_chip_must_show_of_an_object_can_be_chosen(tmp_path, scene):
    export_chips([scene], ("pool", "car"), tmp_path / "out", "csv", Chipping(60, 60, least_visible=0.1))
    first = read_labels(tmp_path / "out", ("pool", "car"), Repairs())[0][0]
    assert first.truth.ignore is None or not first.truth.ignore.any()


def test_ground_outside_of_the_labelled_area_is_blank(tmp_path, scene):
    """Otherwise it would be taken for background; chips that show nothing labelled are not written."""
    within = replace(scene, area=shapely.box(0, 0, 40, 64))
    assert export_chips([within], ("pool", "car"), tmp_path / "out", "csv", SIDE_BY_SIDE).chips == 1
    with rasterio.open(scene.path) as whole, rasterio.open(tmp_path / "out" / "images" / "000000000.tif") as chip:
        assert (chip.read()[:, :, :40] == whole.read()[:, :, :40]).all()
        assert not chip.read()[:, :, 40:].any()


def test_progress_is_told_and_cancel_leaves_nothing(tmp_path, scene):
    events = []
    export_chips([scene, scene], ("pool", "car"), tmp_path / "out", "csv", SIDE_BY_SIDE, events.append)
    assert [event["done"] for event in events] == [0.0, 0.5]
    with pytest.raises(Cancelled):
        export_chips([scene], ("pool", "car"), tmp_path / "no", "csv", SIDE_BY_SIDE, events.append, lambda: True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scene.tif"]


@pytest.mark.parametrize("file_format", sorted(WRITERS))
def test_chips_of_every_format_are_read_again(tmp_path, scene, file_format):
    done = export_chips([scene], ("pool", "car"), tmp_path / "out", file_format, SIDE_BY_SIDE)
    repairs = Repairs()
    images, classes = read_labels(tmp_path / "out", ("pool", "car"), repairs)
    assert repairs.sentences() == []
    assert classes == ("pool", "car")
    assert sum(len(image.truth) for image in images) == done.objects == 4


def test_empty_chips_are_left_out_if_asked(tmp_path, scene):
    bare = LabelledImage(scene.path, Detections.empty(), "train")
    assert export_chips([scene, bare], ("pool", "car"), tmp_path / "all", "coco", SIDE_BY_SIDE).chips == 4
    assert (
        export_chips([scene, bare], ("pool", "car"), tmp_path / "out", "coco", Chipping(64, 64, empty=False)).chips == 2
    )


def test_a_folder_in_use_and_an_unknown_format_are_told(tmp_path, scene):
    with pytest.raises(LabelError, match=r"is not empty"):
        export_chips([scene], ("pool", "car"), tmp_path, "csv", SIDE_BY_SIDE)
    with pytest.raises(LabelError, match=r"not as 'tfrecord'"):
        export_chips([scene], ("pool", "car"), tmp_path / "out", "tfrecord", SIDE_BY_SIDE)


def test_what_fails_leaves_nothing(tmp_path, scene):
    gone = LabelledImage(tmp_path / "gone.tif", scene.truth, "train")
    with pytest.raises(LabelError, match=r"gone\.tif' cannot be read"):
        export_chips([scene, gone], ("pool", "car"), tmp_path / "out", "csv", SIDE_BY_SIDE)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]
