from dataclasses import astuple

import numpy as np
import pytest
import torch
from torch import Tensor

from core.retinanet.boxes import decode_boxes
from core.retinanet.decoding import Decoded, decode

PLAIN = (1.0, 1.0, 1.0, 1.0)
SHAPE = (96, 160)  # higher than wide would hide a swap as little as wider than high


def maps(images: int = 3, anchors: int = 150, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, anchors, classes, generator=draw) * 2 - 1
    deltas = torch.randn(images, anchors, 4, generator=draw) * 0.3
    centre = torch.rand(anchors, 2, generator=draw) * torch.tensor([SHAPE[1], SHAPE[0]])
    half = 4 + torch.rand(anchors, 2, generator=draw) * 10
    return logits, deltas, torch.cat([centre - half, centre + half], dim=1)


def run(logits: Tensor, deltas: Tensor, anchors: Tensor, **options: float) -> Decoded:
    values = {"score_floor": 0.3, "nms_overlap": 0.5, "max_per_image": 2000, "image_shape": SHAPE, **options}
    return decode(logits, deltas, anchors, box_weights=PLAIN, **values)


def rows(found: Decoded, image: int) -> list[tuple[int, float, tuple[float, ...]]]:
    chosen = found.image == image
    columns = (found.labels[chosen].tolist(), found.scores[chosen].tolist(), found.boxes[chosen].tolist())
    return [(label, score, tuple(box)) for label, score, box in zip(*columns, strict=True)]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(sides, 0)))
    return common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common)


def by_the_book(logits: Tensor, deltas: Tensor, anchors: Tensor, floor: float, overlap: float) -> list[tuple]:
    """One image decoded anchor by anchor and class by class, suppressed greedily."""
    boxes = decode_boxes(deltas, anchors, PLAIN).double().numpy()
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, SHAPE[1])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, SHAPE[0])
    scores = torch.sigmoid(logits).double().numpy()
    solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    candidates = [
        (scores[a, k], a, k) for a in range(len(boxes)) for k in range(scores.shape[1]) if scores[a, k] > floor
    ]
    kept: list[tuple] = []
    for score, a, k in sorted(candidates, key=lambda c: -c[0]):
        if solid[a] and not any(k == label and iou(boxes[a], np.array(box)) > overlap for label, _, box in kept):
            kept.append((k, score, tuple(boxes[a])))
    return kept


@pytest.mark.parametrize(("floor", "overlap"), [(0.3, 0.5), (0.6, 0.1), (0.8, 0.0)])
def test_detections_are_those_by_the_book(floor, overlap):
    logits, deltas, anchors = maps()
    found = run(logits, deltas, anchors, score_floor=floor, nms_overlap=overlap)
    for image in range(3):
        expected = by_the_book(logits[image], deltas[image], anchors, floor, overlap)
        assert len(expected) > 20
        for ours, book in zip(rows(found, image), expected, strict=True):
            assert ours[0] == book[0]
            assert ours[1] == pytest.approx(book[1], abs=1e-6)
            assert ours[2] == pytest.approx(book[2], abs=1e-4)


def test_a_batch_of_three_gives_what_three_singles_give_to_the_last_bit():
    logits, deltas, anchors = maps()
    logits = logits.bfloat16().float()  # as from a network in bfloat16: many equal scores
    together = run(logits, deltas, anchors, max_per_image=40)
    for image in range(3):
        single = run(logits[image : image + 1], deltas[image : image + 1], anchors, max_per_image=40)
        assert len(single.scores) == 40
        assert rows(together, image) == rows(single, 0)


def test_suppression_does_not_depend_on_the_place_in_a_large_batch_of_many_classes():
    # Two boxes whose IoU exceeds 0.5 by 4e-7: moved apart in float32 by up to 160,000 px, they would fall below it.
    overlap_x = 1000 * 2 / 3 + 0.0003
    anchors = torch.tensor([[0.0, 0.0, 1000.0, 50.0], [1000.0 - overlap_x, 0.0, 2000.0 - overlap_x, 50.0]])
    logits = torch.full((40, 2, 2), -9.0)
    logits[:, 0, 1], logits[:, 1, 1] = 2.0, 1.0
    for overlap, left in ((0.5, 1), (0.50001, 2)):
        found = run(logits, torch.zeros(40, 2, 4), anchors, image_shape=(50, 2000), nms_overlap=overlap)
        assert torch.bincount(found.image).tolist() == [left] * 40


