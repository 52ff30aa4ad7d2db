from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models.detection import retinanet_resnet50_fpn, retinanet_resnet50_fpn_v2

from core.job.card import BACKBONES, LEVELS, Architecture
from core.retinanet.network import build_network, flatten

V2 = Architecture(extra_levels="c", head_norm="group")


def shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def outlined(architecture: Architecture, classes: int = 2, in_channels: int = 3) -> nn.Module:
    """The network without numbers: shapes are all that these tests ask for."""
    with torch.device("meta"):
        return build_network(architecture, classes, in_channels)


def legal_shapes() -> list[Architecture]:
    found = []
    for stages in (2, 3, 4):
        for first in range(len(LEVELS)):
            for last in range(first, len(LEVELS)):
                levels = LEVELS[first : last + 1]
                sources = ("p", "c", "pool") if int(levels[-1][1:]) > stages + 1 else ("p",)
                for source in sources:
                    shape = Architecture(
                        backbone="resnet18",
                        backbone_stages=stages,
                        levels=levels,
                        extra_levels=source,
                        channels=32,
                        head_channels=32,
                        head_depth=1,
                        anchor_sizes=(16.0,) * len(levels),
                    )
                    if not shape.problems():
                        found.append(shape)
    return found


@pytest.mark.parametrize(
    ("architecture", "theirs"), [(Architecture(), retinanet_resnet50_fpn), (V2, retinanet_resnet50_fpn_v2)]
)
def test_keys_and_shapes_are_torchvisions(architecture, theirs):
    with torch.device("meta"):
        model = theirs(weights=None, weights_backbone=None, num_classes=7)
    assert shapes(outlined(architecture, 7)) == shapes(model)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("stages", [2, 3, 4])
def test_pyramid_takes_the_stages_of_every_resnet(backbone, stages):
    top = f"P{stages + 1}"
    network = outlined(Architecture(backbone=backbone, backbone_stages=stages, levels=(top,), anchor_sizes=(32.0,)))
    width = 64 * 2 ** (stages - 1) * (1 if backbone in ("resnet18", "resnet34") else 4)
    assert network.backbone.fpn.inner_blocks[0][0].in_channels == width
    assert not any(name.startswith(f"backbone.body.layer{stages + 1}") for name in shapes(network))
    assert any(name.startswith(f"backbone.body.layer{stages}") for name in shapes(network))


def test_there_are_as_many_legal_pyramids_as_counted_by_hand():
    # stages 2: P2, P3 may be first; 3: P2 to P4; 4: P2 to P5. With extra levels three sources each.
    plain = {2: 3, 3: 6, 4: 10}
    extra = {2: 2 * 4, 3: 3 * 3, 4: 4 * 2}
    assert len(legal_shapes()) == sum(plain.values()) + 3 * sum(extra.values())


