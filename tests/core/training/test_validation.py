from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from core.detections.detections import Detections
from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.network import build_network
from core.training.pictures import Picture
from core.training.validation import MOST_PX, decisive_iou, figures, look_at, median_side

CPU = Backend(torch.device("cpu"), torch.float32, "processor")


def detections(boxes: list[list[float]], scores: list[float]) -> Detections:
    return Detections(np.array(boxes, float).reshape(-1, 4), np.array(scores), np.zeros(len(scores), np.int64))


def picture(boxes: list[list[float]], side: int = 64) -> Picture:
    return Picture(np.zeros((3, side, side), np.uint8), Detections.truth(np.array(boxes, float)), "p")


def test_median_side_is_the_root_of_the_area():
    assert median_side([picture([[0, 0, 4, 9], [0, 0, 10, 10]]), picture([[5, 5, 25, 25]]), picture([])]) == 10
    assert median_side([picture([])]) == 0


def test_small_objects_are_judged_at_a_lower_iou():
    assert [decisive_iou(side) for side in (0, 12, 15.9, 16, 100)] == [0.3, 0.3, 0.3, 0.5, 0.5]


def test_figures_by_hand():
    truth = Detections.truth(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]))
    found = detections([[0, 0, 10, 10], [0, 50, 10, 60], [50, 50, 60, 55]], [0.9, 0.8, 0.7])
    values = figures([(found, truth), (Detections.empty(), Detections.empty())], 0.5)
    # At IoU .5 hits are 1, miss, 1 (half the box): precision 1 up to recall .5, then 2/3.
    assert values["ap50"] == pytest.approx((51 + 50 * 2 / 3) / 101, abs=1e-4)
    assert values["ap30"] == values["ap50"]
    assert values["threshold"] == 0.7
    assert values["precision"] == pytest.approx(2 / 3, abs=1e-4)
    assert values["recall"] == 1
    assert values["f1"] == 0.8
    assert values["ap50_95"] < values["ap50"]


def test_figures_without_truth_or_detections_are_zero_and_not_nan():
    truth = Detections.truth(np.array([[0.0, 0, 10, 10]]))
    for found in ([], [(Detections.empty(), Detections.empty())], [(Detections.empty(), truth)]):
        values = figures(found, 0.5)
        assert values["threshold"] == 0.5
        assert {value for name, value in values.items() if name != "threshold"} == {0.0}


def whiteness_detector(bias: float = -18.5, score_floor: float = 0.05) -> Detector:
    """A detector of white squares of 16 px on black: an anchor's score is how white the middle of its cell is."""
    shape = Architecture(
        backbone="resnet18",
        backbone_stages=2,
        levels=("P3",),
        channels=1,
        head_channels=1,
        head_depth=0,
        anchor_sizes=(16.0,),
        anchor_scales=(1.0,),
        anchor_ratios=(1.0,),
    )
    bands = tuple(Band(role, mean=0.0, std=255.0) for role in ("red", "green", "blue"))
    card = ModelCard("white", (ObjectClass("square"),), bands, None, shape, tile_px=256, overlap_px=64)
    network = build_network(shape, 1)
    network.backbone = _CentresOfCells()
    for output in (network.head.classification_head.cls_logits, network.head.regression_head.bbox_reg):
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
    network.head.classification_head.cls_logits.weight.data[0, 0, 1, 1] = 20.0
    network.head.classification_head.cls_logits.bias.data.fill_(bias)
    return Detector(replace(card, score_floor=score_floor), network, CPU)


class _CentresOfCells(nn.Module):
    """Mean of the 14 px around each multiple of 8 px: the place that torchvision's anchors are centred on."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        mean = nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 14, stride=8, padding=7)
        return [mean[:, :, : images.shape[2] // 8, : images.shape[3] // 8]]


def white_squares(height: int, width: int, centres: list[tuple[int, int]]) -> Picture:
    values = np.zeros((3, height, width), np.uint8)
    boxes = np.array([[x - 8, y - 8, x + 8, y + 8] for x, y in centres], float)
    for x0, y0, x1, y1 in boxes.astype(int):
        values[:, y0:y1, x0:x1] = 255
    return Picture(values, Detections.truth(boxes), "squares")


@pytest.mark.parametrize(("height", "width"), [(64, 96), (90, 301), (700, MOST_PX + 200)])
def test_a_whole_picture_is_looked_at_whatever_its_size(height, width):
    centres = [(x, y) for y in range(16, height - 8, 48) for x in range(16, width - 8, 48)]
    shown = white_squares(height, width, centres)
    found = look_at(whiteness_detector(), shown, np.zeros(3, np.uint8))
    ours = sorted(map(tuple, found.boxes.round(2).tolist()))
    assert ours == sorted(map(tuple, shown.truth.boxes.tolist()))
    assert figures([(found, shown.truth)], 0.5)["f1"] == 1


def test_weak_detections_are_asked_for_too():
    shown = white_squares(64, 64, [(32, 32)])
    weak = whiteness_detector(bias=-21.5, score_floor=0.5)  # a score of .18
    assert len(look_at(weak, shown, np.zeros(3, np.uint8))) == 1
