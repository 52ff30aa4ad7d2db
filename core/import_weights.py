"""The verb `import`: from the weights of torchvision or DeepForest to a model file."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights

from .job.card import Band, ModelCard, ObjectClass
from .job.errors import InvalidJob, ModelError
from .retinanet.checkpoint import Checkpoint, read_checkpoint
from .retinanet.foreign import adopt, count_classes, has_frozen_norms, recognise
from .retinanet.weights import save_model

IMAGENET = (("red", 0.485, 0.229), ("green", 0.456, 0.224), ("blue", 0.406, 0.225))  # torchvision's mean and deviation
NOT_A_CLASS = ("__background__", "N/A")
NORM_EPS = 1e-5
COLORS = ("#00e5ff", "#ff9f1c", "#e040fb", "#76ff03", "#ff5252", "#ffee58", "#40c4ff", "#f48fb1")
DEEPFOREST_RESOLUTION_M, DEEPFOREST_TILE_PX, DEEPFOREST_OVERLAP_PX = 0.1, 400, 128
DEEPFOREST_SCORE, DEEPFOREST_NMS = 0.1, 0.05  # of its configuration, where the file has none


def import_weights(
    weights: str,
    output: str,
    *,
    classes: Sequence[str] | None = None,
    resolution_m: float | None = None,
    name: str = "",
    batch_norm_eps: float | None = None,
) -> tuple[ModelCard, list[str]]:
    """Make a model file of foreign weights; returns its card, and sentences about what had to be assumed.

    `classes`: names for the file's labels from 0, one for each or, where 0 is the background, for each but that; or
    some of the names the file has, to keep only those. `resolution_m`: ground metres a px the network is made for.
    `batch_norm_eps`: see `norm_eps`. Weights stay in full precision, so that detections are the source's. Raises
    InvalidJob, ModelError and OutputError.
    """
    target = Path(output)
    if target.suffix.lower() != ".safetensors":
        raise InvalidJob(f"A model is saved as .safetensors, not as '{target.name}'.")
    if target.resolve() == Path(weights).resolve():
        raise InvalidJob(f"The model would overwrite the weights '{weights}'. Choose another name for it.")
    if batch_norm_eps is not None and not 0 <= batch_norm_eps < 1:
        raise InvalidJob(f"The epsilon of batch norms lies between 0 and 1, not {batch_norm_eps:g}.")
    checkpoint = read_checkpoint(weights)
    notices: list[str] = []
    chosen = choose_classes(known_classes(checkpoint, notices if classes is None else []), classes)
    eps = norm_eps(checkpoint, notices) if batch_norm_eps is None else batch_norm_eps
    architecture = recognise(checkpoint.weights, eps)
    state = adopt(checkpoint.weights, architecture, [label for label, _ in chosen])
    card = ModelCard(
        name=name or target.stem,
        title=f"{Path(weights).name}, brought in",
        classes=tuple(ObjectClass(known, COLORS[i % len(COLORS)]) for i, (_, known) in enumerate(chosen)),
        bands=tuple(Band(role, mean=255 * mean, std=255 * std) for role, mean, std in IMAGENET),
        architecture=architecture,
        training={"imported_from": Path(weights).name},
        versions={"torch": torch.__version__},
        **(
            deepforest_defaults(checkpoint, resolution_m, notices)
            if checkpoint.is_deepforest
            else {"resolution_m": resolution_m}
        ),
    )
    if problems := card.problems():
        raise ModelError(f"No model can be made of it. {problems[0]}")
    if card.resolution_m is None:
        notices.append("It looks at every raster in its own resolution. Give the one it was trained at: --resolution.")
    save_model(target, card, state, torch.float32)
    return card, notices


def known_classes(checkpoint: Checkpoint, notices: list[str]) -> dict[int, str]:
    """Names by label; of torchvision's 91 labels of COCO those that stand for something."""
    count = count_classes(checkpoint.weights)
    if checkpoint.label_dict is not None:
        names = {int(label): str(known) for known, label in checkpoint.label_dict.items()}
        if set(names) != set(range(count)):
            raise ModelError(f"The file names {len(names)} classes, and its network scores {count}.")
        return dict(sorted(names.items()))
    coco = RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    if count == len(coco):
        return {label: known for label, known in enumerate(coco) if known not in NOT_A_CLASS}
    one = "Tree" if checkpoint.is_deepforest else "object"
    names = {0: one} if count == 1 else {label: f"class {label}" for label in range(count)}
    listed = ", ".join(f"'{known}'" for known in names.values())
    notices.append(f"The file does not name its classes; they are called {listed}. Give their names: --classes.")
    return names


