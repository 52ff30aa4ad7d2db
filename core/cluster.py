"""Looking at tiles on many machines: a Dask cluster that somebody else keeps. Merging and writing stay here.

Machines may come and go meanwhile: what one has left undone is done by another. As merging does not depend on the order
of tiles, the result is the one that a single machine of the same kind gives.
"""

from __future__ import annotations

import pickle  # nosec B403
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import numpy as np

from .imagery.examined import Examined
from .imagery.raster import Raster
from .imagery.tiles import TilePlan
from .job.errors import ClusterError, TilehawkError
from .job.jobs import DetectJob
from .look import Sight
from .machine import Answer, Work, code, let_go, seen_as
from .settings import Settings

if TYPE_CHECKING:
    from distributed import Client, Future

# An expression, and no function: the scheduler need not have our code, and functions travel as bytecode, which differs
# from one version of Python to the next.
LOOK = f"__import__('{__package__}.machine', fromlist=['look_at']).look_at(key, work, tiles)"
TILES = 16  # that are sent at once: some 5 s of a processor core
AHEAD = 3  # shares for each machine: one at work, one on its way there and one back
CONNECT_SECONDS = 10
BEAT_SECONDS = 0.5
LOOK_SECONDS = 0.005
ALONE_SECONDS = 120  # machines that are started on demand take their time
CLOSE_SECONDS = 2


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
        if not kinds:  # nothing was left to look at
            return {"device": self.name, "backend": self.key, "batch_size": self.batch_size}
        machines = ", ".join(f"{n} × {device}" for (device, _), n in sorted(kinds.items()))
        device = f"{self.name}: {machines}"
        return {"device": device, "backend": f"{self.key}, {self._backends()}", "batch_size": self.batch_size}

    def sights(
        self,
        raster: Raster,
        plan: TilePlan,
        settings: Settings,
        examined: Examined,
        done: np.ndarray,
        tell: Callable[[str], None],
    ) -> Iterator[list[Sight]]:
        """As `Looker.sights`, share by share as the machines answer, with a sign of life every half second.

        Raises ClusterError where the cluster cannot be reached, has gone or is not set up, and what machines raise.
        """
        model = Path(self._job.model).read_bytes()
        job = _with_range(self._job, raster)
        packed = pickle.dumps(Work(code(), job, plan, settings, model, seen_as(raster)))
        told: set[str] = set()
        with connected(self._job.cluster) as client:
            crew = Crew(client, packed, shares_of(plan, done, raster.read_by_rows))
            try:
                while not crew.is_through:
                    for answer in crew.answers():
                        examined.add(answer.ground)
                        self._answered[answer.machine] = answer.device, answer.backend
                        for sentence in [*answer.sentences, *self._on_mixture()]:
                            if sentence not in told:
                                told.add(sentence)
                                tell(sentence)
                        yield answer.sights
                    yield []
            finally:
                crew.dismiss()

    def _backends(self) -> str:
        return " and ".join(sorted({backend for _, backend in self._answered.values()}))

    def _on_mixture(self) -> Iterator[str]:
        if " and " in self._backends():
            yield "The cluster's machines compute in different ways: another run may differ from this one in little."


def name_of(address: str) -> str:
    """Name a cluster for people."""
    return f"Dask cluster {address}"


def shares_of(plan: TilePlan, done: np.ndarray, by_rows: bool = False) -> Iterator[list[int]]:
    """Part the active tiles of a plan that are not `done` (T,) bool into shares of neighbours, row by row.

    Squares, or pieces of a row of tiles where the file stores whole rows (`by_rows`).
    """
    todo = plan.active & ~done.reshape(plan.active.shape)
    tall = 1 if by_rows else round(TILES**0.5)
    wide = TILES // tall
    for row in range(0, plan.rows, tall):
        for col in range(0, plan.cols, wide):
            rows, cols = np.nonzero(todo[row : row + tall, col : col + wide])
            if rows.size:
                yield ((rows + row) * plan.cols + cols + col).tolist()


