"""Looking at tiles on many machines: a Dask cluster that somebody else keeps. Merging and writing stay here.

Machines may come and go meanwhile: Dask sends what one has left undone to another. As merging does not depend on the
order of tiles, the result is the one that a single machine of the same kind gives.
"""

from __future__ import annotations

import pickle  # nosec B403: it is written here, and read by core.machine
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from .imagery.examined import Examined
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .job.errors import ClusterError, TilehawkError
from .job.jobs import DetectJob
from .look import Sight
from .settings import Settings

if TYPE_CHECKING:
    from distributed import Client, Future

    from .machine import Answer

MACHINE = f"{__package__}.machine"
SIDE = 4  # tiles along a square that is sent at once: some 5 s of a processor core
AHEAD = 3  # squares for each machine: one at work, one on its way there and one back
CONNECT_SECONDS = 10
BEAT_SECONDS = 0.5
LOOK_SECONDS = 0.005
ALONE_SECONDS = 120  # machines that are started on demand take their time


class Cluster:
    """Looks at tiles on the machines of a Dask cluster."""

    key = "dask"

    def __init__(self, job: DetectJob) -> None:
        """`job`: how to look, with the address of the cluster's scheduler."""
        self._job = job
        self.name = name_of(job.cluster)
        self.batch_size = job.batch_size
        self._answered: dict[str, tuple[str, str]] = {}  # device and backend of each machine

    def told(self) -> dict[str, Any]:
        """As `Looker.told`: how many machines of each kind have looked."""
        kinds = Counter(self._answered.values())
        backends = " and ".join(sorted({backend for _, backend in kinds}))
        if not kinds:  # nothing was left to look at
            return {"device": self.name, "backend": self.key, "batch_size": self.batch_size}
        machines = ", ".join(f"{n} × {device}" for (device, _), n in sorted(kinds.items()))
        device = f"{self.name}: {machines}"
        return {"device": device, "backend": f"{self.key}, {backends}", "batch_size": self.batch_size}

    def sights(
        self,
        raster: Raster,
        plan: TilePlan,
        settings: Settings,
        examined: Examined,
        done: np.ndarray,
        tell: Callable[[str], None],
    ) -> Iterator[list[Sight]]:
        """As `Looker.sights`, square by square as the machines answer, with a sign of life every half second.

        Raises ClusterError where the cluster cannot be reached, has gone or is not set up, and what machines raise.
        """
        with connected(self._job.cluster) as client:
            from .machine import Work, let_go, seen_as

            model = Path(self._job.model).read_bytes()
            work, key = Work(self._job, plan, settings, model, seen_as(raster)), uuid.uuid4().hex
            sent = client.submit(bytes, pickle.dumps(work), pure=False)  # once, and again where it is lost
            squares, crowd, told = squares_of(plan, done), Crowd(client), set()
            running: set[Future] = set()
            try:
                while True:
                    for tiles in islice(squares, max(0, crowd.wanted() - len(running))):
                        running.add(
                            client.submit(_by_name(MACHINE, "look_at"), key, sent, tiles, pure=False, retries=1)
                        )
                    if not running:
                        return
                    for future in _finished(running):
                        running.remove(future)
                        answer: Answer = future.result()
                        examined.add(answer.ground)
                        self._answered[answer.machine] = answer.device, answer.backend
                        for sentence in answer.sentences:
                            if sentence not in told:
                                told.add(sentence)
                                tell(sentence)
                        yield answer.sights
                    yield []
            finally:
                with suppress(Exception):  # a cluster that has gone is told of already
                    client.cancel(list(running))
                    client.run(let_go, key, wait=False)


def name_of(address: str) -> str:
    """Name a cluster for people."""
    return f"Dask cluster {address}"


def squares_of(plan: TilePlan, done: np.ndarray) -> Iterator[list[int]]:
    """Part the active tiles of a plan that are not `done` (T,) bool into squares of neighbours, row by row."""
    todo = plan.active & ~done.reshape(plan.active.shape)
    for row in range(0, plan.rows, SIDE):
        for col in range(0, plan.cols, SIDE):
            rows, cols = np.nonzero(todo[row : row + SIDE, col : col + SIDE])
            if rows.size:
                yield ((rows + row) * plan.cols + cols + col).tolist()


class Crowd:
    """How many machines there are, and so how much work to send them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._size = 0
        self._met = self._asked = monotonic() - BEAT_SECONDS

    def wanted(self) -> int:
        """Squares to have sent; one where there is no machine yet, so that one is started for it.

        Raises ClusterError where there has been no machine for ALONE_SECONDS.
        """
        now = monotonic()
        if now - self._asked >= BEAT_SECONDS:
            self._size, self._asked = len(self._client.nthreads()), now
        if self._size:
            self._met = now
        elif now - self._met > ALONE_SECONDS:
            raise ClusterError(
                f"No machine has been working for the cluster for {ALONE_SECONDS} seconds. Start Dask workers there."
            )
        return max(1, AHEAD * self._size)


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a cluster's scheduler, and say in sentences what goes wrong there; raises ClusterError."""
    try:
        from distributed import CancelledError, Client, KilledWorker
        from distributed.comm import CommClosedError
    except ImportError as problem:
        raise ClusterError(
            "To work with a cluster, the worker's Python environment needs the package 'distributed'. Install it "
            "there, or leave the cluster's address empty."
        ) from problem
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as problem:
        raise ClusterError(
            f"No Dask scheduler answers at '{address}'. Check the address, whether the scheduler runs, and whether "
            "this computer may reach it."
        ) from problem
    try:
        yield client
    except TilehawkError:
        raise
    except KilledWorker as problem:
        raise ClusterError(
            "Machines of the cluster have died over the same tiles one after another; their memory may be too small. "
            "Choose a smaller batch size or tile."
        ) from problem
    except (CancelledError, CommClosedError, TimeoutError) as problem:
        raise ClusterError(f"The connection to the cluster at '{address}' was lost.") from problem
    except ImportError as problem:
        raise ClusterError(
            f"A machine of the cluster lacks the module '{problem.name}'. Start its Dask worker in Tilehawk's Python "
            "environment, with PYTHONPATH set to Tilehawk's folder."
        ) from problem
    finally:
        client.close(timeout=1)


def _by_name(module: str, function: str) -> Callable[..., Any]:
    """Make a function that finds another by its name where it is called: the scheduler need not know our code."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module), function)(*arguments)

    return call


def _finished(running: set[Future]) -> list[Future]:
    """Wait for one of the futures, but not for long; give those that are done, well or not."""
    deadline = monotonic() + BEAT_SECONDS
    while not (done := [future for future in running if future.done()]) and monotonic() < deadline:
        sleep(LOOK_SECONDS)
    return done
