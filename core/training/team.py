"""Several processes that train one network together, as torchrun starts them: one for each graphics card."""

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..retinanet.device import Backend

WAIT = timedelta(hours=2)  # the others wait while the first one validates


@dataclass(frozen=True)
class Team:
    """This process among those that train together; `rank` 0 speaks, validates and writes for all."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process is the one that speaks."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are the mean over the team; alone, the network itself.

        To be wrapped anew where other weights are frozen.
        """
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        return DistributedDataParallel(network, device_ids=[device.index] if device.type == "cuda" else None)

    def agree(self, value: Any) -> Any:
        """The leader's value, for all; every process has to ask."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def any_of(self, asked: tuple[bool, ...]) -> tuple[bool, ...]:
        """Whether any process of the team was asked to, for each of several requests; every process has to ask."""
        if self.size == 1:
            return asked
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, asked)
        return tuple(any(each) for each in zip(*found, strict=True))

    def part(self) -> None:
        """Leave, when all is done."""
        if self.size > 1:
            distributed.destroy_process_group()


def join_team(backend: Backend) -> tuple[Team, Backend]:
    """Join the processes that torchrun has started, each with a card of its own; otherwise be alone."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if size == 1 or not distributed.is_available():
        return Team(), backend
    if backend.device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        backend = Backend(device, backend.dtype, backend.name, backend.engine)
    distributed.init_process_group("nccl" if backend.device.type == "cuda" else "gloo", timeout=WAIT)
    return Team(rank, size), backend
