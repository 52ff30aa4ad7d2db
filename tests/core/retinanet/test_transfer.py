from dataclasses import replace

import pytest
import torch

from core.job.card import Band, ModelCard, ObjectClass
from core.retinanet.network import RetinaNetwork, build_network
from core.retinanet.transfer import transfer_weights


def fresh(card: ModelCard, seed: int) -> RetinaNetwork:
    torch.manual_seed(seed)
    return build_network(card.architecture, len(card.classes), len(card.bands))


def with_shape(card: ModelCard, **changes: object) -> ModelCard:
    return replace(card, architecture=replace(card.architecture, **changes))


def transferred(source: ModelCard, target: ModelCard) -> tuple[RetinaNetwork, RetinaNetwork, RetinaNetwork, float]:
    """Source, target before and after, and the share copied."""
    theirs, before, after = fresh(source, 1), fresh(target, 2), fresh(target, 2)
    return theirs, before, after, transfer_weights(theirs.state_dict(), source, after, target)


def test_between_equal_cards_everything_is_copied(card):
    theirs, _, after, share = transferred(card, card)
    assert share == 1
    assert all(torch.equal(after.state_dict()[name], value) for name, value in theirs.state_dict().items())


def test_with_a_finer_level_added_the_pyramid_keeps_its_levels(card):
    coarse = with_shape(card, levels=("P3", "P4"), anchor_sizes=(24.0, 48.0))
    theirs, before, after, share = transferred(coarse, card)  # from P3, P4 to P2, P3, P4
    for ours, place in ((1, 0), (2, 1)):
        for blocks in ("inner_blocks", "layer_blocks"):
            new = getattr(after.backbone.fpn, blocks)[ours][0].weight
            assert torch.equal(new, getattr(theirs.backbone.fpn, blocks)[place][0].weight)
    finest = after.backbone.fpn.layer_blocks[0][0].weight
    assert torch.equal(finest, before.backbone.fpn.layer_blocks[0][0].weight)
    assert 0.9 < share < 1


def test_classes_are_known_by_name_and_new_ones_start_fresh(card):
    source = replace(card, classes=(ObjectClass("roof"), ObjectClass("tree"), ObjectClass("Pool")))
    theirs, before, after, _ = transferred(source, card)  # card: pool, roof
    new, old, fresh_ones = (
        network.head.classification_head.cls_logits.weight.unflatten(0, (9, -1)) for network in (after, theirs, before)
    )
    assert torch.equal(new[:, 0], old[:, 2])
    assert torch.equal(new[:, 1], old[:, 0])
    target = replace(card, classes=(ObjectClass("boat"), ObjectClass("tree")))
    _, before, after, _ = transferred(source, target)
    new, fresh_ones = (
        network.head.classification_head.cls_logits.weight.unflatten(0, (9, 2)) for network in (after, before)
    )
    assert torch.equal(new[:, 0], fresh_ones[:, 0])
    assert torch.equal(new[:, 1], old[:, 1])


def test_bands_are_known_by_role(card):
    target = replace(card, bands=tuple(Band(role) for role in ("nir", "blue", "green", "red")))
    theirs, _, after, _ = transferred(card, target)
    new, old = after.backbone.body.conv1.weight, theirs.backbone.body.conv1.weight
    assert torch.equal(new[:, 1:], old[:, [2, 1, 0]])
    assert torch.allclose(new[:, 0], old.mean(dim=1))  # nir


def test_new_bands_alone_weigh_as_much_as_those_they_replace(card):
    for roles in (("gray",), ("nir", "other")):
        theirs, _, after, _ = transferred(card, replace(card, bands=tuple(Band(role) for role in roles)))
        new, old = after.backbone.body.conv1.weight, theirs.backbone.body.conv1.weight
        assert torch.allclose(new.sum(dim=1), old.sum(dim=1), atol=1e-6)


def test_a_backbone_alone_starts_the_backbone(card):
    theirs, before, after = fresh(card, 1), fresh(card, 2), fresh(card, 2)
    backbone = {name: value for name, value in theirs.state_dict().items() if name.startswith("backbone.body")}
    assert 0.5 < transfer_weights(backbone, card, after, card) < 1
    for name, value in after.state_dict().items():
        source = theirs if name.startswith("backbone.body") else before
        assert torch.equal(value, source.state_dict()[name])


def test_other_anchors_start_their_outputs_fresh(card):
    target = with_shape(card, anchor_ratios=(1.0,))
    theirs, before, after, _ = transferred(card, target)
    for head, output in (("classification_head", "cls_logits"), ("regression_head", "bbox_reg")):
        new, old = (getattr(getattr(network.head, head), output).weight for network in (after, before))
        assert torch.equal(new, old)
    tower = "head.classification_head.conv.0.0.weight"
    assert torch.equal(after.state_dict()[tower], theirs.state_dict()[tower])


def test_as_many_outputs_for_other_anchors_and_classes_are_not_taken_for_the_same(card):
    source = replace(with_shape(card, anchor_ratios=(1.0,)), classes=tuple(ObjectClass(str(i)) for i in range(6)))
    theirs, before, after, _ = transferred(source, card)  # 3 anchors x 6 classes = 9 anchors x 2 classes
    weights = [network.head.classification_head.cls_logits.weight for network in (theirs, before, after)]
    assert weights[0].shape == weights[1].shape
    assert torch.equal(weights[2], weights[1])


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"backbone_norm": "group"}, "backbone.body.layer1.0.bn1.weight"),
        ({"extra_levels": "c"}, "backbone.fpn.extra_blocks.p6.weight"),
    ],
)
def test_what_only_looks_the_same_is_left_out(card, change, kept):
    shape = {"backbone_stages": 4, "levels": ("P5", "P6"), "anchor_sizes": (24.0, 48.0), "channels": 512}
    source = with_shape(card, **shape)
    theirs = fresh(source, 1)
    with torch.no_grad():
        theirs.state_dict()[kept].add_(0.5)
    target = with_shape(source, **change)
    before, after = fresh(target, 2), fresh(target, 2)
    assert theirs.state_dict()[kept].shape == after.state_dict()[kept].shape
    assert 0 < transfer_weights(theirs.state_dict(), source, after, target) < 1
    assert torch.equal(after.state_dict()[kept], before.state_dict()[kept])


def test_the_source_stays_as_it_was(card):
    theirs, _, after, _ = transferred(card, card)
    with torch.no_grad():
        after.backbone.body.conv1.weight.zero_()
    assert torch.equal(theirs.state_dict()["backbone.body.conv1.weight"], fresh(card, 1).backbone.body.conv1.weight)