def test_images_come_in_order_and_best_first():
    found = run(*maps())
    assert (found.image.diff() >= 0).all()
    for image in range(3):
        scores = found.scores[found.image == image]
        assert len(scores) > 60
        assert (scores.diff() <= 0).all()


def test_an_image_without_detections_is_left_out():
    logits, deltas, anchors = maps()
    logits[1] = -20
    assert run(logits, deltas, anchors).image.unique().tolist() == [0, 2]


def test_threshold_on_logits_is_threshold_on_scores():
    logits, _, _ = maps()
    anchors = torch.tensor([[10.0, 10, 30, 30]]).expand(150, 4)
    for floor in (0.05, 0.3, 0.731, 0.95):
        found = run(logits, torch.zeros(3, 150, 4), anchors, score_floor=floor, nms_overlap=1.0)
        expected = torch.sigmoid(logits).flatten()
        expected = expected[expected > floor].sort().values
        assert len(expected) > 5
        assert torch.allclose(found.scores.sort().values, expected, atol=1e-6)


def test_floor_zero_takes_all_and_floor_one_takes_none():
    logits, deltas = torch.tensor([[[100.0], [-100.0], [30.0], [0.0]]]), torch.zeros(1, 4, 4)
    anchors = torch.tensor([[10.0, 10, 30, 30]]).expand(4, 4)
    assert run(logits, deltas, anchors, score_floor=0.0, nms_overlap=1.0).scores.tolist() == pytest.approx(
        [1, 1, 0.5, 0]
    )
    found = run(logits, deltas, anchors, score_floor=1.0)
    assert [tuple(column.shape) for column in astuple(found)] == [(0,), (0, 4), (0,), (0,)]


def test_at_most_so_many_in_an_image_and_they_are_the_best():
    logits, deltas, anchors = maps()
    everything, some = run(logits, deltas, anchors), run(logits, deltas, anchors, max_per_image=30)
    for image in range(3):
        assert rows(some, image) == rows(everything, image)[:30]


def test_few_candidates_for_a_full_image_are_the_highest():
    logits, deltas, anchors = maps(anchors=4000)
    found = run(logits, deltas, anchors, score_floor=0.0, nms_overlap=1.0, max_per_image=7)
    for image in range(3):
        expected = torch.sigmoid(logits[image]).flatten().topk(7).values
        assert torch.allclose(found.scores[found.image == image], expected, atol=1e-6)


def test_equal_scores_everywhere_stay_within_bounds():
    logits, deltas, anchors = maps(anchors=4000)
    found = run(torch.full_like(logits, 3.0), deltas, anchors, max_per_image=5, nms_overlap=1.0)
    assert torch.bincount(found.image).tolist() == [5, 5, 5]


def test_suppression_is_within_the_class():
    logits = torch.tensor([[[2.0, 1.0], [1.0, -9.0]]])
    anchors = torch.tensor([[10.0, 10, 30, 30], [11, 10, 31, 30]])
    found = run(logits, torch.zeros(1, 2, 4), anchors)
    assert found.labels.tolist() == [0, 1]
    assert torch.allclose(found.boxes, anchors[:1].expand(2, 4))


def test_boxes_are_clipped_to_the_image_and_those_outside_go():
    anchors = torch.tensor([[-10.0, -20, 20, 10], [150, 80, 200, 120], [170, 10, 180, 20], [10, 96, 20, 120]])
    logits = torch.tensor([[[4.0], [3.0], [2.0], [1.0]]])
    found = run(logits, torch.zeros(1, 4, 4), anchors)
    assert torch.allclose(found.boxes, torch.tensor([[0.0, 0, 20, 10], [150, 80, 160, 96]]), atol=1e-4)


def test_boxes_without_a_number_go():
    logits, deltas, anchors = maps(images=1, anchors=3, classes=1)
    logits[:] = 2.0
    deltas[0, 0, 0], deltas[0, 1, 2], logits[0, 2, 0] = torch.nan, torch.nan, torch.nan
    assert len(run(logits, deltas, anchors).scores) == 0


def test_an_empty_batch_gives_nothing():
    _, _, anchors = maps()
    assert len(run(torch.zeros(0, 150, 3), torch.zeros(0, 150, 4), anchors).scores) == 0
