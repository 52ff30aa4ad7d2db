from dataclasses import replace

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from core.job.card import Architecture
from core.retinanet.anchors import cell_anchors, grid_anchors

RETINANET = AnchorGenerator(
    tuple((size, int(size * 2 ** (1 / 3)), int(size * 2 ** (2 / 3))) for size in (32, 64, 128, 256, 512)),
    ((0.5, 1.0, 2.0),) * 5,
)


def grids(architecture: Architecture, height: int, width: int) -> list[tuple[int, int]]:
    return [(-(-height // 2 ** int(level[1:])), -(-width // 2 ** int(level[1:]))) for level in architecture.levels]


def theirs(shapes: list[tuple[int, int]], height: int, width: int) -> torch.Tensor:
    maps = [torch.empty(1, 1, *shape) for shape in shapes]
    return RETINANET(ImageList(torch.empty(1, 3, height, width), [(height, width)]), maps)[0]


def test_cell_anchors_are_torchvisions():
    ours = cell_anchors(Architecture())
    assert all(torch.equal(a, b) for a, b in zip(ours, RETINANET.cell_anchors, strict=True))
    assert ours[0][:3].tolist() == [[-23, -11, 23, 11], [-28, -14, 28, 14], [-35, -18, 35, 18]]


@pytest.mark.parametrize(("height", "width"), [(512, 512), (256, 384)])
@pytest.mark.parametrize("strides", ["nominal", "torchvision"])
def test_grid_anchors_are_torchvisions_where_the_image_is_a_multiple_of_the_stride(height, width, strides):
    architecture = Architecture(strides=strides)
    shapes = grids(architecture, height, width)
    assert torch.equal(
        grid_anchors(architecture, shapes, (height, width), "cpu"),
        theirs(shapes, height, width),
    )


@pytest.mark.parametrize(("height", "width"), [(416, 416), (416, 320)])
def test_torchvisions_strides_are_copied_where_the_image_is_no_multiple(height, width):
    architecture = Architecture(strides="torchvision")
    shapes = grids(architecture, height, width)
    ours = grid_anchors(architecture, shapes, (height, width), "cpu")
    assert torch.equal(ours, theirs(shapes, height, width))
    nominal = grid_anchors(replace(architecture, strides="nominal"), shapes, (height, width), "cpu")
    assert not torch.equal(ours, nominal)


def test_at_416_px_p6_and_p7_step_by_59_and_104_as_in_torchvision():
    architecture = Architecture(
        levels=("P5", "P6", "P7"),
        anchor_sizes=(32.0, 64.0, 128.0),
        anchor_scales=(1.0,),
        anchor_ratios=(1.0,),
        strides="torchvision",
    )
    anchors = grid_anchors(architecture, [(13, 13), (7, 7), (4, 4)], (416, 416), "cpu")
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert centres[1].tolist() == [32, 0]
    assert centres[169 + 1].tolist() == [59, 0]
    assert centres[169 + 49 + 1].tolist() == [104, 0]


def test_anchors_have_the_area_of_their_size_and_their_ratio():
    architecture = Architecture(
        levels=("P2",), anchor_sizes=(10.5,), anchor_scales=(1.0, 1.5), anchor_ratios=(0.5, 3.0), integer_anchors=False
    )
    (anchors,) = cell_anchors(architecture)
    sides = anchors[:, 2:] - anchors[:, :2]
    assert torch.allclose(sides.prod(dim=1), torch.tensor([10.5**2, 15.75**2] * 2))
    assert torch.allclose(sides[:, 1] / sides[:, 0], torch.tensor([0.5, 0.5, 3.0, 3.0]))
    assert torch.equal(anchors[:, :2], -anchors[:, 2:])


def test_every_cell_has_its_anchors_row_by_row():
    architecture = Architecture(
        levels=("P3", "P4"),
        anchor_sizes=(8.0, 16.0),
        anchor_scales=(1.0,),
        anchor_ratios=(1.0,),
    )
    anchors = grid_anchors(architecture, [(2, 3), (1, 2)], (16, 24), "cpu")
    centres = ((anchors[:, :2] + anchors[:, 2:]) / 2).tolist()
    assert centres == [[0, 0], [8, 0], [16, 0], [0, 8], [8, 8], [16, 8], [0, 0], [16, 0]]


def test_anchors_are_float32_whatever_torchs_default():
    torch.set_default_dtype(torch.bfloat16)
    try:
        anchors = grid_anchors(Architecture(), grids(Architecture(), 512, 512), (512, 512), "cpu")
    finally:
        torch.set_default_dtype(torch.float32)
    assert anchors.dtype == torch.float32
    assert torch.equal(anchors, grid_anchors(Architecture(), grids(Architecture(), 512, 512), (512, 512), "cpu"))
