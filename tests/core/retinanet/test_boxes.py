import math

import pytest
import torch
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder

from core.retinanet.boxes import LARGEST_GROWTH, decode_boxes, encode_boxes

PLAIN = (1.0, 1.0, 1.0, 1.0)
FASTER_RCNN = (10.0, 10.0, 5.0, 5.0)


def random_boxes(n: int, seed: int) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=draw) * 480
    return torch.cat([corner, corner + 2 + torch.rand(n, 2, generator=draw) * 60], dim=1)


@pytest.mark.parametrize("weights", [PLAIN, FASTER_RCNN])
def test_decoding_undoes_encoding(weights):
    boxes, anchors = random_boxes(1000, 0), random_boxes(1000, 1)
    assert torch.allclose(decode_boxes(encode_boxes(boxes, anchors, weights), anchors, weights), boxes, atol=1e-3)


@pytest.mark.parametrize("weights", [PLAIN, FASTER_RCNN])
def test_deltas_and_boxes_are_torchvisions(weights):
    boxes, anchors = random_boxes(1000, 2), random_boxes(1000, 3)
    theirs = BoxCoder(weights)
    deltas = encode_boxes(boxes, anchors, weights)
    assert torch.allclose(deltas, theirs.encode_single(boxes, anchors), atol=1e-5)
    wild = deltas + torch.randn(1000, 4, generator=torch.Generator().manual_seed(4)) * 3
    ours = decode_boxes(wild, anchors, weights)
    assert torch.allclose(ours, theirs.decode_single(wild, anchors), rtol=1e-5, atol=1e-3)


def test_deltas_by_hand():
    deltas = encode_boxes(torch.tensor([[15.0, 10.0, 25.0, 50.0]]), torch.tensor([[10.0, 10.0, 20.0, 30.0]]), PLAIN)
    assert torch.allclose(deltas, torch.tensor([[0.5, 0.5, 0.0, math.log(2)]]))


def test_no_box_grows_without_limit():
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    for delta in (LARGEST_GROWTH + 1, 1e4, math.inf):
        box = decode_boxes(torch.tensor([[0.0, 0.0, delta, delta]]), anchor, PLAIN)
        assert torch.allclose(box[:, 2:] - box[:, :2], torch.tensor([[1000.0, 1000.0]]), rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_coding_is_float32_whatever_comes_in(dtype):
    anchors = torch.tensor([[500.3, 500.3, 510.7, 510.7]])
    assert decode_boxes(torch.zeros(1, 4, dtype=dtype), anchors, PLAIN).dtype == torch.float32
    assert torch.allclose(decode_boxes(torch.zeros(1, 4, dtype=dtype), anchors, PLAIN), anchors, atol=1e-4)
    assert encode_boxes(anchors.to(dtype), anchors, PLAIN).dtype == torch.float32


def test_nothing_is_coded_as_nothing():
    none = torch.zeros(0, 4)
    assert decode_boxes(encode_boxes(none, none, PLAIN), none, PLAIN).shape == (0, 4)
