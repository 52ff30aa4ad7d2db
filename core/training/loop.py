"""The training loop, from top to bottom: crops, losses, weights, their average, a look at the validation images."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from ..job.card import ModelCard
from ..job.errors import Cancelled, ModelError
from ..job.events import Report, progress
from ..retinanet.device import Backend
from ..retinanet.network import RetinaNetwork
from .checkpoint import Checkpoints, Moving, Progress
from .optimisation import averaged, freeze, freeze_batch_norms, make_optimiser, set_learning_rate
from .recipe import Fitted, Recipe, Requests, Validate
from .samples import Sampler
from .step import StepLosses
from .team import Team

FROZEN_SHARE = 0.2  # of the epochs, at the end, in which batch norms keep their statistics


def fit(
    card: ModelCard,
    network: RetinaNetwork,
    sampler: Sampler,
    recipe: Recipe,
    backend: Backend,
    validate: Validate,
    report: Report,
    requests: Requests | None = None,
    checkpoints: Checkpoints | None = None,
    *,
    resume: bool = False,
    checkpoint_seconds: float = 300.0,
    team: Team | None = None,
) -> Fitted:
    """Train `network` in place; after each epoch `validate` looks at the averaged weights, and the best are kept.

    `validate` gives figures by name, among them `recipe.choose_on`. With `checkpoints` the training is kept after each
    epoch, every `checkpoint_seconds` within it and when it is cancelled; `resume` goes on from there: on a processor,
    with the same number of threads, to the very weights it would have had. Raises Cancelled, and ModelError on
    divergence.
    """
    training = _Training(card, network, sampler, recipe, backend, requests or Requests(), team or Team())
    if checkpoints is not None and resume:
        training.take_up(checkpoints)
    keep = _Keeper(training, checkpoints if training.team.leads else None, checkpoint_seconds)
    at, asked = training.at, training.asked
    while not training.over:
        for done in training.steps():
            text = f"Epoch {at.epoch + 1} of {training.last_epoch}"
            report(progress(done, text, training.seconds_left(done)))
            keep.now_and_then()
        if asked.cancelled:
            keep.now()
            raise Cancelled
        if asked.stopped and at.best:
            break
        training.require_finite()
        figures = validate(training.average) if training.team.leads else {}
        report({"event": "epoch", **training.end_epoch(training.team.agree(figures))})
        keep.now()
        if asked.stopped:
            break
    return Fitted(at.state, at.best, at.history, training.seconds)


@dataclass
class _Asked:
    cancelled: bool = False
    stopped: bool = False


class _Training:
    """A training on its way."""

    def __init__(
        self,
        card: ModelCard,
        network: RetinaNetwork,
        sampler: Sampler,
        recipe: Recipe,
        backend: Backend,
        requests: Requests,
        team: Team,
    ) -> None:
        self.recipe, self.sampler, self.requests, self.team, self.backend = recipe, sampler, requests, team, backend
        network = network.to(backend.device, memory_format=torch.channels_last)
        optimiser = make_optimiser(network, recipe.learning_rate, recipe.weight_decay, recipe.optimiser)
        self.moving = Moving(network, averaged(network, recipe.ema_decay), optimiser)
        self.losses = StepLosses(card, recipe.losses, backend)
        self.at = Progress(learning_rate=recipe.learning_rate)
        self.asked = _Asked()
        self._sums = torch.zeros(2, device=backend.device)
        self._started = time.monotonic()

    def take_up(self, checkpoints: Checkpoints) -> None:
        """Go back to where an interrupted training was."""
        vars(self.at).update(vars(checkpoints.load(self.moving)))
        self._sums = torch.tensor(self.at.losses, device=self.backend.device)
        self._started = time.monotonic() - self.at.seconds

    @property
    def network(self) -> RetinaNetwork:
        """What learns."""
        return self.moving.network

    @property
    def average(self) -> RetinaNetwork:
        """What is looked at and kept."""
        return self.moving.average.module

    @property
    def last_epoch(self) -> int:
        """Number of epochs, as far as is known."""
        return self.recipe.last_epoch(self.at.falls_from)

    @property
    def seconds(self) -> float:
        """Seconds since the start, with those before an interruption."""
        return time.monotonic() - self._started

    @property
    def over(self) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        return self.at.epoch >= self.last_epoch or (self.recipe.schedule != "steady" and self._tired)

    @property
    def _tired(self) -> bool:
        at, patience = self.at, self.recipe.patience
        return patience is not None and bool(at.best) and at.epoch - at.best["epoch"] >= patience

    def steps(self) -> Iterator[float]:
        """Take the steps of an epoch that are still to be taken; gives the share of the whole training after each."""
        at, recipe, moving = self.at, self.recipe, self.moving
        self._prepare_modes()
        learner = self.team.wrap(self.network)
        batches = self.sampler.batches(
            at.epoch, recipe.steps, recipe.batch_size, first=at.step, rank=self.team.rank, team=self.team.size
        )
        self._ask()
        while at.step < recipe.steps and not (self.asked.cancelled or self.asked.stopped):
            number = at.epoch * recipe.steps + at.step
            set_learning_rate(moving.optimiser, recipe.rate(number, at.falls_from))
            focal, box = self.losses(learner, next(batches))
            moving.optimiser.zero_grad(set_to_none=True)
            (focal + box).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_gradient)
            moving.optimiser.step()
            moving.average.update_parameters(self.network)
            self._sums += torch.stack([focal.detach(), box.detach()])
            at.step += 1
            yield (number + 1) / (self.last_epoch * recipe.steps)
            self._ask()

    def seconds_left(self, done: float) -> float:
        """Seconds until the end at the pace so far, validation included."""
        return round(self.seconds * (1 / done - 1), 1)

    def require_finite(self) -> None:
        """Raise ModelError where the loss is no number any more."""
        if not torch.isfinite(self._sums).all():
            raise ModelError("The training diverged: the loss is no number any more. Try a lower learning rate.")

    def noted(self) -> Progress:
        """How far it has come, ready to be kept."""
        self.at.losses, self.at.seconds = tuple(self._sums.tolist()), self.seconds
        return self.at

    def end_epoch(self, validated: dict[str, float]) -> dict[str, Any]:
        """Enter an epoch's figures, keep its weights where it is the best so far, and turn to the next one.

        Gives the figures with what the user wants to know of the way to the end.
        """
        at, recipe, steps = self.at, self.recipe, max(1, self.at.step)
        focal, box = (self._sums / steps).tolist()
        rate = recipe.rate(at.epoch * recipe.steps + steps - 1, at.falls_from)
        losses = {"loss": focal + box, "focal_loss": focal, "box_loss": box}
        figures = {"epoch": at.epoch + 1, **losses, "learning_rate": rate, **validated}
        at.history.append(figures)
        if not at.best or figures[recipe.choose_on] >= at.best[recipe.choose_on]:
            at.best = figures
            at.state = {name: value.detach().clone() for name, value in self.average.state_dict().items()}
        at.epoch, at.step = at.epoch + 1, 0
        self._sums.zero_()
        late = at.epoch >= recipe.epochs - recipe.falling_epochs
        if recipe.schedule == "steady" and at.falls_from is None and (self._tired or late):
            at.falls_from = at.epoch
        left = self.seconds_left(at.epoch / self.last_epoch)
        return {**figures, "epochs": self.last_epoch, "best": at.best["epoch"], "seconds_left": max(0.0, left)}

    def _prepare_modes(self) -> None:
        at, recipe = self.at, self.recipe
        self.network.train()
        freeze(self.network.backbone.body, at.epoch < recipe.freeze_backbone)
        falling = at.falls_from is not None
        if (
            recipe.freeze_norms
            or falling
            or (recipe.schedule != "steady" and at.epoch >= recipe.epochs * (1 - FROZEN_SHARE))
        ):
            freeze_batch_norms(self.network)

    def _ask(self) -> None:
        asked = (self.requests.cancelled(), self.requests.stopped())
        self.asked.cancelled, self.asked.stopped = self.team.any_of(asked)


class _Keeper:
    """Writes checkpoints, if there are to be any."""

    def __init__(self, training: _Training, checkpoints: Checkpoints | None, seconds: float) -> None:
        self._training, self._checkpoints, self._seconds = training, checkpoints, seconds
        self._last = time.monotonic()

    def now(self) -> None:
        """Write one now, unless nothing has been done yet."""
        at = self._training.at
        if self._checkpoints is not None and (at.epoch or at.step):
            self._training.require_finite()
            self._checkpoints.save(self._training.noted(), self._training.moving)
            self._last = time.monotonic()

    def now_and_then(self) -> None:
        """Write one where the last is old."""
        if time.monotonic() - self._last >= self._seconds:
            self.now()
