from dataclasses import replace

import numpy as np
import pytest
import torch

from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION, Augmentation
from core.job.card import Band
from core.training.pictures import Picture
from core.training.samples import Sampler, crop

RGB = tuple(Band(role) for role in ("red", "green", "blue"))
FILL = np.array([7, 8, 9], np.uint8)


def painted(boxes: list[list[int]], height: int = 64, width: int = 96) -> Picture:
    """A black picture with white boxes, and where they are."""
    values = np.zeros((3, height, width), np.uint8)
    for x0, y0, x1, y1 in boxes:
        values[:, y0:y1, x0:x1] = 255
    return Picture(values, Detections.truth(np.array(boxes, float)), "painted")


# Crops


def test_crop_fills_what_lies_outside():
    values = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5) + 100
    whole = crop(values, -2, -3, 9, FILL)
    assert np.array_equal(whole[:, 3:7, 2:7], values)
    assert (whole[:, :3] == FILL[:, None, None]).all()
    assert (whole[:, 7:] == FILL[:, None, None]).all()
    assert np.array_equal(crop(values, 1, 2, 2, FILL), values[:, 2:4, 1:3])
    assert (crop(values, 50, 50, 3, FILL) == FILL[:, None, None]).all()


def sampler(pictures: list[Picture], tile_px: int = 32, scale: float = 1.0, seed: int = 0) -> Sampler:
    return Sampler(pictures, tile_px, FILL, replace(NO_AUGMENTATION, scale=scale, turns=1), seed)


def test_crops_are_drawn_from_seed_epoch_and_index_alone():
    pictures = [painted([[10, 10, 20, 20], [50, 40, 60, 50]])]

    def draw(seed: int, epoch: int, index: int) -> tuple[bytes, bytes]:
        image, truth = Sampler(pictures, 32, FILL, Augmentation(), seed).sample(epoch, index)
        return image.numpy().tobytes(), truth.boxes.tobytes()

    first = draw(3, 1, 5)
    np.random.seed(99)
    torch.manual_seed(99)
    draw(3, 1, 4)
    assert draw(3, 1, 5) == first
    assert len({first, draw(4, 1, 5), draw(3, 2, 5), draw(3, 1, 6)}) == 4


def test_batches_are_the_samples_in_order():
    made = sampler([painted([[10, 10, 20, 20]])], scale=1.3)
    batches = list(made.batches(epoch=2, steps=3, batch_size=2))
    assert len(batches) == 3
    for step, batch in enumerate(batches):
        assert batch.images.shape == (2, 3, 32, 32)
        for i in range(2):
            image, truth = made.sample(2, step * 2 + i)
            assert torch.equal(batch.images[i], image)
            assert np.array_equal(batch.truths[i].boxes, truth.boxes)


def test_an_error_while_drawing_reaches_the_caller():
    broken = sampler([replace(painted([]), values=np.zeros((1, 8, 8), np.uint8))])  # one band, but a fill of three
    with pytest.raises(ValueError, match="broadcast"):
        list(broken.batches(0, 2, 2))


def test_batches_may_be_left_in_the_middle():
    batches = sampler([painted([[10, 10, 20, 20]])]).batches(0, 100, 2)
    next(batches)
    batches.close()


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_boxes_fit_what_the_crop_shows(scale):
    made = sampler([painted([[30, 20, 44, 30]])], tile_px=48, scale=scale)
    seen = 0
    for index in range(40):
        image, truth = made.sample(0, index)
        white = image[0].numpy() > 127
        if not len(truth):
            assert white.sum() <= 4 * 48
            continue
        ys, xs = np.nonzero(white)
        shown = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert truth.boxes[0] == pytest.approx(shown, abs=1.01 if scale > 1 else 0)
        seen += 1
    assert seen > 25


def test_scale_changes_the_size_to_either_side():
    made = sampler([painted([[30, 20, 50, 30]])], tile_px=48, scale=1.5)
    lengths = []
    for index in range(80):
        _, truth = made.sample(0, index)
        uncut = truth.boxes[((truth.boxes > 0) & (truth.boxes < 48)).all(axis=1)]
        lengths += (uncut[:, 2:] - uncut[:, :2]).max(axis=1).tolist()
    assert min(lengths) < 16
    assert max(lengths) > 26
    assert all(20 / 1.55 < length < 20 * 1.55 for length in lengths)


