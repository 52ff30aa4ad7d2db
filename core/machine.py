"""What a machine of a cluster does: looks at the tiles it is sent, with the raster and the model kept open.

A machine needs this code under the same name, and sees the raster under the same path or address; the model comes to
it with the first tiles.
"""

from __future__ import annotations

import pickle  # nosec B403: what it reads comes through Dask
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from distributed import get_worker

from .here import Here, load_detector
from .imagery.examined import Examined, Ground
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .job.card import read_card
from .job.errors import RasterError
from .job.jobs import DetectJob
from .look import Sight
from .settings import Settings, open_for

SHARE = "Put it where all machines find it under the same path, or take its web address."


@dataclass(frozen=True, eq=False)
class Work:
    """A detection as its machines know it: `model` is the file's bytes, `raster` what `seen_as` tells of the raster."""

    job: DetectJob
    plan: TilePlan
    settings: Settings
    model: bytes
    raster: tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Answer:
    """What tiles show; the ground, and the empty tiles among them; sentences for the user; who has looked, and how."""

    sights: list[Sight]
    ground: Ground
    sentences: list[str]
    machine: str
    device: str
    backend: str


def seen_as(raster: Raster) -> tuple[object, ...]:
    """Tell what must be the same wherever a raster is opened: size, place, bands and the range of its values."""
    grid = raster.grid
    ranges = np.asarray(raster.ranges, float).round(6).tolist()
    return (grid.width, grid.height, tuple(grid.transform), tuple(raster.band_indexes), str(ranges))


def look_at(key: str, packed: bytes, tiles: list[int]) -> Answer:
    """Look at tiles of a plan; one call at a time in a process. Raises TilehawkError.

    `packed`: the Work, pickled. It is opened once for the calls with its `key` that follow one another.
    """
    with _turn:
        if key not in _kept:
            for other in list(_kept):
                _forget(other)
            work = pickle.loads(packed)  # nosec B301: it comes through Dask, which has run code of this sender already
            _kept[key] = work, *_opened(work)
        work, raster, here = _kept[key]
        examined = Examined(work.plan)
        done = np.ones(work.plan.active.size, bool)
        done[tiles] = False
        sentences: list[str] = []
        portions = here.sights(raster, work.plan, work.settings, examined, done, sentences.append)
        sights = [sight for portion in portions for sight in portion]
        return Answer(sights, examined.ground(), sentences, get_worker().address, here.name, here.key)


def let_go(key: str) -> None:
    """Close the raster and forget the model of a work that is over, once this machine is through with it."""

    def forget() -> None:
        with _turn:
            _forget(key)

    threading.Thread(target=forget, daemon=True).start()


_turn = threading.Lock()
_kept: dict[str, tuple[Work, Raster, Here]] = {}  # the work at hand, by its key


def _opened(work: Work) -> tuple[Raster, Here]:
    torch.set_num_threads(get_worker().state.nthreads)
    with TemporaryDirectory(prefix="tilehawk-") as folder:
        model = Path(folder, "model.safetensors")
        model.write_bytes(work.model)
        try:
            raster = open_for(work.job, read_card(str(model)))
        except RasterError as problem:
            raise RasterError(
                f"{problem} So says the machine {socket.gethostname()} of the cluster. {SHARE}"
            ) from problem
        if seen_as(raster) != work.raster:
            raster.close()
            raise RasterError(
                f"The machine {socket.gethostname()} of the cluster sees another raster under the name "
                f"'{work.job.raster}'. {SHARE}"
            )
        detector = load_detector(str(model), work.job.device)
    return raster, Here(detector, work.job, work.plan.tile_px)


def _forget(key: str) -> None:
    if key in _kept:
        _kept.pop(key)[1].close()
