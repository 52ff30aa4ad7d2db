from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from core.detections.detections import Detections
from core.job.card import Band
from core.job.errors import LabelError
from core.training.labels import LabelledImage
from core.training.pictures import load_pictures, native_resolution, with_ranges, with_statistics

RGB = tuple(Band(role) for role in ("red", "green", "blue"))


def write_image(path: Path, image: np.ndarray, resolution_m: float | None = 0.5) -> Path:
    bands, height, width = image.shape
    profile = {"driver": "GTiff", "count": bands, "height": height, "width": width, "dtype": image.dtype}
    if resolution_m is not None:
        transform = Affine(resolution_m, 0, 400_000, 0, -resolution_m, 3_760_000)
        profile |= {"crs": "EPSG:32611", "transform": transform}
    with rasterio.open(path, "w", **profile) as target:
        target.write(image)
    return path


def labelled(path: Path, boxes: list[list[float]]) -> LabelledImage:
    return LabelledImage(path, Detections.truth(np.array(boxes)), "train")


def test_pictures_are_whole_images_with_their_boxes(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)
    path = write_image(tmp_path / "a.tif", image)
    (picture,) = load_pictures([labelled(path, [[1, 2, 30, 40], [-3, 0, 5, 5]])], RGB, (1, 2, 3), 0.5)
    assert np.array_equal(picture.values, image)
    assert picture.truth.boxes.tolist() == [[1, 2, 30, 40], [0, 0, 5, 5]]
    assert picture.name == "a.tif"


def test_only_labelled_ground_is_loaded_and_the_rest_of_its_bounds_is_to_ignore(tmp_path):
    """An area of 32 x 40 px at (8, 8), of which the lower right 16 x 16 px are not labelled."""
    image = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    area = shapely.box(8, 8, 40, 48).difference(shapely.box(24, 32, 40, 48))
    path = write_image(tmp_path / "a.tif", image)
    drawn = LabelledImage(path, Detections.truth(np.array([[10, 12, 20, 20]])), "train", area)
    (picture,) = load_pictures([drawn], RGB, (1, 2, 3), 0.5, 2)
    assert np.array_equal(picture.values, image[:, 8:48, 8:40])
    assert picture.truth.boxes.tolist() == [[2, 4, 12, 12], [16, 24, 32, 40], [16, 24, 32, 40]]
    assert picture.truth.ignore.tolist() == [False, True, True]
    assert picture.truth.labels.tolist() == [0, 0, 1]
    (fine,) = load_pictures([drawn], RGB, (1, 2, 3), 0.25)
    assert np.allclose(fine.values.shape, (3, 80, 64), atol=1)
    assert np.allclose(fine.truth.boxes[0], [4, 8, 24, 24], atol=0.1)


def test_bands_come_in_the_order_asked_for(tmp_path):
    image = np.arange(4, dtype=np.uint8).reshape(4, 1, 1).repeat(40, 1).repeat(40, 2)
    path = write_image(tmp_path / "a.tif", image)
    (picture,) = load_pictures([labelled(path, [])], RGB, (4, 2, 1), 0.5)
    assert picture.values[:, 20, 20].tolist() == [3, 1, 0]


def test_at_another_resolution_boxes_follow_the_picture(tmp_path):
    image = np.zeros((3, 80, 120), np.uint8)
    image[:, 20:60, 40:100] = 255
    path = write_image(tmp_path / "a.tif", image, resolution_m=0.5)
    (picture,) = load_pictures([labelled(path, [[40, 20, 100, 60]])], RGB, (1, 2, 3), 1.0)
    assert picture.values.shape[1:] == pytest.approx((40, 60), abs=1)
    x0, y0, x1, y1 = picture.truth.boxes[0]
    assert [x0, y0, x1, y1] == pytest.approx([20, 10, 50, 30], abs=0.3)
    inside = picture.values[0, round(y0) + 2 : round(y1) - 2, round(x0) + 2 : round(x1) - 2]
    assert inside.min() > 200
    assert picture.values.sum() / 3 / 255 == pytest.approx(20 * 30, rel=0.1)


