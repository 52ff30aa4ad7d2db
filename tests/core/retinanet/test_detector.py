from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models.detection import RetinaNet, retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

from core.detections.detections import Detections
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.retinanet import detector as detector_module
from core.retinanet.anchors import grid_anchors
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.network import RetinaNetwork, build_network

CPU = Backend(torch.device("cpu"), torch.float32, "processor")
CPU_BF16 = Backend(torch.device("cpu"), torch.bfloat16, "processor")
IMAGENET = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
V2 = Architecture(extra_levels="c", head_norm="group")
FLOOR = 0.3


def live_in(network: nn.Module, classification: float, box: float) -> None:
    """Give batch norms something to have seen, and outputs a spread: fresh networks score .01 and find nothing."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        network.head.classification_head.cls_logits.weight.mul_(classification)
        network.head.regression_head.bbox_reg.weight.mul_(box)


def noise(n: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, height, width), np.uint8)


def assert_same(ours: Detections, boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> None:
    """Every box has its partner, one for one, within 0.01 px and 1e-4 of score."""
    assert len(ours) == len(boxes)
    free = np.ones(len(boxes), bool)
    for box, score, label in zip(ours.boxes, ours.scores, ours.labels, strict=True):
        near = free & (labels == label) & (abs(boxes - box).max(axis=1) < 0.01) & (abs(scores - score) < 1e-4)
        assert near.any(), f"no partner for {box} of class {label}, score {score}"
        free[np.argmax(near)] = False


def torchvisions(builder: Any, px: int) -> RetinaNet:
    torch.manual_seed(0)
    return builder(
        weights=None,
        weights_backbone=None,
        num_classes=4,
        min_size=px,
        max_size=px,
        score_thresh=FLOOR,
        detections_per_img=100_000,
        topk_candidates=1_000_000,
    ).eval()


@pytest.mark.parametrize(
    ("architecture", "builder", "spread", "px", "batch"),
    [
        (Architecture(), retinanet_resnet50_fpn, (1.0, 0.2), 512, 2),
        (V2, retinanet_resnet50_fpn_v2, (5.0, 1.0), 256, 2),
        (Architecture(strides="torchvision"), retinanet_resnet50_fpn, (1.0, 0.2), 400, 1),
    ],
    ids=["v1", "v2", "v1-400px"],
)
def test_detections_are_torchvisions_box_for_box(architecture, builder, spread, px, batch):
    theirs = torchvisions(builder, px)
    live_in(theirs, *spread)
    network = build_network(architecture, 4).eval()
    network.load_state_dict(theirs.state_dict(), strict=True)
    bands = tuple(
        Band(role, mean=255 * mean, std=255 * std)
        for role, (mean, std) in zip(("red", "green", "blue"), IMAGENET, strict=True)
    )
    classes = tuple(ObjectClass(str(i)) for i in range(4))
    card = ModelCard("theirs", classes, bands, None, architecture, max_detections_per_tile=100_000)
    images = noise(batch, px, px)
    with torch.inference_mode():
        expected = theirs([torch.from_numpy(image).float() / 255 for image in images])
    for found, known in zip(Detector(card, network, CPU)(images, FLOOR, 0.5), expected, strict=True):
        boxes, scores, labels = (known[name].numpy() for name in ("boxes", "scores", "labels"))
        solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        assert 100 < solid.sum() < 3000
        assert_same(found, boxes[solid], scores[solid], labels[solid])


@pytest.fixture
def network(card: ModelCard) -> RetinaNetwork:
    torch.manual_seed(1)
    network = build_network(card.architecture, 2).eval()
    live_in(network, 8.0, 8.0)
    return network


@pytest.mark.parametrize("backend", [CPU, CPU_BF16], ids=["float32", "bfloat16"])
def test_same_input_twice_gives_the_same_bytes(card, network, backend):
    images = noise(2, 128, 128)
    detectors = [Detector(card, network, backend) for _ in range(2)]
    runs = [detector(images, 0.05, 0.5) for detector in (*detectors, detectors[0])]
    for found in zip(*runs, strict=True):
        assert len(found[0]) > 20
        for column in ("boxes", "scores", "labels"):
            assert len({getattr(one, column).tobytes() for one in found}) == 1


def test_a_batch_of_three_gives_what_three_singles_give(card, network):
    images = noise(3, 128, 192)
    detector = Detector(card, network, CPU)
    for together, image in zip(detector(images, 0.05, 0.5), images, strict=True):
        single = detector(image[None], 0.05, 0.5)[0]
        assert len(single) > 20
        assert_same(together, single.boxes, single.scores, single.labels)


def test_a_batch_the_device_has_no_memory_for_is_halved_and_repeated(card, network, monkeypatch):
    images = noise(5, 64, 64)
    detector = Detector(card, network, CPU)
    expected = [detector(image[None], 0.05, 0.5)[0] for image in images]
    tried, normalise = [], detector.normalise

    def cramped(batch: torch.Tensor) -> torch.Tensor:
        tried.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return normalise(batch)

    monkeypatch.setattr(detector, "normalise", cramped)
    found = detector(images, 0.05, 0.5)
    assert (tried, detector.batch_limit) == ([5, 2, 2, 1], 2)
    for ours, known in zip(found, expected, strict=True):
        assert_same(ours, known.boxes, known.scores, known.labels)
    monkeypatch.setattr(detector, "normalise", lambda _: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        detector(images, 0.05, 0.5)


def test_detections_are_columns_in_the_tiles_frame_best_first(card, network):
    found = Detector(card, network, CPU_BF16)(noise(1, 128, 256), 0.05, 0.5)[0]
    assert (found.boxes.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
    assert (np.diff(found.scores) <= 0).all()
    assert set(found.labels) == {0, 1}
    assert (found.boxes >= 0).all()
    assert (found.boxes[:, 2] <= 256).all()
    assert (found.boxes[:, 3] <= 128).all()
    assert found.boxes[:, 2].max() > 200
    assert found.boxes[:, 3].max() > 100


def test_a_picture_on_its_side_is_no_other_problem(card, network):
    """With every kernel, the order of the deltas, and the picture transposed, boxes come out transposed."""
    card = replace(card, architecture=replace(card.architecture, anchor_ratios=(1.0, 1.0, 1.0)))
    turned = build_network(card.architecture, 2).eval()
    state = {name: value.transpose(2, 3) if value.ndim == 4 else value for name, value in network.state_dict().items()}
    for name in ("weight", "bias"):
        deltas = state[f"head.regression_head.bbox_reg.{name}"]
        state[f"head.regression_head.bbox_reg.{name}"] = deltas.unflatten(0, (9, 4))[:, [1, 0, 3, 2]].flatten(0, 1)
    turned.load_state_dict(state)
    images = noise(1, 64, 192)
    wide = Detector(card, network, CPU)(images, 0.05, 0.5)[0]
    high = Detector(card, turned, CPU)(images.transpose(0, 1, 3, 2).copy(), 0.05, 0.5)[0]
    assert len(wide) > 20
    assert_same(high, wide.boxes[:, [1, 0, 3, 2]], wide.scores, wide.labels)


def rigged(card: ModelCard) -> RetinaNetwork:
    """A network that believes in every anchor, as it is."""
    network = build_network(card.architecture, len(card.classes)).eval()
    for output in (network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg):
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
    nn.init.constant_(network.head.classification_head.cls_logits.bias, 2.0)
    return network


def test_boxes_are_float32_beyond_256_px_though_the_network_is_bfloat16(card):
    shape = replace(
        card.architecture,
        levels=("P3", "P4"),
        anchor_sizes=(33.3, 66.6),
        anchor_scales=(1.0,),
        anchor_ratios=(1.0, 1.3),
        integer_anchors=False,
    )
    card = replace(card, architecture=shape, classes=(ObjectClass("pool"),), max_detections_per_tile=100_000)
    found = Detector(card, rigged(card), CPU_BF16)(noise(1, 384, 512), 0.5, 1.0)[0]
    anchors = grid_anchors(shape, [(48, 64), (24, 32)], (384, 512), "cpu").numpy()
    clipped = np.minimum(np.maximum(anchors, 0), np.array([512, 384, 512, 384], np.float32))
    assert abs(found.boxes - clipped).max() < 1e-3
    far = clipped[(clipped[:, :2] > 256).all(axis=1)]
    rounded = torch.from_numpy(far).bfloat16().float().numpy()
    assert abs(rounded - far).max() > 0.9  # what bfloat16 would have made of them


def test_only_the_network_is_bfloat16(card, network, monkeypatch):
    seen: dict[str, torch.dtype] = {}
    decode = detector_module.decode

    def spy(logits: torch.Tensor, deltas: torch.Tensor, anchors: torch.Tensor, *rest: Any) -> Any:
        seen.update(logits=logits.dtype, deltas=deltas.dtype, anchors=anchors.dtype)
        return decode(logits, deltas, anchors, *rest)

    monkeypatch.setattr(detector_module, "decode", spy)
    detector = Detector(card, network, CPU_BF16)
    detector(noise(1, 64, 64), 0.5, 0.5)
    assert {parameter.dtype for parameter in detector.forward.network.parameters()} == {torch.bfloat16}
    assert {m.dtype for maps in detector.forward(torch.zeros(1, 3, 64, 64)) for m in maps} == {torch.bfloat16}
    assert set(seen.values()) == {torch.float32}


def test_bfloat16_finds_what_float32_finds_clear_of_the_threshold(card, network):
    images = noise(1, 128, 128)
    (exact,), (low,) = (Detector(card, network, backend)(images, 0.05, 1.0) for backend in (CPU, CPU_BF16))
    clear = exact.take(exact.scores > 0.1)
    assert len(clear) > 50
    for box, score, label in zip(clear.boxes, clear.scores, clear.labels, strict=True):
        near = (low.labels == label) & (abs(low.boxes - box).max(axis=1) < 1) & (abs(low.scores - score) < 0.03)
        assert near.any()


def test_the_network_given_stays_as_it_was(card, network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    Detector(card, network, CPU_BF16)(noise(1, 64, 64), 0.5, 0.5)
    assert network.training
    assert list(before) == list(network.state_dict())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_images_of_any_size_are_padded_with_the_mean_and_boxes_stay_within_them(card, network):
    card = replace(card, bands=tuple(Band(role, mean=128.0) for role in ("red", "green", "blue")))
    images = noise(1, 90, 101)
    padded = np.full((1, 3, 96, 112), 128, np.uint8)
    padded[:, :, :90, :101] = images
    detector = Detector(card, network, CPU)
    found, known = detector(images, 0.05, 1.0)[0], detector(padded, 0.05, 1.0)[0]
    clipped = np.minimum(known.boxes, np.array([101, 90, 101, 90], np.float32))
    solid = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
    assert len(found) > 20
    assert_same(found, clipped[solid], known.scores[solid], known.labels[solid])


def test_bands_are_normalised_each_by_its_own_statistics(card, network):
    bands = tuple(Band(role, mean=m, std=s) for role, m, s in (("red", 10, 2), ("green", 20, 4), ("nir", 200, 50)))
    detector = Detector(replace(card, bands=bands), network, CPU)
    values = detector.normalise(torch.tensor([12, 12, 100], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 16, 16))
    assert values[0, :, 7, 7].tolist() == [1.0, -2.0, -2.0]


def test_no_more_than_the_card_allows(card, network):
    everything = Detector(card, network, CPU)(noise(2, 128, 128), 0.05, 0.5)
    some = Detector(replace(card, max_detections_per_tile=5), network, CPU)(noise(2, 128, 128), 0.05, 0.5)
    for few, many in zip(some, everything, strict=True):
        assert_same(few, many.boxes[:5], many.scores[:5], many.labels[:5])


def test_tiles_without_detections_and_batches_without_tiles(card, network):
    detector = Detector(card, network, CPU)
    assert [len(found) for found in detector(noise(2, 64, 64), 1.0, 0.5)] == [0, 0]
    assert detector(np.zeros((0, 3, 64, 64), np.uint8), 0.5, 0.5) == []


def test_a_fourth_band_goes_through(card):
    bands = tuple(Band(role) for role in ("red", "green", "blue", "nir"))
    card = replace(card, bands=bands)
    network = build_network(card.architecture, 2, 4)
    found = Detector(card, network, CPU)(np.zeros((1, 4, 64, 64), np.uint8), 0.0, 0.5)[0]
    assert len(found) > 0
