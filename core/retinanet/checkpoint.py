"""Weight files of other programs, read without running code: `.safetensors`, and PyTorch's with weights only."""

import json
import pickle  # nosec B403: only the name of its error
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..job.card import CARD_KEY
from ..job.errors import ModelError

FIRST_WEIGHT = "backbone.body.conv1.weight"  # of every RetinaNet that torchvision builds on a ResNet
STATES = ("state_dict", "model_state_dict", "model")  # where training programs put it
DEEPFOREST_PREFIX = "model."
TOWER = re.compile(r"(head\.\w+\.conv)\.(\d+)\.(weight|bias)")  # as torchvision wrote it before 0.13
PYRAMID = re.compile(r"(backbone\.fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network's weights, named as torchvision does today, and what the file says about them.

    `label_dict`: DeepForest's names of classes to labels, None where the file has none. `settings`: DeepForest's
    configuration.
    """

    weights: dict[str, Tensor]
    is_deepforest: bool = False
    label_dict: Mapping[str, int] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a state dict of torchvision's, or a checkpoint of DeepForest's with its classes and settings.

    A `.safetensors` file of DeepForest's has them in the `config.json` beside it, as the Hugging Face hub hands it out.
    Raises ModelError with a sentence.
    """
    path = Path(path)
    try:
        tensors, about = _read_safetensors(path) if path.suffix.lower() == ".safetensors" else _read_torch(path)
    except OSError as problem:
        raise ModelError(f"The weights '{path}' cannot be read: {problem.strerror or problem}.") from problem
    prefix = next((key.removesuffix(FIRST_WEIGHT) for key in tensors if key.endswith(FIRST_WEIGHT)), None)
    if prefix is None:
        raise ModelError(
            f"'{path.name}' holds no RetinaNet of torchvision or DeepForest: among its {len(tensors)} weights none is "
            f"'{FIRST_WEIGHT}'."
        )
    weights = {_current_name(key.removeprefix(prefix)): tensors[key] for key in tensors if key.startswith(prefix)}
    labels = about.get("label_dict")
    labels = labels if isinstance(labels, Mapping) and labels else None
    hyper_parameters = about.get("hyper_parameters")
    settings = hyper_parameters.get("config") if isinstance(hyper_parameters, Mapping) else about
    return Checkpoint(
        {name: value.float() if value.is_floating_point() else value for name, value in weights.items()},
        prefix.endswith(DEEPFOREST_PREFIX) or labels is not None,
        labels,
        settings if isinstance(settings, Mapping) else {},
    )


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            if CARD_KEY in (file.metadata() or {}):
                raise ModelError(f"'{path.name}' is a model of Tilehawk already; use it as it is.")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  (not a mapping)
    except SafetensorError as problem:
        raise ModelError(f"'{path.name}' is not a safetensors file, or is damaged: {problem}.") from problem
    try:
        about = json.loads((path.parent / "config.json").read_bytes())
    except (OSError, ValueError):  # of another program, or none
        about = None
    return tensors, about if isinstance(about, dict) and "label_dict" in about else {}


def _read_torch(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as problem:
        raise ModelError(
            f"'{path.name}' holds more than weights, or is no file of PyTorch's. Reading on could run code hidden in "
            "it. In the program it comes from, save the weights alone: torch.save(model.state_dict(), 'weights.pt')."
        ) from problem
    except (RuntimeError, EOFError, KeyError, ValueError) as problem:
        raise ModelError(f"'{path.name}' is no file of PyTorch's, or is damaged.") from problem
    if not isinstance(content, Mapping):
        raise ModelError(f"'{path.name}' holds no weights by name.")
    state = next((content[key] for key in STATES if isinstance(content.get(key), Mapping)), content)
    return {str(key): value for key, value in state.items() if isinstance(value, Tensor)}, content


def _current_name(key: str) -> str:
    """Name a weight as torchvision does since 0.13, when towers and pyramid became blocks of convolution and norm."""
    if tower := TOWER.fullmatch(key):
        return f"{tower[1]}.{int(tower[2]) // 2}.0.{tower[3]}"
    if pyramid := PYRAMID.fullmatch(key):
        return f"{pyramid[1]}.0.{pyramid[2]}"
    return key