def choose_classes(known: dict[int, str], wanted: Sequence[str] | None) -> list[tuple[int, str]]:
    """Labels to keep, each with its name; raises ModelError where names and labels do not match."""
    if wanted is None:
        return list(known.items())
    label_of = {name.casefold(): label for label, name in known.items()}
    if wanted and all(name.casefold() in label_of for name in wanted):
        return [(label_of[name.casefold()], name) for name in wanted]
    labels = list(known)
    if len(wanted) == len(labels):
        return list(zip(labels, wanted, strict=True))
    if len(wanted) == len(labels) - 1 and labels[0] == 0:  # torchvision's tutorials leave 0 to the background
        return list(zip(labels[1:], wanted, strict=True))
    raise ModelError(
        f"{len(wanted)} names are given, and the network has {len(labels)} classes. Give one for each, or one for each "
        "but label 0 where that is the background."
    )


def norm_eps(checkpoint: Checkpoint, notices: list[str]) -> float:
    """The batch norms' epsilon, which no weight tells.

    torchvision computes its COCO_V1 weights (91 labels, frozen norms) with 0, all else with 1e-5: norms that are not
    frozen, and frozen ones on an ImageNet backbone, among them DeepForest's published models. A network fine-tuned from
    COCO_V1 has 0 as well: DeepForest's checkpoints tell by the lack of a model's name in their settings, others do not.
    """
    if not has_frozen_norms(checkpoint.weights):
        return NORM_EPS
    model = checkpoint.settings.get("model")
    if isinstance(model, dict) and "name" in model:
        return NORM_EPS if model["name"] else 0.0
    if count_classes(checkpoint.weights) == len(RetinaNet_ResNet50_FPN_Weights.COCO_V1.meta["categories"]):
        return 0.0
    if not checkpoint.is_deepforest:
        notices.append(
            f"Its frozen batch norms are taken to have an epsilon of {NORM_EPS:g}. If it was trained on from "
            "torchvision's COCO_V1 weights, give --batch-norm-eps 0."
        )
    return NORM_EPS


def deepforest_defaults(checkpoint: Checkpoint, resolution_m: float | None, notices: list[str]) -> dict[str, object]:
    """Fields of the card that DeepForest has settings for: thresholds, and what its prebuilt models are made for."""
    settings = checkpoint.settings
    older = settings.get("retinanet")  # before 2.0
    threshold = _fraction((older if isinstance(older, dict) else settings).get("score_thresh"), DEEPFOREST_SCORE)
    if resolution_m is None:
        notices.append(
            f"It is taken to be made for {DEEPFOREST_RESOLUTION_M:g} m. DeepForest itself enlarges its tiles of "
            f"{DEEPFOREST_TILE_PX} px to 800 px; to look as closely, give --resolution {DEEPFOREST_RESOLUTION_M / 2:g}."
        )
    return {
        "resolution_m": DEEPFOREST_RESOLUTION_M if resolution_m is None else resolution_m,
        "tile_px": DEEPFOREST_TILE_PX,
        "overlap_px": DEEPFOREST_OVERLAP_PX,
        "threshold": threshold,
        "score_floor": min(0.05, threshold),
        "nms_overlap": _fraction(settings.get("nms_thresh"), DEEPFOREST_NMS),
    }


def _fraction(value: object, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= 1 else default
