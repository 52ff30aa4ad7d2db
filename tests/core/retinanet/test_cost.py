from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.job.card import Architecture
from core.retinanet.cost import TILE_PX, operations
from core.retinanet.network import build_network

SMALL = Architecture(
    backbone="resnet18",
    backbone_stages=3,
    levels=("P2", "P3", "P4", "P5"),
    extra_levels="pool",
    channels=128,
    head_channels=64,
    head_depth=2,
    anchor_sizes=(10.0, 20.0, 40.0, 80.0),
)


@pytest.mark.parametrize(
    ("architecture", "classes", "bands"),
    [
        (Architecture(), 1, 3),
        (replace(Architecture(), extra_levels="c", anchor_ratios=(1.0,)), 7, 4),
        (SMALL, 2, 4),
        (replace(SMALL, backbone="resnet34", backbone_stages=2, extra_levels="c", head_depth=0), 1, 3),
        (replace(SMALL, levels=("P4",), anchor_sizes=(32.0,)), 1, 3),
    ],
)
def test_the_count_is_that_of_torchs_own_counter(architecture, classes, bands):
    with torch.device("meta"), torch.no_grad():
        network = build_network(architecture, classes, bands).eval()
        image = torch.empty(1, bands, TILE_PX, TILE_PX)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    assert operations(architecture, classes, bands) == counter.get_total_flops()


def test_a_finer_level_costs_more_than_all_coarser_ones():
    fine = replace(Architecture(), levels=("P2", *Architecture().levels), anchor_sizes=(16.0, 32, 64, 128, 256, 512))
    assert operations(fine) > 2 * operations(Architecture())