@pytest.mark.parametrize(
    "shape", legal_shapes(), ids=lambda a: f"{a.backbone_stages}-{a.levels[0]}-{a.levels[-1]}-{a.extra_levels}"
)
def test_every_legal_pyramid_gives_maps_of_its_strides(shape):
    logits, deltas = outlined(shape)(torch.empty(2, 3, 256, 400, device="meta"))
    expected = [(-(-256 // 2 ** int(level[1:])), -(-400 // 2 ** int(level[1:]))) for level in shape.levels]
    assert [tuple(m.shape) for m in logits] == [(2, 9 * 2, *grid) for grid in expected]
    assert [tuple(m.shape) for m in deltas] == [(2, 9 * 4, *grid) for grid in expected]


@pytest.mark.parametrize("source", ["p", "c", "pool"])
def test_extra_levels_run_and_differ(small, source):
    levels = ("P4", "P5", "P6")
    network = build_network(replace(small, levels=levels, extra_levels=source, anchor_sizes=(16.0,) * 3), 1)
    logits, _ = network.eval()(torch.randn(1, 3, 128, 128))
    assert [tuple(m.shape[2:]) for m in logits] == [(8, 8), (4, 4), (2, 2)]
    p4, p5, p6 = network.backbone(torch.randn(1, 3, 128, 128))
    if source == "pool":
        assert torch.equal(p5, p4[:, :, ::2, ::2])
        assert torch.equal(p6, p5[:, :, ::2, ::2])
    else:
        assert network.backbone.fpn.extra_blocks.p5.in_channels == (32 if source == "p" else 256)
        assert not torch.equal(p5, p4[:, :, ::2, ::2])


def test_levels_dropped_at_the_coarse_end_change_nothing_in_the_others(small):
    shape = replace(small, backbone_stages=4, levels=("P2", "P3", "P4", "P5"), anchor_sizes=(8.0,) * 4)
    network = build_network(shape, 1).eval()
    fewer = build_network(replace(shape, levels=("P2", "P3"), anchor_sizes=(8.0,) * 2), 1).eval()
    fewer.load_state_dict(network.state_dict())
    images = torch.randn(1, 3, 128, 64)
    for some, all_of_them in zip(fewer(images), network(images), strict=True):
        assert len(some) == 2
        assert all(torch.equal(a, b) for a, b in zip(some, all_of_them, strict=False))


@pytest.mark.parametrize("bands", [1, 3, 4, 13])
def test_any_number_of_bands_goes_in(small, bands):
    network = build_network(small, 1, bands).eval()
    logits, _ = network(torch.randn(1, bands, 64, 64))
    assert torch.isfinite(logits[0]).all()


def test_group_norm_leaves_no_batch_norm_and_eps_is_the_cards(small):
    grouped = build_network(replace(small, backbone_norm="group", head_norm="group"), 1)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in grouped.modules())
    assert torch.isfinite(grouped(torch.randn(1, 3, 64, 64))[0][0]).all()
    batched = build_network(replace(small, backbone_norm_eps=0.0), 1)
    assert {module.eps for module in batched.modules() if isinstance(module, nn.BatchNorm2d)} == {0.0}


@pytest.mark.parametrize(("channels", "groups"), [(256, 32), (64, 32), (48, 16), (100, 4), (7, 1)])
def test_group_norm_takes_any_number_of_channels(channels, groups):
    head = outlined(Architecture(head_channels=channels, head_depth=1, head_norm="group")).head
    assert [module.num_groups for module in head.modules() if isinstance(module, nn.GroupNorm)] == [groups] * 2


def test_head_may_have_no_tower(small):
    network = build_network(replace(small, head_depth=0), 3)
    assert network.head.classification_head.cls_logits.weight.shape == (27, 32, 3, 3)


def test_a_fresh_network_gives_every_anchor_a_score_of_one_percent(small):
    logits, deltas = build_network(small, 2).eval()(torch.randn(1, 3, 64, 64))
    scores = torch.cat([m.flatten() for m in logits]).sigmoid()
    assert torch.allclose(scores, torch.tensor(0.01), atol=4e-3)
    assert torch.cat([m.flatten() for m in deltas]).abs().max() < 0.2


def test_weights_follow_torchs_generator(small):
    def weights() -> dict:
        torch.manual_seed(5)
        return build_network(small, 2).state_dict()

    assert all(torch.equal(a, b) for a, b in zip(weights().values(), weights().values(), strict=True))


def test_flatten_orders_by_level_row_column_anchor():
    anchors, classes, grids = 3, 2, [(2, 4), (1, 2)]
    maps = [
        torch.arange(2 * anchors * classes * h * w, dtype=torch.bfloat16).reshape(2, anchors * classes, h, w)
        for h, w in grids
    ]
    flat = flatten(maps, classes)
    assert flat.shape == (2, anchors * (8 + 2), classes)
    assert flat.dtype == torch.float32
    for n, a, k, y, x in ((0, 0, 0, 0, 0), (0, 2, 1, 1, 3), (1, 1, 0, 1, 2)):
        assert flat[n, (y * 4 + x) * anchors + a, k] == maps[0][n, a * classes + k, y, x]
    assert flat[1, anchors * 8 + 1 * anchors + 2, 1] == maps[1][1, 2 * classes + 1, 0, 1]
