"""How to train, what a user may ask for meanwhile, and what comes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ..retinanet.network import RetinaNetwork
from .optimisation import learning_rate_factor
from .step import LossSettings

Validate = Callable[[RetinaNetwork], dict[str, float]]
Asked = Callable[[], bool]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Recipe:
    """How to train: as in TrainJob. `steps`: batches an epoch. `choose_on`: the figure of the best epoch.

    `freeze_norms`: batch norms keep the statistics they start with, as those of pretrained weights should where few
    tiles make a batch.
    """

    epochs: int
    steps: int
    batch_size: int
    learning_rate: float
    optimiser: str = "adamw"
    weight_decay: float | None = None
    schedule: str = "cosine"
    patience: int | None = None
    freeze_backbone: int = 0
    freeze_norms: bool = False
    clip_gradient: float = 5.0
    ema_decay: float = 0.998
    choose_on: str = "ap50"
    losses: LossSettings = field(default_factory=LossSettings)

    @property
    def falling_epochs(self) -> int:
        """Epochs at the end of a steady schedule in which the learning rate falls."""
        return min(self.patience or 1, max(1, self.epochs // 3))

    def last_epoch(self, falls_from: int | None) -> int:
        """Number of epochs, as far as is known."""
        known = falls_from is not None and self.schedule == "steady"
        return falls_from + self.falling_epochs if known else self.epochs

    def rate(self, step: int, falls_from: int | None) -> float:
        """Learning rate at a step, counted from the first epoch on."""
        falls = None if falls_from is None else falls_from * self.steps
        steps = self.last_epoch(falls_from) * self.steps
        return self.learning_rate * learning_rate_factor(step, steps, self.schedule, falls)


@dataclass(frozen=True)
class Requests:
    """What a user may ask for while a training runs: to cancel it, or to stop and keep the best so far."""

    cancelled: Asked = _never
    stopped: Asked = _never


@dataclass
class Fitted:
    """What training gives: the weights of the best epoch, its number and figures, and the figures of every epoch.

    `seconds`: in all, also those before an interruption."""

    state: dict[str, Tensor]
    best: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
