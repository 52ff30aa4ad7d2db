"""Model files: weights and card in one `.safetensors`. Loading one runs no code."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ..job.card import CARD_KEY, ModelCard, card_to_json, read_card
from ..job.errors import ModelError, OutputError
from .network import RetinaNetwork, build_network


def save_model(path: str | Path, card: ModelCard, state: dict[str, Tensor]) -> None:
    """Write card and weights; floating-point weights in half precision. Replaces `path` only when all is written."""
    path = Path(path)
    tensors = {
        name: (value.detach().cpu().half() if value.is_floating_point() else value.detach().cpu()).contiguous()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    too_large = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if too_large:
        raise ModelError(f"The weights '{too_large[0]}' are not finite numbers: the training has diverged.")
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        save_file(tensors, scratch, metadata={CARD_KEY: card_to_json(card)})
        scratch.replace(path)
    except OSError as problem:
        raise OutputError(f"The model '{path}' cannot be written: {problem.strerror or problem}.") from problem
    finally:
        scratch.unlink(missing_ok=True)


def load_model(path: str | Path) -> tuple[ModelCard, RetinaNetwork]:
    """Read a model file and build its network, float32, in evaluation mode; raises ModelError with a sentence."""
    card = read_card(path)
    try:
        state = {name: value.float() for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as problem:
        raise ModelError(f"The weights of '{Path(path).name}' are damaged: {problem}.") from problem
    network = build_network(card.architecture, len(card.classes), len(card.bands))
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        what = str(problem).splitlines()[1].strip() if "\n" in str(problem) else str(problem)
        raise ModelError(f"The weights of '{Path(path).name}' do not fit its card: {what}") from problem
    return card, network.eval()
