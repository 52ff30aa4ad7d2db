"""Where a training stands, in a file to go on from: written whole or not at all, read without running code."""

import os
import pickle  # nosec B403: only the name of its error
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from ..job.errors import ModelError, OutputError
from ..job.unfinished import unfinished_path

FORMAT = 1


@dataclass
class Progress:
    """How far a training has come.

    `epoch`, `step`: the next step, from 0. `losses`: sums of focal and box loss over this epoch's steps. `falls_from`:
    epoch from which a steady learning rate falls. `best`: figures of the best epoch, `state` its weights.
    `learning_rate`: at its highest. `seconds`: spent so far.
    """

    epoch: int = 0
    step: int = 0
    losses: tuple[float, float] = (0.0, 0.0)
    falls_from: int | None = None
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    learning_rate: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Moving:
    """What changes with every step: the network, its average, and the optimiser."""

    network: nn.Module
    average: AveragedModel
    optimiser: torch.optim.Optimizer


@dataclass(frozen=True)
class Checkpoints:
    """The file in which a training is kept. `target`: the model it will become, beside which scratch files lie.

    `about`: what must be equal for going on to make sense, as plain values.
    """

    path: Path
    target: Path
    about: dict[str, Any]

    def save(self, progress: Progress, moving: Moving) -> None:
        """Replace the file by one of this moment; raises OutputError."""
        content = {
            "format": FORMAT,
            "about": self.about,
            "progress": {**vars(progress)},
            "network": moving.network.state_dict(),
            "average": moving.average.state_dict(),
            "optimiser": moving.optimiser.state_dict(),
        }
        scratch = unfinished_path(self.target, os.getpid())
        try:
            with scratch.open("wb") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.path)
        except (OSError, RuntimeError) as problem:
            raise OutputError(f"The training cannot be kept in '{self.path}': {problem}.") from problem
        finally:
            scratch.unlink(missing_ok=True)

    def load(self, moving: Moving) -> Progress:
        """Bring network, average and optimiser to where they were; raises ModelError where the file does not fit."""
        content = read_checkpoint(self.path)
        changed = sorted(key for key in {*self.about, *content["about"]} if self._differs(key, content["about"]))
        if changed:
            raise ModelError(
                f"The interrupted training '{self.path.name}' is another one: its '{changed[0]}' is "
                f"{content['about'].get(changed[0])!r}, not {self.about.get(changed[0])!r}. Start anew, or go on with "
                "the settings it had."
            )
        try:
            moving.network.load_state_dict(content["network"])
            moving.average.load_state_dict(content["average"])
            moving.optimiser.load_state_dict(content["optimiser"])
        except (RuntimeError, ValueError, KeyError) as problem:
            raise ModelError(f"The interrupted training '{self.path.name}' is one of another network.") from problem
        return Progress(**content["progress"])

    def learning_rate(self) -> float:
        """The learning rate, at its highest, of the training that is kept; raises ModelError."""
        return float(read_checkpoint(self.path)["progress"]["learning_rate"])

    def remove(self) -> None:
        """Delete the file, when the training is done."""
        self.path.unlink(missing_ok=True)

    def _differs(self, key: str, before: dict[str, Any]) -> bool:
        return self.about.get(key) != before.get(key)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read what `Checkpoints.save` wrote; raises ModelError."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError) as problem:
        raise ModelError(f"The interrupted training '{path}' is damaged or cannot be read. Start anew.") from problem
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ModelError(f"The interrupted training '{path.name}' is one of another version of Tilehawk. Start anew.")
    return content
