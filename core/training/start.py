"""Weights to start from: a model of Tilehawk's, a RetinaNet of torchvision or DeepForest, or a bare ResNet."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights

from ..job.card import Architecture, Band, ModelCard, ObjectClass, read_card
from ..job.environment.downloads import fetch_checked, fetch_url
from ..job.errors import ModelError
from ..job.events import Report, notice
from ..retinanet.checkpoint import Checkpoint, read_checkpoint
from ..retinanet.foreign import adopt, count_classes, recognise
from ..retinanet.network import RetinaNetwork
from ..retinanet.transfer import transfer_weights
from ..retinanet.weights import load_model

SITE = "https://download.pytorch.org/models/"
PUBLISHED = {  # torchvision's files and their SHA-256, by name and backbone
    ("coco", "resnet50"): (
        "retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "eeacb38b7cec8cf93c57867e05eaab621047f19b0d2ec5accaa405f690da15b7",  # pragma: allowlist secret
    ),
    ("imagenet", "resnet18"): (
        "resnet18-f37072fd.pth",
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",  # pragma: allowlist secret
    ),
    ("imagenet", "resnet34"): (
        "resnet34-b627a593.pth",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",  # pragma: allowlist secret
    ),
    ("imagenet", "resnet50"): (
        "resnet50-0676ba61.pth",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",  # pragma: allowlist secret
    ),
    ("imagenet", "resnet101"): (
        "resnet101-63fe2227.pth",
        "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",  # pragma: allowlist secret
    ),
    ("imagenet", "resnet152"): (
        "resnet152-394f9c45.pth",
        "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",  # pragma: allowlist secret
    ),
}
SCALED = (("red", 0.485, 0.229), ("green", 0.456, 0.224), ("blue", 0.406, 0.225))  # as torchvision trains: mean, std
RGB = tuple(Band(role, mean=255 * mean, std=255 * std) for role, mean, std in SCALED)
FIRST_OF_RESNET = "conv1.weight"
NORM_EPS = 1e-5  # torch trains no batch norm with an epsilon of 0, as torchvision's COCO weights were made with


@dataclass(frozen=True, eq=False)
class Start:
    """Weights to start from, by name, and the card that says what they are for.

    `of_backbone`: they are a ResNet's alone; the rest of the card means nothing. `ours`: a model of Tilehawk's, whose
    anchors are kept; those of others are of no particular worth for objects seen from above.
    """

    name: str
    card: ModelCard
    weights: Mapping[str, Tensor]
    ours: bool = False
    of_backbone: bool = False

    def apply(self, network: RetinaNetwork, card: ModelCard) -> float:
        """Copy what means the same into a network; returns the share of its weights."""
        return transfer_weights(self.weights, self.card, network, card)

    def scaled(self, bands: tuple[Band, ...]) -> tuple[Band, ...]:
        """Bands with the mean and deviation that foreign weights were trained with, where they know the band."""
        if self.ours:
            return bands
        known = {band.role: band for band in self.card.bands}
        return tuple(
            replace(band, mean=known[band.role].mean, std=known[band.role].std) if band.role in known else band
            for band in bands
        )


def open_start(start_from: str | None, backbone: str, report: Report) -> Start | None:
    """Read what a training starts from: a file, or "coco" or "imagenet"; None where it starts from nothing.

    Raises ModelError with a sentence, also where weights cannot be downloaded.
    """
    if start_from is None:
        return None
    if (start_from, backbone) in PUBLISHED:
        return _open_foreign(published(start_from, backbone, report), backbone)
    path = Path(start_from)
    try:
        read_card(path)
    except ModelError as problem:
        try:
            return _open_foreign(path, backbone)
        except ModelError as other:
            raise (problem if path.suffix.lower() == ".safetensors" else other) from None
    card, network = load_model(path)
    return Start(card.name, card, network.state_dict(), ours=True)


def published(name: str, backbone: str, report: Report) -> Path:
    """File of torchvision's weights, downloaded where it is not there yet; the same place as torch's own.

    Raises ModelError with a sentence that tells the way out.
    """
    file_name, sha256 = PUBLISHED[name, backbone]
    path = Path(torch.hub.get_dir(), "checkpoints", file_name)
    if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        return path
    report(notice(f"The weights '{file_name}' are downloaded once, into '{path.parent}'."))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fetch_checked(fetch_url, SITE + file_name, path, sha256, lambda done, total: None)
    except OSError as problem:
        raise ModelError(
            f"The weights '{file_name}' cannot be downloaded: {problem}. Fetch {SITE + file_name} on another computer "
            "and choose that file as the model to start from."
        ) from problem
    return path


def _open_foreign(path: Path, backbone: str) -> Start:
    resnet = _read_resnet(path)
    if resnet is not None:
        card = ModelCard(path.stem, (ObjectClass("object"),), RGB, None, Architecture(backbone=backbone))
        return Start(path.name, card, {f"backbone.body.{name}": value for name, value in resnet.items()}, False, True)
    checkpoint = read_checkpoint(path)
    architecture = recognise(checkpoint.weights, NORM_EPS)
    labels = list(range(count_classes(checkpoint.weights)))
    classes = tuple(ObjectClass(name) for name in _class_names(checkpoint, len(labels)))
    weights = adopt(checkpoint.weights, architecture, labels)
    return Start(path.name, ModelCard(path.stem, classes, RGB, None, architecture), weights)


def _read_resnet(path: Path) -> dict[str, Tensor] | None:
    """Weights of a ResNet of torchvision's; None where the file is something else."""
    read: Callable[[Path], object] = (
        load_file
        if path.suffix.lower() == ".safetensors"
        else lambda file: torch.load(file, map_location="cpu", weights_only=True)
    )
    try:
        content = read(path)
    except Exception:  # whatever is wrong with it is told by those who read it next
        return None
    state = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    if FIRST_OF_RESNET not in state:
        return None
    return {name: value for name, value in state.items() if isinstance(value, Tensor) and not name.startswith("fc.")}


def _class_names(checkpoint: Checkpoint, count: int) -> list[str]:
    """Names by label, as far as the file tells; classes of ours that have one of them start from its weights."""
    coco = RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    names = {label: f"label {label}" for label in range(count)}
    if checkpoint.label_dict is not None:
        names |= {int(label): str(name) for name, label in checkpoint.label_dict.items() if 0 <= int(label) < count}
    elif count == len(coco):
        names |= {label: name for label, name in enumerate(coco) if name != "N/A"}
    return [names[label] for label in range(count)]
