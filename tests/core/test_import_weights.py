"""Foreign weights through the command line: files of the real keys and shapes, detections as torchvision's own."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import resnet18
from torchvision.models.detection import (
    RetinaNet,
    RetinaNet_ResNet50_FPN_Weights,
    retinanet_resnet50_fpn,
    retinanet_resnet50_fpn_v2,
)
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor

from core.__main__ import main
from core.job.card import ModelCard, read_card
from core.retinanet.detector import Detector
from core.retinanet.device import Backend
from core.retinanet.weights import load_model

CPU = Backend(torch.device("cpu"), torch.float32, "processor")
FLOOR, PX = 0.3, 256
LIMITS = {"min_size": PX, "max_size": PX, "score_thresh": FLOOR}
NO_LIMITS = {"detections_per_img": 100_000, "topk_candidates": 1_000_000}


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, 3, PX, PX), np.uint8)


def trained(network: RetinaNet, eps: float = 1e-5) -> RetinaNet:
    """As if trained: batch norms have seen something, about a thousand scores lie above FLOOR and none is sure."""
    head = network.eval().head
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.eps = eps
        network.head.classification_head.cls_logits.bias.zero_()
        network.backbone.body.bn1.running_var.mul_(1e-4)  # so that eps matters
        network.backbone.body.bn1.weight.mul_(1e-2)
        values = network.transform([torch.from_numpy(noise(1)[0]).float() / 255])[0].tensors
        found = head(list(network.backbone(values).values()))
        logits, deltas = found["cls_logits"], found["bbox_regression"]
        head.regression_head.bbox_reg.weight.mul_(0.3 / deltas.std())
        factor = 2 / logits.std()
        head.classification_head.cls_logits.weight.mul_(factor)
        highest = (logits * factor).flatten().topk(1000).values[-1]
        head.classification_head.cls_logits.bias.fill_(math.log(FLOOR / (1 - FLOOR)) - highest)
    return network


def built(builder: Any, classes: int, eps: float = 1e-5) -> RetinaNet:
    torch.manual_seed(0)
    return trained(builder(weights=None, weights_backbone=None, num_classes=classes, **LIMITS, **NO_LIMITS), eps)


def frozen(network: RetinaNet) -> dict[str, torch.Tensor]:
    """Its weights as FrozenBatchNorm2d keeps them."""
    return {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}


def import_file(weights: Path, *options: str) -> tuple[Path, ModelCard]:
    output = weights.parent / "made" / "model.safetensors"
    output.parent.mkdir(exist_ok=True)
    assert main(["import", str(weights), "--output", str(output), *options]) == 0
    return output, read_card(output)


def refusal(weights: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    output = weights.parent / "refused.safetensors"
    assert main(["import", str(weights), "--output", str(output), *options]) == 1
    assert not output.exists()
    return capsys.readouterr().err


def assert_detects_the_same(model: Path, theirs: RetinaNet, labels: dict[int, int]) -> None:
    """Box for box within 0.01 px and 1e-4 of score; `labels`: ours for each of theirs that is kept."""
    images = noise(0)
    card, network = load_model(model)
    found = Detector(replace(card, max_detections_per_tile=100_000), network, CPU)(images, FLOOR, 0.5)[0]
    with torch.inference_mode():
        known = theirs([torch.from_numpy(images[0]).float() / 255])[0]
    boxes, scores, label = (known[name].numpy() for name in ("boxes", "scores", "labels"))
    kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1) & np.isin(label, list(labels))
    boxes, scores, label = boxes[kept], scores[kept], np.array([labels[one] for one in label[kept]])
    assert len(found) == len(boxes) > 50
    free = np.ones(len(boxes), bool)
    for box, score, ours in zip(found.boxes, found.scores, found.labels, strict=True):
        near = free & (label == ours) & (abs(boxes - box).max(axis=1) < 0.01) & (abs(scores - score) < 1e-4)
        assert near.any()
        free[np.argmax(near)] = False


def test_coco_weights_detect_as_torchvision_with_80_classes_and_no_epsilon(tmp_path, capsys):
    theirs = built(retinanet_resnet50_fpn, 91, eps=0.0)
    torch.save(frozen(theirs), tmp_path / "coco.pth")
    model, card = import_file(tmp_path / "coco.pth")
    names = [known.name for known in card.classes]
    assert (len(names), names[0], names[-1]) == (80, "person", "toothbrush")
    assert card.architecture.backbone_norm_eps == 0.0
    assert (card.architecture.backbone, card.architecture.extra_levels) == ("resnet50", "p")
    assert "--resolution" in capsys.readouterr().err
    categories = RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert_detects_the_same(model, theirs, {categories.index(name): label for label, name in enumerate(names)})


def test_v2_weights_detect_as_torchvision_and_stay_in_full_precision(tmp_path):
    theirs = built(retinanet_resnet50_fpn_v2, 4)
    save_file(theirs.state_dict(), tmp_path / "v2.safetensors")
    names = ["car", "Boot", "big ship", "crane"]
    model, card = import_file(tmp_path / "v2.safetensors", "--classes", ",".join(names), "--resolution", "0.2")
    assert [known.name for known in card.classes] == names
    assert (card.resolution_m, card.architecture.extra_levels, card.architecture.head_norm) == (0.2, "c", "group")
    stored = load_file(model)
    for key, value in theirs.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(stored[key], value), key
    assert_detects_the_same(model, theirs, {label: label for label in range(4)})


def deepforest_checkpoint(state: dict[str, torch.Tensor], **settings: Any) -> dict[str, Any]:
    """What Lightning writes of DeepForest 2, in its shape."""
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": {f"model.{key}": value for key, value in state.items()} | {"iou_metric.seen": torch.zeros(1)},
        "hyper_parameters": {"config": {"nms_thresh": 0.05, "score_thresh": 0.1, "model": {"name": "a/b"}, **settings}},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 0.001}]}],
        "label_dict": {"Tree": 0, "Shrub": 1},
        "numeric_to_label_dict": {0: "Tree", 1: "Shrub"},
    }


def test_a_deepforest_checkpoint_brings_classes_thresholds_and_scale(tmp_path, capsys):
    theirs = built(retinanet_resnet50_fpn, 2)
    torch.save(deepforest_checkpoint(frozen(theirs), score_thresh=0.25), tmp_path / "forest.ckpt")
    model, card = import_file(tmp_path / "forest.ckpt", "--name", "crowns")
    assert (card.name, [known.name for known in card.classes]) == ("crowns", ["Tree", "Shrub"])
    assert (card.threshold, card.nms_overlap, card.score_floor) == (0.25, 0.05, 0.05)
    assert (card.resolution_m, card.tile_px, card.architecture.strides) == (0.1, 400, "torchvision")
    assert [round(band.mean / 255, 6) for band in card.bands] == [0.485, 0.456, 0.406]
    assert [round(band.std / 255, 6) for band in card.bands] == [0.229, 0.224, 0.225]
    assert "800 px" in capsys.readouterr().err
    assert_detects_the_same(model, theirs, {0: 0, 1: 1})


@pytest.fixture(scope="module")
def small() -> dict[str, torch.Tensor]:
    """Weights of a RetinaNet on ResNet-18 with P2 to P5 and a pooled P6, as `resnet_fpn_backbone` makes it."""
    torch.manual_seed(0)
    backbone = _resnet_fpn_extractor(resnet18(weights=None), 5)
    return RetinaNet(backbone, 1, **LIMITS, **NO_LIMITS).state_dict()


def saved(path: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, path)
    return path


def test_a_pyramid_from_p2_with_a_pooled_level_detects_as_torchvision(tmp_path, small):
    network = RetinaNet(_resnet_fpn_extractor(resnet18(weights=None), 5), 1, **LIMITS, **NO_LIMITS)
    network.load_state_dict(small)
    trained(network)
    model, card = import_file(saved(tmp_path / "small.pt", network.state_dict()), "--classes", "pool")
    assert (card.architecture.backbone, card.architecture.levels) == ("resnet18", ("P2", "P3", "P4", "P5", "P6"))
    assert_detects_the_same(model, network, {0: 0})


def test_keys_as_torchvision_once_wrote_them_mean_the_same(tmp_path, small):
    now, _ = import_file(saved(tmp_path / "now.pt", small))
    expected = load_file(now)
    old = {}
    for key, value in small.items():
        if ".conv." in key and key.startswith("head"):
            head, _, rest = key.partition(".conv.")
            key = f"{head}.conv.{2 * int(rest[0])}.{rest.rpartition('.')[2]}"
        elif "_blocks." in key:
            key = key.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        old[key] = value
    assert set(old) != set(small)
    then, _ = import_file(saved(tmp_path / "then.pt", old))
    assert all(torch.equal(value, expected[key]) for key, value in load_file(then).items())


@pytest.mark.parametrize(
    ("wrapped", "suffix"),
    [
        (lambda state: {"state_dict": state, "epoch": 1}, "pt"),
        (lambda state: {"model": state}, "pth"),
        (lambda state: {f"module.{key}": value for key, value in state.items()}, "pt"),
        (lambda state: {key: value.half() for key, value in state.items()}, "pt"),
    ],
    ids=["state_dict", "model", "data parallel", "half precision"],
)
def test_weights_are_found_however_a_training_program_saved_them(tmp_path, small, wrapped, suffix):
    _, card = import_file(saved(tmp_path / f"w.{suffix}", wrapped(small)))
    assert card.architecture.backbone == "resnet18"


def test_the_hubs_config_beside_safetensors_names_the_classes(tmp_path, small):
    save_file(small, tmp_path / "model.safetensors")
    settings = {"num_classes": 1, "nms_thresh": 0.15, "score_thresh": 0.3, "label_dict": {"Bird": 0}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    _, card = import_file(tmp_path / "model.safetensors")
    assert [known.name for known in card.classes] == ["Bird"]
    assert (card.threshold, card.nms_overlap, card.resolution_m) == (0.3, 0.15, 0.1)


def outputs(state: dict[str, torch.Tensor], classes: int) -> dict[str, torch.Tensor]:
    """The same network with a classifier of so many labels: label l of anchor a has the bias 100 a + l."""
    key = "head.classification_head.cls_logits"
    bias = (100.0 * torch.arange(9)[:, None] + torch.arange(classes)).flatten()
    return {**state, f"{key}.weight": torch.randn(9 * classes, 256, 3, 3), f"{key}.bias": bias}


@pytest.mark.parametrize(
    ("labels", "names", "kept"),
    [
        (3, "a,b,c", [0, 1, 2]),
        (3, "a,b", [1, 2]),
        (91, "boat,Person", [9, 1]),
        (3, None, [0, 1, 2]),
    ],
    ids=["all", "but the background", "some of COCO's", "unnamed"],
)
def test_each_class_keeps_the_outputs_of_its_own_label(tmp_path, small, labels, names, kept):
    options = [] if names is None else ["--classes", names]
    model, card = import_file(saved(tmp_path / "w.pt", outputs(small, labels)), *options)
    bias = load_file(model)["head.classification_head.cls_logits.bias"]
    assert torch.equal(bias.reshape(9, -1), 100.0 * torch.arange(9)[:, None] + torch.tensor(kept))
    assert [known.name for known in card.classes] == (names.split(",") if names else ["class 0", "class 1", "class 2"])


@pytest.mark.parametrize(
    ("classes", "model", "options", "eps"),
    [
        (91, None, (), 0.0),
        (2, None, (), 1e-5),
        (2, None, ("--batch-norm-eps", "0"), 0.0),
        (2, "weecology/deepforest-tree", (), 1e-5),
        (2, "", (), 0.0),
    ],
    ids=["COCO", "frozen", "told", "DeepForest, published", "DeepForest from COCO"],
)
def test_the_epsilon_of_frozen_norms(tmp_path, small, capsys, classes, model, options, eps):
    state = {key: value for key, value in outputs(small, classes).items() if not key.endswith("num_batches_tracked")}
    content = state if model is None else deepforest_checkpoint(state, model={"name": model or None})
    _, card = import_file(saved(tmp_path / "w.pt", content), *options)
    assert card.architecture.backbone_norm_eps == eps
    assert ("--batch-norm-eps 0" in capsys.readouterr().err) == (model is None and classes == 2 and not options)


def without(key: str):
    return lambda state: {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: {"fc.weight": torch.zeros(2, 2)}, "holds no RetinaNet"),
        (without("head.regression_head.bbox_reg.bias"), "'head.regression_head.bbox_reg.bias' is missing"),
        (without("backbone.body.layer2.1.conv2.weight"), "1 are missing, among them 'backbone.body.layer2.1.conv2"),
        (without("backbone.body.layer2.1.conv1.weight"), "no ResNet of torchvision's"),
        (lambda state: {**state, "backbone.extra": torch.zeros(1)}, "1 are unknown, among them 'backbone.extra'"),
        (
            lambda state: {**state, "head.regression_head.bbox_reg.bias": torch.zeros(12)},
            "5 pyramid levels and 3 anchors a cell",
        ),
        (
            lambda state: {**state, "backbone.body.conv1.weight": torch.zeros(64, 4, 7, 7)},
            "'backbone.body.conv1.weight' is 64 x 4 x 7 x 7, not 64 x 3 x 7 x 7",
        ),
        (lambda state: {**state, "backbone.body.bn1.bias": torch.full((64,), torch.nan)}, "are no numbers"),
    ],
    ids=["other network", "no head", "missing", "other backbone", "unknown", "anchors", "four bands", "not finite"],
)
def test_anything_else_is_refused_in_a_sentence(tmp_path, small, capsys, change, sentence):
    told = refusal(saved(tmp_path / "w.pt", change(dict(small))), capsys)
    assert sentence in told and "Traceback" not in told


def test_a_file_that_could_run_code_is_refused_and_does_not(tmp_path, capsys):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    told = refusal(saved(tmp_path / "trap.ckpt", {"state_dict": {}, "callbacks": Trap()}), capsys)
    assert "could run code" in told
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.ckpt"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04", bytes(100)], ids=["empty", "text", "zip", "0"])
def test_damaged_files_are_told_apart_from_models(tmp_path, capsys, name, content):
    (tmp_path / name).write_bytes(content)
    told = refusal(tmp_path / name, capsys)
    assert f"'{name}'" in told and "Traceback" not in told and "unexpected" not in told


def test_what_cannot_be_written_or_named_is_refused(tmp_path, small, capsys):
    weights = saved(tmp_path / "w.pt", small)
    assert "2 names are given" in refusal(weights, capsys, "--classes", "a,b")
    assert "epsilon" in refusal(weights, capsys, "--batch-norm-eps", "-1")
    assert "resolution" in refusal(weights, capsys, "--resolution", "0")
    assert main(["import", str(weights), "--output", str(tmp_path / "model.pt")]) == 1
    assert "saved as .safetensors" in capsys.readouterr().err
    assert "cannot be read" in refusal(tmp_path / "none.pt", capsys)
    model, _ = import_file(weights)
    assert "a model of Tilehawk already" in refusal(model, capsys)
    assert main(["import", str(model), "--output", str(model)]) == 1
    assert "overwrite" in capsys.readouterr().err
