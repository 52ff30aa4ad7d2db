"""The worker's side of the process border: jobs come in as JSON lines on stdin, events go out on stdout.

`{"job": "cancel"}` cancels the job before it; `{"job": "stop"}` ends the training before it and keeps its best. The end
of stdin means that the caller has gone: it ends a running job, and the worker.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .job.codec import parse
from .job.errors import TilehawkError, explain
from .job.events import Event, error, result, to_line
from .job.jobs import DetectJob, EvaluateJob, ExportJob, Job, PreflightJob, SuppressJob, SurveyJob, job_from_json
from .job.process import SCRATCH_PREFIX
from .job.train_job import AugmentJob
from .job.unfinished import remove_unfinished

if TYPE_CHECKING:
    from .preflight import Preflight
    from .retinanet.detector import Detector

# Verbs that need nothing of the session, by their jobs; each imports what it needs only when it is asked for.
VERBS = {
    AugmentJob: "augment",
    EvaluateJob: "evaluate",
    ExportJob: "export",
    SuppressJob: "suppress",
    SurveyJob: "survey",
}
ALIVE_SECONDS = 0.5
ABANDON_SECONDS = 0.5  # a job whose caller has gone may take this long to stop by itself


def run_session() -> int:
    """Serve jobs until stdin ends; the exit status is 0."""
    requests, answers = take_pipes()
    Session(requests, answers).serve()
    delete_scratch()
    os._exit(0)  # torch takes its time to leave, and nothing is left to save


def delete_scratch() -> None:
    """Delete the empty folder that a client started this process in: one that was killed cannot do it."""
    with suppress(OSError):
        folder = Path.cwd()
        if folder.name.startswith(SCRATCH_PREFIX):
            os.chdir(folder.parent)
            folder.rmdir()


def take_pipes() -> tuple[TextIO, TextIO]:
    """Take stdin and stdout for the protocol alone.

    What libraries print goes to stderr from now on, and what they read from stdin is empty.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
    answers = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, answers


class Session:
    """Takes one job after another, hears of their cancellation meanwhile, and ends when its caller does."""

    def __init__(self, requests: TextIO, answers: TextIO) -> None:
        self._requests = requests
        self._answers = answers
        self._writing = threading.Lock()
        self._waiting: queue.Queue[tuple[str, threading.Event, threading.Event] | None] = queue.Queue()
        self._ended = threading.Event()
        self._abandoned = threading.Event()
        self._target: str | None = None  # what the running job writes
        self._detector = KeptDetector()
        self._preflight: Preflight | None = None

    def serve(self) -> None:
        """Do the jobs in the order they come, until stdin ends."""
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while (request := self._waiting.get()) is not None and not self._abandoned.is_set():
            line, cancel, stop = request
            done = threading.Event()
            threading.Thread(target=self._give_signs_of_life, args=(done,), name="alive", daemon=True).start()
            end = self._perform(line, lambda cancel=cancel: cancel.is_set() or self._abandoned.is_set(), stop.is_set)
            done.set()
            self._write(end)
        self._ended.set()

    def _perform(self, line: str, cancelled: Callable[[], bool], stopped: Callable[[], bool]) -> str:
        """Do one job; returns the line that ends it."""
        try:
            job = job_from_json(line)
            self._target = job.output
            return to_line(result(self._do(job, cancelled, stopped)))
        except Exception as problem:
            if not isinstance(problem, TilehawkError):
                traceback.print_exc()
            return to_line(error(explain(problem)))
        finally:
            self._target = None

    def _do(self, job: Job, cancelled: Callable[[], bool], stopped: Callable[[], bool]) -> dict[str, Any]:
        if isinstance(job, DetectJob):
            from .detect import detect

            # One whose caller has died is not cancelled but killed, by `_leave`: what it has found can be resumed from.
            return detect(job, self._report, lambda: cancelled() and not self._abandoned.is_set(), self._detector)
        if isinstance(job, PreflightJob):
            from .preflight import Preflight

            self._preflight = self._preflight or Preflight(self._detector)
            return self._preflight(job.detection, self._report, cancelled)
        if type(job) in VERBS:
            name = VERBS[type(job)]
            return getattr(import_module(f".{name}", __package__), name)(job, self._report, cancelled)
        from .train import train

        self._detector.forget()
        return train(job, self._report, cancelled, stopped)

    def _report(self, event: Event) -> None:
        self._write(to_line(event))

    def _give_signs_of_life(self, done: threading.Event) -> None:
        while not done.is_set():
            self._report({"event": "alive"})
            done.wait(ALIVE_SECONDS)

    def _listen(self) -> None:
        """Queue jobs as they come; a request to cancel or stop means the job before, the end of stdin all of them."""
        cancel, stop = threading.Event(), threading.Event()
        for line in self._requests:
            if _asks(line, "cancel"):
                cancel.set()
            elif _asks(line, "stop"):
                stop.set()
            elif line.strip():
                cancel, stop = threading.Event(), threading.Event()
                self._waiting.put((line, cancel, stop))
        self._abandoned.set()
        self._waiting.put(None)
        if not self._ended.wait(ABANDON_SECONDS):
            self._leave()

    def _write(self, line: str) -> None:
        try:
            with self._writing:
                self._answers.write(line + "\n")
                self._answers.flush()
        except OSError:  # the caller has died
            self._leave()

    def _leave(self) -> None:
        """End the process at once, whatever it is doing, and leave nothing behind but what a job can resume from."""
        if self._target is not None:
            remove_unfinished(self._target, os.getpid())
        delete_scratch()
        os._exit(1)


class KeptDetector:
    """Opens a model as a job asks for it, and keeps the last one for the next job."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._detector: Detector | None = None

    def __call__(self, path: str, device: str) -> Detector:
        """Load the model, unless it is the last one, on the same device, and its file has not changed."""
        from .here import load_detector

        status = Path(path).stat()
        key = (path, status.st_mtime_ns, status.st_size, device)
        if self._detector is None or key != self._key:
            self.forget()
            self._detector, self._key = load_detector(path, device), key
        return self._detector

    def forget(self) -> None:
        """Let the model go, and the memory it takes."""
        self._detector = self._key = None


def _asks(line: str, request: str) -> bool:
    try:
        return parse(line) == {"job": request}
    except ValueError:
        return False
