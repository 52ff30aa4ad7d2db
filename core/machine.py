"""What a machine of a cluster does: looks at the tiles it is sent, with the raster and the model kept open.

A machine has this very code, and sees the raster under the same path or address; the model comes to it with the tiles.
"""

from __future__ import annotations

import hashlib
import os
import pickle  # nosec B403
import socket
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from .here import Here, load_detector
from .imagery.examined import Examined, Ground
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .job.card import read_card
from .job.errors import ClusterError, RasterError, TilehawkError
from .job.jobs import DetectJob
from .look import Sight
from .settings import Settings, open_for

SHARE = "Put it where all machines find it under the same path, or take its web address."
MOST_KEPT = 2  # works kept open: with one, two detections at a time would open the model for every square
IDLE_SECONDS = 600.0  # after which all is let go of, where whoever sent it has died


@dataclass(frozen=True, eq=False)
class Work:
    """A detection as its machines know it: `model` is the file's bytes, `raster` what `seen_as` tells of the raster."""

    code: str
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


@cache
def code() -> str:
    """Name this code: a digest of all its files."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("*.py"), key=lambda path: path.relative_to(folder).as_posix()):
        digest.update(path.read_bytes().replace(b"\r", b""))
    return digest.hexdigest()


def seen_as(raster: Raster) -> tuple[object, ...]:
    """Tell what must be the same wherever a raster is opened: its file's size, its pixels, place, bands and values."""
    grid = raster.grid
    size = os.path.getsize(raster.source) if os.path.isfile(raster.source) else None  # noqa: PTH113, PTH202
    place = tuple(float(f"{value:.12g}") for value in grid.transform)
    ranges = tuple(float(f"{value:.6g}") for value in np.ravel(raster.ranges))
    return (size, grid.width, grid.height, place, tuple(raster.band_indexes), ranges)


def look_at(key: str, packed: bytes, tiles: list[int]) -> Answer | None:
    """Look at tiles of a plan, one call after another; None where the work is over. Raises TilehawkError.

    `packed`: the Work, pickled. It is opened once, for all calls with its `key`.
    """
    try:
        with _turn:
            if key in _over:
                return None
            work, raster, here = _work(key, packed)
            examined = Examined(work.plan)
            done = np.ones(work.plan.active.size, bool)
            done[tiles] = False
            sentences: list[str] = []
            portions = here.sights(raster, work.plan, work.settings, examined, done, sentences.append)
            sights = [sight for portion in portions for sight in portion]
            return Answer(sights, examined.ground(), sentences, _address(), here.name, here.key)
    except TilehawkError as problem:
        problem.__cause__ = problem.__context__ = None  # a library's error may be one that cannot travel
        raise


def let_go(key: str) -> None:
    """Leave a work that is over: look at nothing more of it, close its raster and forget its model. Does not wait."""
    _over.add(key)
    threading.Thread(target=_forget, args=(key,), daemon=True).start()


_turn = threading.Lock()
_over: set[str] = set()
_kept: dict[str, tuple[Work, Raster, Here]] = {}  # by key, the one used last at the end
_idle: list[threading.Timer] = []


def _work(key: str, packed: bytes) -> tuple[Work, Raster, Here]:
    """Give a work, opened now where it is not open yet, and make it the one used last.

    Unpickling could run code: so can Dask itself for whoever sends it.
    """
    opened = _kept.pop(key, None)
    if opened is None:
        while len(_kept) >= MOST_KEPT:
            _kept.pop(next(iter(_kept)))[1].close()
        work = pickle.loads(packed)  # nosec B301
        opened = (replace(work, model=b""), *_opened(work))
    _kept[key] = opened
    while _idle:
        _idle.pop().cancel()
    _idle.append(threading.Timer(IDLE_SECONDS, _forget))
    _idle[0].daemon = True
    _idle[0].start()
    return opened


def _opened(work: Work) -> tuple[Raster, Here]:
    import torch
    from distributed import get_worker

    if work.code != code():
        raise ClusterError(
            f"The machine {socket.gethostname()} of the cluster has another version of Tilehawk. Give all machines the "
            "same one."
        )
    torch.set_num_threads(get_worker().state.nthreads)
    with TemporaryDirectory(prefix="tilehawk-") as folder, ExitStack() as stack:
        model = Path(folder, "model.safetensors")
        model.write_bytes(work.model)
        try:
            raster = stack.enter_context(open_for(work.job, read_card(str(model))))
        except RasterError as problem:
            raise RasterError(f"{problem} So says the machine {socket.gethostname()} of the cluster. {SHARE}") from None
        if seen_as(raster) != work.raster:
            raise RasterError(
                f"The machine {socket.gethostname()} of the cluster sees another raster under the name "
                f"'{raster.name}'. {SHARE}"
            )
        here = Here(load_detector(str(model), work.job.device), work.job, work.plan.tile_px)
        stack.pop_all()  # the raster stays open
    return raster, here


def _address() -> str:
    from distributed import get_worker

    return get_worker().address


def _forget(key: str | None = None) -> None:
    """Close and forget a work, or all of them, once the squares at hand are done."""
    with _turn:
        for each in [key] if key else list(_kept):
            if each in _kept:
                _kept.pop(each)[1].close()
