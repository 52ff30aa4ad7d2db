import numpy as np
import pytest
import torch

from core.detections.detections import Detections
from core.retinanet.augmented import VIEWS, AugmentedDetector, View, bring_back, show
from core.retinanet.device import Backend

CPU = Backend(torch.device("cpu"), torch.float32, "processor")
EVERY_VIEW = [View(), *(view for views in VIEWS.values() for view in views), View(1.25, True, 3), View(0.8, True, 1)]


class BrightDetector:
    """Finds the one bright rectangle of an image; its score is the image's first value."""

    backend, batch_limit = CPU, 7

    def __init__(self):
        self.shapes = []

    def __call__(self, images, score_floor, nms_overlap):
        self.shapes.append(images.shape)
        found = []
        for image in images:
            ys, xs = np.nonzero(image[0] > 127)
            box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
            found.append(Detections(box, np.array([0.9], np.float32), np.zeros(1, np.int64)))
        return found


def picture(box, height=60, width=100):
    image = np.zeros((3, height, width), np.uint8)
    image[:, box[1] : box[3], box[0] : box[2]] = 255
    return image


@pytest.mark.parametrize("view", EVERY_VIEW, ids=str)
def test_what_a_view_shows_is_brought_back_to_its_place(view):
    box = (20, 10, 55, 30)
    images = picture(box)[None]
    found = BrightDetector()(show(images, view), 0, 0.5)[0]
    exact = view.scale == 1
    assert np.allclose(bring_back(found.boxes, view, (100, 60)), [box], atol=0 if exact else 0.7)


def test_each_view_differs_and_pixels_move_as_boxes_do():
    images = np.arange(2 * 3 * 6 * 8, dtype=np.uint8).reshape(2, 3, 6, 8)
    plain = [view for view in EVERY_VIEW if view.scale == 1]
    assert len({show(images, view).tobytes() for view in plain}) == len(plain)
    for view in plain:
        shown = show(images, view)
        for y, x in ((0, 0), (2, 5), (shown.shape[2] - 1, shown.shape[3] - 1)):
            x0, y0 = bring_back(np.array([[x, y, x + 1.0, y + 1.0]]), view, (8, 6))[0, :2].astype(int)
            assert np.array_equal(shown[:, :, y, x], images[:, :, y0, x0])


def test_views_that_agree_give_one_detection_for_an_object():
    boxes = [(20, 10, 55, 30), (60, 35, 98, 58)]
    detector = BrightDetector()
    augmented = AugmentedDetector(detector, ("flips", "turns", "scales"))
    found = augmented(np.stack([picture(box) for box in boxes]), 0.1, 0.5)
    assert [len(one) for one in found] == [1, 1]
    assert np.array_equal(np.concatenate([one.boxes for one in found]), np.array(boxes, np.float32))
    assert (augmented.backend, augmented.batch_limit) == (CPU, 7)
    assert detector.shapes == [
        *((2, 3, 60, 100),) * 3,
        *((2, 3, 100, 60), (2, 3, 60, 100), (2, 3, 100, 60)),
        *((2, 3, 48, 80), (2, 3, 75, 125)),
    ]


def test_what_only_one_view_shows_is_kept():
    class Fickle(BrightDetector):
        def __call__(self, images, score_floor, nms_overlap):
            found = super().__call__(images, score_floor, nms_overlap)
            return found if images.shape[2] == 100 else [Detections.empty() for _ in found]

    box = (20, 10, 55, 30)
    assert len(AugmentedDetector(Fickle(), ("flips",))(picture(box)[None], 0.1, 0.5)[0]) == 0
    (found,) = AugmentedDetector(Fickle(), ("turns",))(picture(box)[None], 0.1, 0.5)
    assert np.array_equal(found.boxes, [box])
