"""Model files: weights and card in one `.safetensors`. Loading one runs no code."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from ..job.card import CARD_KEY, ModelCard, card_to_json, read_card
from ..job.errors import ModelError, OutputError
from ..job.unfinished import unfinished_path
from .network import RetinaNetwork, build_network


def save_model(
    path: str | Path, card: ModelCard, state: dict[str, Tensor], convolutions: torch.dtype = torch.float16
) -> None:
    """Write card and weights, those of `convolutions` in half precision or the one given.

    `path` is replaced only when all is written. Biases and norms, a hundredth of the file, stay float32: a variance
    that half precision rounds to 0 has no reciprocal where eps is 0. Raises ModelError where weights are not finite,
    OutputError where the disk refuses.
    """
    path = Path(path)
    tensors = {}
    for name, value in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        stored = value.detach().to("cpu", convolutions if value.ndim > 1 else torch.float32)
        if not torch.isfinite(stored).all():
            raise ModelError(f"The weights '{name}' are no numbers, or too large to be saved: the training diverged.")
        tensors[name] = stored.contiguous()
    scratch = unfinished_path(path, os.getpid())
    try:
        scratch.write_bytes(save(tensors, metadata={CARD_KEY: card_to_json(card)}))
        scratch.replace(path)
    except OSError as problem:
        raise OutputError(f"The model '{path}' cannot be written: {problem.strerror or problem}.") from problem
    finally:
        scratch.unlink(missing_ok=True)


def load_model(path: str | Path) -> tuple[ModelCard, RetinaNetwork]:
    """Read a model file and build its network, float32, in evaluation mode; raises ModelError with a sentence."""
    card, path = read_card(path), Path(path)
    try:
        state = {name: value.to(torch.float32, copy=True) for name, value in load_file(path).items()}
    except (SafetensorError, OSError) as problem:
        raise ModelError(f"The weights of '{path.name}' are damaged: {problem}.") from problem
    with torch.device("meta"):  # shapes alone: nothing is allocated before the weights are known to fit
        network = build_network(card.architecture, len(card.classes), len(card.bands))
    problem = misfit(network.state_dict(), state)
    if problem:
        raise ModelError(f"The weights of '{path.name}' do not fit its card: {problem}.")
    for name, value in state.items():
        if not torch.isfinite(value).all():
            raise ModelError(f"The weights '{name}' of '{path.name}' are damaged: they hold values without a number.")
    network.load_state_dict(state, assign=True)
    return card, network.eval()


def misfit(expected: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """Tell what is wrong first about weights for a network, "" if nothing."""
    missing = [name for name in expected if name not in found and not name.endswith("num_batches_tracked")]
    if missing:
        return f"{len(missing)} are missing, among them '{missing[0]}'"
    extra = [name for name in found if name not in expected]
    if extra:
        return f"{len(extra)} are unknown, among them '{extra[0]}'"
    for name, value in found.items():
        if value.shape != expected[name].shape:
            return f"'{name}' is {_size(value)}, not {_size(expected[name])}"
    return ""


def _size(value: Tensor) -> str:
    return " x ".join(str(n) for n in value.shape) or "a single number"