def test_every_object_is_met_about_as_often_as_every_other():
    # Picture k is all of grey k; it has 1, 2, 3 or 14 objects.
    counts = (1, 2, 3, 14)
    pictures = []
    for k, count in enumerate(counts):
        boxes = [[8.0 * i, 10, 8.0 * i + 6, 16] for i in range(count)]
        values = np.full((3, 128, 128), 10 * k + 10, np.uint8)
        pictures.append(Picture(values, Detections.truth(np.array(boxes)), str(k)))
    made = Sampler(pictures, 32, np.zeros(3, np.uint8), NO_AUGMENTATION, 0)
    drawn = np.zeros(4)
    for index in range(2000):
        image, _ = made.sample(0, index)
        drawn[int(image.max()) // 10 - 1] += 1
    required = 0.8 * 2000 * np.array(counts) / 20
    anywhere = 0.2 * 2000 / 4
    assert drawn == pytest.approx(required + anywhere, rel=0.2)


def test_objects_within_a_picture_are_met_equally_wherever_they_lie():
    # In the corners, at the edges and in the middle, one shade each.
    boxes = [[0, 0, 8, 8], [152, 0, 160, 8], [76, 76, 84, 84], [0, 120, 8, 128], [152, 152, 160, 160]]
    picture = painted([], 160, 160)
    for shade, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        picture.values[:, y0:y1, x0:x1] = 40 * shade
    made = sampler([replace(picture, truth=Detections.truth(np.array(boxes, float), np.arange(5)))], tile_px=32)
    met, whole = np.zeros(5), np.zeros(5)
    for index in range(1000):
        _, truth = made.sample(0, index)
        met[truth.labels] += 1
        sides = truth.boxes[:, 2:] - truth.boxes[:, :2]
        whole[truth.labels[(sides == 8).all(axis=1)]] += 1
    assert met == pytest.approx(np.full(5, 160 + 200 * 0.06), rel=0.25)
    assert (whole >= 0.85 * met).all()


def test_empty_ground_is_balanced_in():
    made = sampler([painted([[100, 100, 110, 110]], 512, 512)], tile_px=32)
    empty = sum(len(made.sample(0, index)[1]) == 0 for index in range(500))
    assert 0.14 < empty / 500 < 0.26


def test_objects_to_ignore_are_not_sought():
    picture = painted([[10, 10, 20, 20], [400, 400, 410, 410]], 512, 512)
    truth = replace(picture.truth, ignore=np.array([True, False]))
    made = sampler([replace(picture, truth=truth)], tile_px=32)
    labels = [made.sample(0, index)[1] for index in range(200)]
    assert sum(len(found) > 0 and not found.ignore[0] for found in labels) > 140
    assert sum(len(found) > 0 and found.ignore[0] for found in labels) < 5


def test_pictures_without_any_object_give_empty_crops():
    image, truth = sampler([painted([])]).sample(0, 0)
    assert image.shape == (3, 32, 32)
    assert len(truth) == 0


def test_a_picture_smaller_than_the_tile_is_shown_whole_now_and_then_and_filled_around():
    picture = painted([[2, 2, 10, 10]], 16, 16)
    made = Sampler([picture], 32, FILL, NO_AUGMENTATION, 0)
    for index in range(20):
        image, _ = made.sample(0, index)
        assert ((image == torch.from_numpy(FILL)[:, None, None]).all(dim=0).sum() >= 32 * 32 - 16 * 16).item()


def test_an_object_larger_than_the_tile_is_shown_in_part():
    made = sampler([painted([[10, 10, 90, 60]])], tile_px=32)
    _, truth = made.sample(0, 1)
    assert len(truth) == 1
    assert truth.boxes[0] == pytest.approx([0, 0, 32, 32], abs=32)


def test_a_mosaic_shows_four_places_with_their_objects():
    """Each picture is all of one grey, with one white object."""
    pictures = [painted([[30, 20, 44, 30]]) for _ in range(6)]
    for grey, picture in enumerate(pictures):
        picture.values[picture.values == 0] = 20 * grey + 10
    made = Sampler(pictures, 64, FILL, replace(NO_AUGMENTATION, mosaic=1.0, turns=1), 0)
    greys, objects = set(), 0
    for index in range(30):
        image, truth = made.sample(0, index)
        assert image.shape == (3, 64, 64)
        quarters = [image[0, y : y + 32, x : x + 32] for y in (0, 32) for x in (0, 32)]
        shown = {int(quarter[(quarter != 255) & (quarter != 7)].median()) for quarter in quarters}
        greys |= shown
        objects += len(truth)
        for x0, y0, x1, y1 in truth.boxes.astype(int):
            assert (image[0, y0:y1, x0:x1] == 255).all()
    assert len(greys) == 6
    assert objects > 60
    plain = Sampler(pictures, 64, FILL, replace(NO_AUGMENTATION, mosaic=0.5), 0)
    mixed = sum(len(plain.sample(0, index)[1]) > 1 for index in range(60))
    assert 10 < mixed < 50
