import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.retinanet import RetinaNetClassificationHead
from torchvision.ops import box_iou

from core.retinanet.boxes import encode_boxes
from core.retinanet.losses import AnchorLabels, Truth, detection_losses, label_anchors

PLAIN = (1.0, 1.0, 1.0, 1.0)
BACKGROUND, NEITHER = AnchorLabels.BACKGROUND, AnchorLabels.NEITHER


def truth(boxes: list[list[float]], labels: list[int] | None = None, ignore: list[bool] | None = None) -> Truth:
    n = len(boxes)
    return Truth(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels or [0] * n, dtype=torch.int64),
        torch.tensor(ignore or [False] * n, dtype=torch.bool),
    )


def lattice(step: float = 8.0, side: float = 16.0, cells: int = 8) -> Tensor:
    """Square anchors centred on a lattice."""
    y, x = torch.meshgrid(torch.arange(cells) * step, torch.arange(cells) * step, indexing="ij")
    centre = torch.stack([x, y], dim=-1).reshape(-1, 2)
    return torch.cat([centre - side / 2, centre + side / 2], dim=1)


def matched(anchors: list[list[float]], objects: Truth) -> list[int]:
    return label_anchors(torch.tensor(anchors), objects).matched.tolist()


def test_an_anchor_is_object_neither_or_background_by_its_iou():
    # All of height 10 upon a box of 10 x 10: the IoU is the width shared over the width of both together.
    anchors = [[0, 0, 10, 10], [0, 0, 20, 10], [0, 0, 20.1, 10], [0, 0, 25.0, 10], [0, 0, 25.1, 10], [50, 0, 60, 10]]
    expected = [0, 0, NEITHER, NEITHER, BACKGROUND, BACKGROUND]
    assert matched(anchors, truth([[0, 0, 10, 10]])) == expected


def test_an_object_that_nothing_fits_takes_its_best_anchors_and_all_that_are_equally_good():
    anchors = [[0.0, 0, 30, 10], [0, 0, 40, 10], [-20, 0, 10, 10], [50, 0, 60, 10]]
    assert matched(anchors, truth([[0, 0, 10, 10]])) == [0, BACKGROUND, 0, BACKGROUND]


def test_an_object_out_of_reach_of_every_anchor_takes_none():
    assert matched([[0.0, 0, 10, 10], [20, 0, 30, 10]], truth([[100, 100, 110, 110]])) == [BACKGROUND] * 2


def test_an_anchor_takes_the_object_that_it_fits_best():
    anchors = [[0.0, 0, 10, 10], [2, 0, 12, 10]]
    assert matched(anchors, truth([[0, 0, 10, 10], [3, 0, 13, 10]])) == [0, 1]
    assert matched([[0.0, 0, 10, 10]], truth([[0, 0, 10, 9], [0, 0, 10, 10]])) == [1]


def test_without_objects_all_is_background():
    assert matched([[0.0, 0, 10, 10]], truth([])) == [BACKGROUND]


def test_anchors_that_lie_by_half_in_a_box_to_ignore_count_neither_way():
    anchors = [[0.0, 0, 10, 10], [-5, 0, 5, 10], [-5.1, 0, 4.9, 10], [40, 40, 50, 50]]
    ignored = truth([[0, 0, 100, 30]], ignore=[True])
    assert matched(anchors, ignored) == [NEITHER, NEITHER, BACKGROUND, BACKGROUND]


def test_an_object_in_a_box_to_ignore_is_still_learnt_and_keeps_its_index():
    objects = truth([[0, 0, 100, 100], [20, 20, 30, 30]], ignore=[True, False])
    assert matched([[20.0, 20, 30, 30], [60, 60, 70, 70]], objects) == [1, NEITHER]


def test_without_boxes_to_ignore_labels_are_torchvisions():
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        corner = torch.rand(12, 2, generator=draw) * 60
        boxes = torch.cat([corner, corner + 3 + torch.rand(12, 2, generator=draw) * 20], dim=1)
        theirs = Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(boxes, lattice()))
        assert torch.equal(label_anchors(lattice(), truth(boxes.tolist())).matched, theirs)


def some_batch(classes: int = 3) -> tuple[Tensor, Tensor, list[Truth]]:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 64, classes, generator=draw)
    deltas = torch.randn(3, 64, 4, generator=draw) * 0.3
    truths = [
        truth([[9, 9, 23, 25], [30, 30, 50, 44]], [2, 0]),
        truth([]),
        truth([[1, 40, 15, 57], [20, 20, 40, 40]], [1, 1], [False, True]),
    ]
    return logits, deltas, truths


def expected_targets(truths: list[Truth], classes: int) -> tuple[Tensor, Tensor]:
    """One-hot targets (N, anchors, classes), and which anchors count."""
    target, counted = torch.zeros(len(truths), 64, classes), torch.ones(len(truths), 64, dtype=torch.bool)
    for n, objects in enumerate(truths):
        for anchor, index in enumerate(label_anchors(lattice(), objects).matched.tolist()):
            counted[n, anchor] = index != NEITHER
            if index >= 0:
                target[n, anchor, objects.labels[index]] = 1
    return target, counted


