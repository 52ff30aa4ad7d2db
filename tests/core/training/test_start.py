"""Starting weights, with stand-in files that have the real keys and shapes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.models import resnet18
from torchvision.models.detection import retinanet_resnet50_fpn

from core.job.card import Architecture, Band, ModelCard, ObjectClass
from core.job.errors import ModelError
from core.retinanet.network import build_network
from core.retinanet.weights import save_model
from core.training import start as module
from core.training.start import RGB, open_start

SMALL = Architecture(
    backbone="resnet18",
    backbone_stages=3,
    levels=("P2", "P3", "P4"),
    extra_levels="pool",
    channels=16,
    head_channels=16,
    head_depth=1,
    anchor_sizes=(12.0, 24.0, 48.0),
)


def card(shape: Architecture = SMALL, roles: tuple[str, ...] = ("red", "green", "blue"), *names: str) -> ModelCard:
    classes = tuple(ObjectClass(name) for name in names or ("pool",))
    return ModelCard("m", classes, tuple(Band(role) for role in roles), 0.5, shape)


def silent(_: dict[str, Any]) -> None:
    return None


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    torch.manual_seed(5)
    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


def test_a_resnet_of_torchvision_starts_the_backbone_whatever_the_bands(imagenet):
    weights = torch.load(imagenet, weights_only=True)
    for roles in (("red", "green", "blue"), ("nir", "red", "green", "blue", "other"), ("gray",)):
        torch.manual_seed(0)
        network = build_network(SMALL, 1, len(roles))
        start = open_start(str(imagenet), "resnet18", silent)
        assert start.of_backbone
        assert start.apply(network, card(roles=roles)) > 0.5
        assert torch.equal(network.backbone.body.layer3[1].conv2.weight, weights["layer3.1.conv2.weight"])
        assert torch.equal(network.backbone.body.bn1.running_var, weights["bn1.running_var"])
        kernels = network.backbone.body.conv1.weight
        if "red" in roles:
            assert torch.equal(kernels[:, roles.index("red")], weights["conv1.weight"][:, 0])
    assert torch.allclose(kernels[:, 0], weights["conv1.weight"].sum(dim=1), atol=1e-6)


def test_norms_of_a_resnet_do_not_start_group_norms(imagenet):
    shape = Architecture(**{**vars(SMALL), "backbone_norm": "group"})
    network = build_network(shape, 1)
    before = network.backbone.body.bn1.weight.clone()
    open_start(str(imagenet), "resnet18", silent).apply(network, card(shape))
    assert torch.equal(network.backbone.body.bn1.weight, before)


def test_bands_keep_the_scale_that_foreign_weights_know(imagenet):
    start = open_start(str(imagenet), "resnet18", silent)
    red, nir = start.scaled((Band("red", mean=10.0, std=5.0, low=3.0), Band("nir", mean=20.0, std=6.0)))
    assert (red.mean, red.std, red.low) == (RGB[0].mean, RGB[0].std, 3.0)
    assert (nir.mean, nir.std) == (20.0, 6.0)


def test_a_retinanet_of_torchvision_starts_all_but_the_outputs_of_new_classes(tmp_path):
    torch.manual_seed(1)
    source = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=91)
    weights = source.state_dict()
    torch.save(weights, tmp_path / "coco.pth")
    start = open_start(str(tmp_path / "coco.pth"), "resnet50", silent)
    assert not start.ours
    assert not start.of_backbone
    shape = start.card.architecture
    torch.manual_seed(2)
    network = build_network(shape, 2)
    before = network.head.classification_head.cls_logits.weight.clone()
    assert start.apply(network, card(shape, ("red", "green", "blue"), "car", "pool")) > 0.99
    ours = network.state_dict()
    for name in ("backbone.body.layer4.2.conv3.weight", "backbone.fpn.extra_blocks.p7.weight"):
        assert torch.equal(ours[name], weights[name])
    outputs = ours["head.classification_head.cls_logits.weight"].unflatten(0, (9, 2))
    theirs = weights["head.classification_head.cls_logits.weight"].unflatten(0, (9, 91))
    assert torch.equal(outputs[:, 0], theirs[:, 3])  # COCO's label 3 is a car
    assert torch.equal(outputs[:, 1], before.unflatten(0, (9, 2))[:, 1])


def test_a_model_of_ours_starts_everything(tmp_path):
    torch.manual_seed(1)
    source = build_network(SMALL, 1)
    save_model(tmp_path / "m.safetensors", card(), source.state_dict(), torch.float32)
    start = open_start(str(tmp_path / "m.safetensors"), "resnet50", silent)
    assert start.ours
    network = build_network(SMALL, 1)
    assert start.apply(network, card()) == 1
    assert torch.equal(network.backbone.body.conv1.weight, source.backbone.body.conv1.weight)


def test_what_is_no_start_is_told(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"'m\.safetensors' is no model of Tilehawk"):
        open_start(str(tmp_path / "m.safetensors"), "resnet18", silent)
    torch.save({"a": torch.zeros(3)}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="holds no RetinaNet"):
        open_start(str(tmp_path / "m.pth"), "resnet18", silent)


@pytest.fixture
def site(tmp_path, imagenet, monkeypatch):
    """torchvision's site as a folder, and torch's cache in another."""
    fetched: list[str] = []

    def fetch(url: str, path: Path, progressed: object) -> None:
        fetched.append(url)
        path.write_bytes(imagenet.read_bytes())

    sha256 = hashlib.sha256(imagenet.read_bytes()).hexdigest()
    monkeypatch.setattr(module, "PUBLISHED", {("imagenet", "resnet18"): (imagenet.name, sha256)})
    monkeypatch.setattr(module, "fetch_url", fetch)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return fetched


def test_published_weights_are_downloaded_once_and_checked(site, tmp_path):
    for _ in range(2):
        assert open_start("imagenet", "resnet18", silent).of_backbone
    assert site == ["https://download.pytorch.org/models/resnet18-f37072fd.pth"]
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"damaged")
    open_start("imagenet", "resnet18", silent)
    assert len(site) == 2


def test_a_download_that_fails_or_is_another_file_is_told_with_a_way_out(site, monkeypatch, tmp_path):
    def forged(url: str, path: Path, progressed: object) -> None:
        path.write_bytes(b"forged")

    def offline(url: str, path: Path, progressed: object) -> None:
        raise OSError("no route to host")

    for fetch, reason in ((forged, "hash mismatch"), (offline, "no route to host")):
        monkeypatch.setattr(module, "fetch_url", fetch)
        with pytest.raises(ModelError, match=rf"cannot be downloaded: {reason}.* choose that file"):
            open_start("imagenet", "resnet18", silent)
    assert list((tmp_path / "hub" / "checkpoints").iterdir()) == []


def test_published_files_carry_the_first_digits_of_their_hash():
    for (name, backbone), (file_name, sha256) in module.PUBLISHED.items():
        assert len(sha256) == 64
        assert file_name.endswith(f"-{sha256[:8]}.pth")
        assert backbone in file_name
        assert (name == "coco") == ("retinanet" in file_name)