class Crew:
    """The machines that are there now, and the shares that each of them has.

    Which machine gets a share is chosen here, as Dask would send most of them to the one that has got the model first.
    """

    def __init__(self, client: Client, packed: bytes, shares: Iterator[list[int]]) -> None:
        """`packed`: the Work, pickled. `shares`: tiles."""
        self._client, self._shares = client, shares
        self._key = uuid.uuid4().hex
        self._work = client.submit(bytes, packed, pure=False)  # made again where the machines that have it die
        self._again: list[list[int]] = []
        self._sent: dict[Future, tuple[str, list[int]]] = {}
        self._unfit: dict[str, Exception] = {}  # machines that lack Tilehawk
        self._machines: list[str] = []
        self._asked = self._met = monotonic() - BEAT_SECONDS
        self._send()

    @property
    def is_through(self) -> bool:
        """Whether nothing is left to be looked at."""
        return not self._sent

    def answers(self) -> Iterator[Answer]:
        """Wait for answers, but not for long, give those that are there, and send more."""
        from distributed import TimeoutError as NotYet

        deadline = monotonic() + BEAT_SECONDS
        while not (through := [future for future in self._sent if future.done()]) and monotonic() < deadline:
            sleep(LOOK_SECONDS)
        for future in through:
            try:
                answer = future.result(timeout=BEAT_SECONDS)
            except NotYet:  # the machine died with its answer: Dask has it done again
                continue
            except ImportError as problem:
                machine, tiles = self._sent.pop(future)
                self._unfit[machine] = problem
                self._again.append(tiles)
                continue
            del self._sent[future]
            yield answer
        self._send()

    def dismiss(self) -> None:
        """Stop all that is under way; the machines close what they have open."""

        def part() -> None:
            with suppress(Exception):  # what has gone meanwhile has let go of everything
                self._client.cancel(list(self._sent))
                self._client.run(let_go, self._key, workers=self._fit(), on_error="ignore")

        if self._client.status == "running":
            parting = Thread(target=part, daemon=True)
            parting.start()
            parting.join(CLOSE_SECONDS)

    def _send(self) -> None:
        """Give every machine as many shares as it needs to be busy."""
        self._meet()
        load = Counter(machine for machine, _ in self._sent.values())
        fit = self._fit()
        if self._machines and not fit:
            raise next(iter(self._unfit.values()))
        wanted = max(1, AHEAD * len(fit))  # one where there is no machine yet: so that one is started for it
        while len(self._sent) < wanted:
            tiles = self._again.pop() if self._again else next(self._shares, None)
            if tiles is None:
                return
            machine = min(fit, key=load.__getitem__, default="")
            load[machine] += 1
            where = {"workers": [machine], "allow_other_workers": True} if machine else {}
            self._sent[self._submit(tiles, where)] = machine, tiles

    def _fit(self) -> list[str]:
        return [machine for machine in self._machines if machine not in self._unfit]

    def _submit(self, tiles: list[int], where: dict[str, Any]) -> Future:
        names = {"key": self._key, "work": self._work, "tiles": tiles}
        return self._client.submit(eval, LOOK, names, pure=False, retries=1, **where)

    def _meet(self) -> None:
        """Ask from time to time who is there; raises ClusterError where nobody has been for ALONE_SECONDS."""
        now = monotonic()
        if now - self._asked >= BEAT_SECONDS:
            self._asked = now
            self._machines = sorted(self._client.nthreads())
        if self._machines:
            self._met = now
        elif now - self._met > ALONE_SECONDS:
            raise ClusterError(
                f"No machine has been working for the cluster for {ALONE_SECONDS} seconds. Start Dask workers there."
            )


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to a cluster's scheduler, and say in sentences what goes wrong there; raises ClusterError."""
    try:
        import dask
        from distributed import CancelledError, Client, KilledWorker
        from distributed import TimeoutError as TooLate
    except ImportError as problem:
        raise ClusterError(
            "To work with a cluster, the worker's Python environment needs the package 'distributed'. Set the "
            "environment up again in Tilehawk's options, or leave the cluster's address empty."
        ) from problem
    try:
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})  # models are large
        client = Client(address.rstrip("/"), timeout=CONNECT_SECONDS, set_as_default=False)
    except TypeError as problem:  # so Dask says that it was told of no certificates
        raise ClusterError(
            f"The cluster at '{address}' is reached with certificates. Name them in Dask's configuration."
        ) from problem
    except (OSError, ValueError, TooLate) as problem:
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
    except ImportError as problem:
        raise ClusterError(
            f"A machine of the cluster lacks the module '{problem.name}'. Start its Dask worker in Tilehawk's Python "
            "environment, with PYTHONPATH set to Tilehawk's folder."
        ) from problem
    except Exception as problem:
        if client.status == "running" and not isinstance(problem, (CancelledError, TooLate)):
            raise
        raise ClusterError(f"The connection to the cluster at '{address}' was lost.") from problem
    finally:
        with suppress(Exception):  # whatever it was, it is told already, or all is done
            client.close(timeout=1)


def _with_range(job: DetectJob, raster: Raster) -> DetectJob:
    """Have the machines take the range of values found here, where it is one for all bands."""
    ranges = {tuple(map(float, each)) for each in raster.ranges}
    return replace(job, value_range=ranges.pop()) if raster.dtype != "uint8" and len(ranges) == 1 else job
