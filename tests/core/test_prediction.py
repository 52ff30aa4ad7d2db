import numpy as np
import pytest
import rasterio
from affine import Affine

from core.detections.detections import Detections
from core.job.card import Band, ModelCard, ObjectClass
from core.job.errors import InvalidJob
from core.prediction import in_file_px, shown, values_of

CARD = ModelCard("pools", (ObjectClass("pool"),), (Band("red"), Band("green"), Band("blue")), 1.0)


def test_boxes_are_told_in_px_of_the_file():
    boxes = np.array([[10, 20, 30, 50]], np.float32)
    assert in_file_px(boxes, None).tolist() == [[10, 20, 30, 50]]
    assert in_file_px(boxes, Affine.scale(2)).tolist() == [[20, 40, 60, 100]]
    assert in_file_px(boxes, Affine.translation(100, 0) @ Affine.rotation(90)).round(6).tolist() == [[50, 10, 80, 30]]
    assert in_file_px(np.zeros((0, 4)), Affine.scale(2)).shape == (0, 4)


def test_a_file_is_read_at_the_models_resolution(tmp_path):
    path = tmp_path / "fine.tif"
    place = Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)
    profile = {"driver": "GTiff", "width": 80, "height": 40, "count": 3, "dtype": "uint8", "photometric": "RGB"}
    with rasterio.open(path, "w", crs="EPSG:32611", transform=place, **profile) as target:
        target.write(np.full((3, 40, 80), 70, np.uint8))
    values, to_source = values_of(path, CARD)
    assert values.shape == (3, 20, 40)
    assert to_source.a == pytest.approx(2, rel=1e-3)


def test_bands_last_are_put_first_and_other_shapes_refused():
    values = np.zeros((5, 7, 3), np.uint8)
    assert values_of(values, CARD)[0].shape == (3, 5, 7)
    for wrong in (np.zeros((5, 7), np.uint8), np.zeros((5, 7, 4), np.uint8), np.zeros((3, 5, 7))):
        with pytest.raises(InvalidJob, match="with 3 bands, values 0-255"):
            values_of(wrong, CARD)


def test_a_picture_shows_every_box_with_its_score():
    found = Detections(np.array([[1, 1, 5, 5], [8, 8, 12, 12.0]]), np.array([0.9, 0.25]), np.array([0, 0]))
    html = shown(np.zeros((3, 16, 16), np.uint8), found, CARD)._repr_html_()
    assert html.count("0.90</text>") and html.count("0.25</text>")