def test_a_box_outside_of_its_image_is_told(tmp_path):
    path = write_image(tmp_path / "a.tif", np.zeros((3, 40, 60), np.uint8))
    with pytest.raises(LabelError, match=r"^The box 61, 2, 70, 9 lies outside of its image '.*a\.tif'\.$"):
        load_pictures([labelled(path, [[1, 1, 5, 5], [61, 2, 70, 9]])], RGB, (1, 2, 3), 0.5)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_native_resolution_is_the_median_of_what_is_known(tmp_path):
    image = np.zeros((3, 40, 40), np.uint8)
    paths = [
        write_image(tmp_path / f"{i}.tif", image, resolution_m=r) for i, r in enumerate((0.3, 0.5, 0.6, 9.0, None))
    ]
    known = native_resolution([labelled(path, []) for path in paths[:3]])
    assert known == pytest.approx(0.5, rel=2e-3)
    assert native_resolution([labelled(paths[4], [])]) is None


def test_pictures_beyond_memory_are_read_window_by_window(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (3, 700, 600), np.uint8)
    path = write_image(tmp_path / "a.tif", image)
    drawn = LabelledImage(path, Detections.truth(np.array([[20, 30, 40, 50]])), "val", shapely.box(8, 16, 590, 690))
    held, read = (load_pictures([drawn], RGB, (1, 2, 3), 0.5, memory_bytes=room)[0] for room in (10**9, 0))
    assert isinstance(held.values, np.ndarray)
    assert not isinstance(read.values, np.ndarray)
    assert np.array_equal(read.values[:, :, :], held.values)
    assert read.truth.boxes.tolist() == held.truth.boxes.tolist()
    assert (read.split, read.path) == ("val", str(path))


def test_pictures_know_their_place_on_the_map(tmp_path):
    path = write_image(tmp_path / "a.tif", np.zeros((3, 80, 120), np.uint8))
    area = shapely.box(20, 10, 100, 70)
    drawn = LabelledImage(path, Detections.truth(np.array([[30, 20, 40, 60]])), "train", area)
    for resolution in (0.5, 1.0):
        (picture,) = load_pictures([drawn], RGB, (1, 2, 3), resolution)
        assert picture.to_map(picture.truth.boxes)[0] == pytest.approx(
            [400_015, 3_759_970, 400_020, 3_759_990], abs=0.2
        )
        assert "32611" in picture.crs


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_picture_without_a_place_lies_as_qgis_draws_it(tmp_path):
    path = write_image(tmp_path / "a.tif", np.zeros((3, 40, 60), np.uint8), None)
    (picture,) = load_pictures([labelled(path, [[1, 2, 30, 40]])], RGB, (1, 2, 3), None)
    assert picture.to_map(picture.truth.boxes).tolist() == [[1, -40, 30, -2]]
    assert picture.crs is None


def test_bands_get_the_range_of_sixteen_bits(tmp_path):
    random = np.random.default_rng(0)
    images = [random.integers(300, 2000 + 500 * i, (3, 64, 64)).astype(np.uint16) for i in range(3)]
    drawn = [labelled(write_image(tmp_path / f"{i}.tif", image), []) for i, image in enumerate(images)]
    bands = with_ranges(RGB, drawn, (1, 2, 3), 0.5)
    assert bands[0].low == pytest.approx(300, abs=60)
    assert bands[0].high == pytest.approx(2500, abs=60)
    assert (
        with_ranges(RGB, [labelled(write_image(tmp_path / "8.tif", np.zeros((3, 9, 9), np.uint8)), [])], (1, 2, 3), 0.5)
        == RGB
    )


def test_statistics_are_those_of_the_values(tmp_path):
    values = np.random.default_rng(0).normal(90, 20, (3, 300, 200)).clip(0, 255).astype(np.uint8)
    drawn = labelled(write_image(tmp_path / "a.tif", values), [])
    for room in (10**9, 0):
        bands = with_statistics(RGB, load_pictures([drawn], RGB, (1, 2, 3), 0.5, memory_bytes=room))
        assert bands[1].mean == pytest.approx(values[1].mean(), abs=1e-3)
        assert bands[1].std == pytest.approx(values[1].std(), abs=1e-3)
        assert sum(bands[1].histogram) == 300 * 200
