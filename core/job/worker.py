"""The way from QGIS to core: a worker process of its own Python, asked in JSON lines, answering in events."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Optional

from .errors import KINDS, Cancelled, TilehawkError, WorkerError
from .events import Event, Report
from .jobs import Job, job_to_json
from .process import WorkerProcess
from .unfinished import remove_partial, remove_unfinished

CANCEL_LINE = '{"job": "cancel"}'
STOP_LINE = '{"job": "stop"}'
POLL_SECONDS = 0.1
CANCEL_SECONDS = 1.5  # a cancelled worker may take this long to answer before it is killed
SILENCE_SECONDS = 60.0  # signs of life come every 0.5 s, but importing torch from a slow disk may hold them up


class Worker:
    """A worker that takes one job after another and keeps its model loaded between them.

    `python` is the interpreter of the worker's environment, `root` the folder that holds `core`, `log_path` the file
    its stderr is appended to (a temporary one unless given, kept only after a failure). The process is started by the
    first job, and anew by the next job after a death. Usable from any thread, for one job at a time.
    """

    def __init__(
        self,
        python: str,
        *,
        root: str = str(Path(__file__).resolve().parents[2]),
        log_path: Optional[str] = None,
        low_priority: bool = False,
    ) -> None:
        self.python = python
        self.root = root
        self.log_path = log_path or _temporary_log()
        self.low_priority = low_priority
        self._keep_log = log_path is not None
        self._process: Optional[WorkerProcess] = None
        self._busy = threading.Lock()

    def run(
        self, job: Job, report: Report, cancelled: Callable[[], bool], stopped: Callable[[], bool] = lambda: False
    ) -> dict[str, Any]:
        """Do one job and return the values of its result.

        `report` gets its progress, boxes and notices; `cancelled` and `stopped` (end a training, keep its best) are
        asked every 0.1 s; all are called in this thread.
        Raises the TilehawkError that the job failed with, Cancelled, or WorkerError where the worker died.
        """
        job.validate()
        if not self._busy.acquire(blocking=False):
            raise WorkerError("The worker is busy with another job.")
        try:
            if cancelled():
                raise Cancelled
            process = self._running()
            try:
                process.send(job_to_json(job))
                end = self._await_end(process, report, cancelled, stopped)
            except BaseException as problem:  # dead, silent, or left in the middle of the job
                self._discard(process)
                remove_unfinished(job.output, process.pid)
                if not isinstance(problem, WorkerError):
                    remove_partial(job.output, process.pid)
                raise
        finally:
            self._busy.release()
        if end["event"] == "error":
            raise Cancelled if cancelled() else self._failure(end)
        return {name: value for name, value in end.items() if name != "event"}

    def close(self) -> None:
        """End the worker; a job still running in another thread fails."""
        process, self._process = self._process, None
        if process is not None:
            process.end()
        if not self._keep_log:
            with contextlib.suppress(OSError):
                Path(self.log_path).unlink()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        problem: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _running(self) -> WorkerProcess:
        if self._process is not None and not self._process.alive:
            self._discard(self._process)
        if self._process is None:
            self._process = WorkerProcess(self.python, self.root, self.log_path, self.low_priority)
        return self._process

    def _discard(self, process: WorkerProcess) -> None:
        if self._process is process:
            self._process = None
        process.kill()

    def _await_end(
        self, process: WorkerProcess, report: Report, cancelled: Callable[[], bool], stopped: Callable[[], bool]
    ) -> Event:
        """Hand on events until the one that ends the job; raises Cancelled or WorkerError where none will come."""
        silent = 0.0  # counted in polls, not by the clock: a computer that slept is no silent worker
        deadline: Optional[float] = None
        has_stopped = False
        while True:
            try:
                event = process.receive(POLL_SECONDS)
            except EOFError:
                if deadline is not None or self._process is not process:  # cancelled or closed
                    raise Cancelled from None
                raise self._named(process.death()) from None
            if event is not None and event["event"] in ("result", "error"):
                return event
            if event is not None and event["event"] != "alive" and deadline is None:
                report(event)
            silent = 0.0 if event is not None else silent + POLL_SECONDS
            if silent >= SILENCE_SECONDS:
                raise self._named(f"The worker gave no sign of life for {SILENCE_SECONDS:.0f} s and was stopped.")
            if not has_stopped and stopped():
                process.send(STOP_LINE)
                has_stopped = True
            if deadline is None and cancelled():
                process.send(CANCEL_LINE)
                deadline = time.monotonic() + CANCEL_SECONDS
            if deadline is not None and time.monotonic() >= deadline:
                raise Cancelled

    def _failure(self, event: Event) -> TilehawkError:
        kind, text = str(event.get("kind")), str(event.get("text"))
        if kind == Cancelled.__name__:
            return Cancelled()
        return KINDS[kind](text) if kind in KINDS and kind != WorkerError.__name__ else self._named(text)

    def _named(self, sentence: str) -> WorkerError:
        self._keep_log = True
        return WorkerError(f"{sentence} The worker's log is '{self.log_path}'.")


def _temporary_log() -> str:
    handle, path = tempfile.mkstemp(prefix="tilehawk-", suffix=".log")
    os.close(handle)
    return path
