from dataclasses import replace

import numpy as np
import pytest
import torch

from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION, Augmentation
from core.training.augmentation import change_colours, turn, visible

BOXES = np.array([[0.0, 0, 3, 2], [4, 1, 9, 6], [10, 5, 12, 7]])


def painted(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """One band for each box, 1 where the box lies."""
    image = np.zeros((len(boxes), height, width), np.uint8)
    for band, (x0, y0, x1, y1) in zip(image, boxes.astype(int), strict=True):
        band[y0:y1, x0:x1] = 1
    return image


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(5))
def test_turned_boxes_are_the_boxes_of_what_was_painted_and_turned(quarters, mirrored):
    image, boxes = turn(painted(BOXES, 7, 12), BOXES, quarters, mirrored)
    assert image.shape[1:] == ((12, 7) if quarters % 2 else (7, 12))
    assert np.array_equal(image, painted(boxes, *image.shape[1:]))


def test_the_eight_turns_are_eight_different_pictures():
    picture = np.arange(9, dtype=np.uint8).reshape(1, 3, 3)
    turned = {turn(picture, BOXES, k, m)[0].tobytes() for k in range(4) for m in (False, True)}
    assert len(turned) == 8
    assert turn(picture, BOXES, 1, False)[0][0].tolist() == [[2, 5, 8], [1, 4, 7], [0, 3, 6]]  # counter-clockwise


def test_turning_leaves_what_was_given_as_it_was():
    image, boxes = painted(BOXES, 7, 12), BOXES.copy()
    turn(image, boxes, 3, True)
    assert np.array_equal(boxes, BOXES)
    assert np.array_equal(image, painted(BOXES, 7, 12))


def test_an_image_without_boxes_turns_too():
    image, boxes = turn(np.zeros((3, 4, 6), np.uint8), np.zeros((0, 4)), 1, True)
    assert image.shape == (3, 6, 4)
    assert boxes.shape == (0, 4)


def test_visible_clips_drops_and_ignores():
    boxes = [
        [10, 10, 20, 20],  # whole
        [-4, 10, 6, 20],  # 60 % of it
        [-7, 10, 3, 20],  # 30 %: too little to ask for, too much to call ground
        [90, 95, 110, 105],  # a corner: 25 %
        [-10, 0, 0, 10],  # beside it, sharing an edge
        [200, 200, 210, 210],
        [-8.5, 0, 1.5, 50],  # a sliver under 2 px
    ]
    seen = visible(Detections.truth(np.array(boxes), np.arange(7)), 100, 0.4)
    assert seen.boxes.tolist() == [
        [10, 10, 20, 20],
        [0, 10, 6, 20],
        [0, 10, 3, 20],
        [90, 95, 100, 100],
        [0, 0, 1.5, 50],
    ]
    assert seen.labels.tolist() == [0, 1, 2, 3, 6]
    assert seen.ignore.tolist() == [False, False, True, True, True]


def test_visible_keeps_what_was_to_ignore():
    truth = Detections.truth(np.array([[1.0, 1, 9, 9], [2, 2, 8, 8]]), ignore=np.array([True, False]))
    assert visible(truth, 10, 0.4).ignore.tolist() == [True, False]


def test_visible_of_nothing_is_nothing():
    assert len(visible(Detections.empty(), 10, 0.4)) == 0


def some_image(bands: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (bands, 16, 16), np.uint8))


def test_no_augmentation_changes_no_colour():
    assert torch.equal(change_colours(some_image(), NO_AUGMENTATION, np.random.default_rng(0)), some_image())


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_colours_change_within_the_range_of_bytes_by_the_generator_alone(bands):
    strong = Augmentation(brightness=0.9, contrast=0.9, saturation=0.9, haze=0.9, blur=1.0, noise=50.0, cast=0.5)
    one, same, other = (change_colours(some_image(bands), strong, np.random.default_rng(k)) for k in (1, 1, 2))
    assert one.dtype == torch.uint8
    assert one.shape == (bands, 16, 16)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(9)
    assert torch.equal(one, change_colours(some_image(bands), strong, np.random.default_rng(1)))


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "haze", "blur", "noise", "cast"])
def test_each_range_changes_something(name):
    ranges = replace(NO_AUGMENTATION, **{name: 20.0 if name == "noise" else 1.0 if name == "blur" else 0.5})
    assert not torch.equal(change_colours(some_image(), ranges, np.random.default_rng(3)), some_image())


def test_a_shadow_darkens_one_side_of_a_straight_edge():
    image = torch.full((3, 40, 60), 200, dtype=torch.uint8)
    ranges = replace(NO_AUGMENTATION, shadow=1.0)
    shares = []
    for seed in range(20):
        shaded = change_colours(image, ranges, np.random.default_rng(seed))
        dark = (shaded[0] < 150).float()
        shares.append(dark.mean().item())
        assert shaded.min() >= 0.4 * 200 - 1
        assert shaded.max() <= 200
        rows, cols = torch.nonzero(dark, as_tuple=True)
        if 0.1 < shares[-1] < 0.9:  # the middle of the dark side is dark itself
            assert dark[int(rows.float().mean()), int(cols.float().mean())]
    assert min(shares) < 0.3
    assert max(shares) > 0.7