def test_focal_loss_without_focus_is_half_of_binary_cross_entropy():
    logits, deltas, truths = some_batch()
    focal, _ = detection_losses(logits, deltas, lattice(), truths, PLAIN, alpha=0.5, gamma=0.0)
    target, counted = expected_targets(truths, 3)
    entropy = functional.binary_cross_entropy_with_logits(logits[counted], target[counted], reduction="sum")
    assert torch.allclose(focal, 0.5 * entropy / target.sum())


def test_focal_loss_by_the_formula_of_the_paper():
    logits, deltas, truths = some_batch()
    focal, _ = detection_losses(logits, deltas, lattice(), truths, PLAIN, alpha=0.25, gamma=2.0)
    target, counted = expected_targets(truths, 3)
    p = logits.double().sigmoid()
    right = torch.where(target == 1, p, 1 - p)
    alpha = torch.where(target == 1, 0.25, 0.75)
    law = -(alpha * (1 - right) ** 2 * right.log())[counted].sum() / target.sum()
    assert focal.item() == pytest.approx(law.item(), rel=1e-5)


def test_focal_loss_of_one_image_is_torchvisions():
    logits, deltas, truths = some_batch()
    head = RetinaNetClassificationHead(8, 1, 3)
    theirs = head.compute_loss(
        [{"labels": truths[0].labels}], {"cls_logits": logits[:1]}, [label_anchors(lattice(), truths[0]).matched]
    )
    ours, _ = detection_losses(logits[:1], deltas[:1], lattice(), truths[:1], PLAIN)
    assert torch.allclose(ours, theirs)


@pytest.mark.parametrize("weights", [PLAIN, (10.0, 10.0, 5.0, 5.0)])
def test_smooth_l1_is_torchs_over_matched_anchors(weights):
    logits, deltas, truths = some_batch()
    _, box = detection_losses(logits, deltas, lattice(), truths, weights)
    total, objects = 0.0, 0
    for n, objects_of_image in enumerate(truths):
        index = label_anchors(lattice(), objects_of_image).matched
        told = encode_boxes(objects_of_image.boxes[index[index >= 0]], lattice()[index >= 0], weights)
        total += functional.smooth_l1_loss(deltas[n, index >= 0], told, beta=1 / 9, reduction="sum")
        objects += int((index >= 0).sum())
    assert torch.allclose(box, total / objects)


@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou"])
def test_perfect_boxes_cost_nothing_and_others_something(box_loss):
    logits, deltas, truths = some_batch()
    perfect = deltas.clone()
    for n, objects in enumerate(truths):
        index = label_anchors(lattice(), objects).matched
        perfect[n, index >= 0] = encode_boxes(objects.boxes[index[index >= 0]], lattice()[index >= 0], PLAIN)
    _, nothing = detection_losses(logits, perfect, lattice(), truths, PLAIN, box_loss=box_loss)
    _, something = detection_losses(logits, deltas, lattice(), truths, PLAIN, box_loss=box_loss)
    assert nothing.item() == pytest.approx(0, abs=1e-5)
    assert something > 0.05


def test_right_logits_cost_less_than_wrong_ones():
    _, deltas, truths = some_batch()
    target, _ = expected_targets(truths, 3)
    right, _ = detection_losses(target * 20 - 10, deltas, lattice(), truths, PLAIN)
    wrong, _ = detection_losses(10 - target * 20, deltas, lattice(), truths, PLAIN)
    assert right < 1e-4 < 1 < wrong


@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou"])
@pytest.mark.parametrize("ignored", [False, True])
def test_images_without_objects_train_with_finite_gradients(box_loss, ignored):
    empty = truth([[0, 0, 30, 30]], ignore=[True]) if ignored else truth([])
    logits = torch.randn(2, 64, 2, generator=torch.Generator().manual_seed(2)).requires_grad_()
    deltas = torch.zeros(2, 64, 4).requires_grad_()
    focal, box = detection_losses(logits, deltas, lattice(), [empty, empty], PLAIN, box_loss=box_loss)
    (focal + box).backward()
    assert box.item() == 0
    assert torch.isfinite(logits.grad).all()
    assert logits.grad.abs().sum() > 0
    assert torch.isfinite(deltas.grad).all()


@pytest.mark.parametrize("box_loss", ["smooth_l1", "giou"])
def test_wild_predictions_have_finite_losses_and_gradients(box_loss):
    _, _, truths = some_batch()
    draw = torch.Generator().manual_seed(3)
    logits = (torch.randn(3, 64, 3, generator=draw) * 1e3).requires_grad_()
    deltas = (torch.randn(3, 64, 4, generator=draw) * 1e3).requires_grad_()
    focal, box = detection_losses(logits, deltas, lattice(), truths, PLAIN, box_loss=box_loss)
    (focal + box).backward()
    for value in (focal, box, logits.grad, deltas.grad):
        assert torch.isfinite(value).all()


def test_anchors_that_count_neither_way_get_no_gradient():
    logits, deltas, truths = some_batch()
    logits, deltas = logits.requires_grad_(), deltas.requires_grad_()
    focal, box = detection_losses(logits, deltas, lattice(), truths, PLAIN)
    (focal + box).backward()
    target, counted = expected_targets(truths, 3)
    assert not counted.all()
    assert (logits.grad[~counted] == 0).all()
    assert (deltas.grad[target.sum(dim=2) == 0] == 0).all()
