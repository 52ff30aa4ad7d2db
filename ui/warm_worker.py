"""A worker that stays loaded for the dialog: it is asked small things and answers in a moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..core.job.errors import Cancelled, explain
from ..core.job.events import Event
from ..core.job.jobs import Job
from ..core.job.worker import Worker
from .told import tr_core

IDLE_MS = 5 * 60 * 1000
CLOSE_SECONDS = 3.0


@dataclass(frozen=True)
class Asked:
    """A job, what turns its result into the answer, and what tidies up after it in any case."""

    job: Job
    answer: Callable[[dict[str, Any]], Any]
    tidy: Callable[[], None]


MakeJob = Callable[[Callable[[], bool]], Asked]


@dataclass
class Question:
    """Something to ask: `make` gives the job; it works in the thread and is told whether it has been given up."""

    number: int
    make: MakeJob
    given_up: threading.Event = field(default_factory=threading.Event)


class WarmWorker(QObject):
    """Asks one worker in a thread of its own, which ends with `close`, or when nothing was asked for five minutes.

    Of each kind of question only the newest waits: what was asked before and not begun is forgotten. Signals carry the
    number of the question and come in the main thread: `told` (an event), `answered`, `failed` (a sentence, empty when
    given up).
    """

    told = pyqtSignal(int, object)
    answered = pyqtSignal(int, object)
    failed = pyqtSignal(int, str)

    def __init__(self, open_worker: Callable[[], Worker], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._open = open_worker
        self._asked = 0
        self._waiting: dict[str, Question] = {}
        self._current: Question | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(IDLE_MS)
        self._idle.timeout.connect(self.close)

    @property
    def open(self) -> bool:
        """Whether there is a worker, or one is about to be."""
        return self._thread is not None and self._thread.is_alive() and not self._stop.is_set()

    def ask(self, kind: str, make: MakeJob) -> int:
        """Ask; gives the question's number."""
        self._idle.start()
        with self._changed:
            self._asked += 1
            self._waiting[kind] = Question(self._asked, make)
            self._changed.notify()
        if not self.open:
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._serve, args=(self._stop,), name="tilehawk-warm-worker", daemon=True
            )
            self._thread.start()
        return self._asked

    def give_up(self, number: int) -> None:
        """Stop a question, begun or not; `failed` follows with an empty sentence where it was begun."""
        with self._changed:
            self._waiting = {kind: each for kind, each in self._waiting.items() if each.number != number}
            if self._current is not None and self._current.number == number:
                self._current.given_up.set()

    def close(self, wait: bool = False) -> None:
        """End the worker and its thread; `wait` shortly for that, when QGIS is about to end."""
        self._idle.stop()
        with self._changed:
            self._stop.set()
            self._waiting.clear()
            if self._current is not None:
                self._current.given_up.set()
            self._changed.notify()
        thread = self._thread
        if wait and thread is not None:
            thread.join(CLOSE_SECONDS)

    def _serve(self, stop: threading.Event) -> None:
        """Answer questions until stopped; runs in the thread."""
        worker = None
        try:
            while (question := self._next(stop)) is not None:
                try:
                    worker = worker or self._open()
                    signal, answer = self.answered, self._answer(worker, question, stop)
                except Cancelled:
                    signal, answer = self.failed, ""
                except Exception as problem:
                    signal, answer = self.failed, tr_core(explain(problem))
                self._emit(stop, signal, question.number, answer)
        finally:
            if worker is not None:
                worker.close()

    def _next(self, stop: threading.Event) -> Question | None:
        with self._changed:
            self._current = None
            while not self._waiting and not stop.is_set():
                self._changed.wait()
            if stop.is_set():
                return None
            oldest = min(self._waiting, key=lambda kind: self._waiting[kind].number)
            self._current = self._waiting.pop(oldest)
            return self._current

    def _answer(self, worker: Worker, question: Question, stop: threading.Event) -> Any:
        asked = question.make(question.given_up.is_set)

        def tell(event: Event) -> None:
            self._emit(stop, self.told, question.number, event)

        try:
            return asked.answer(worker.run(asked.job, tell, question.given_up.is_set))
        finally:
            asked.tidy()

    @staticmethod
    def _emit(stop: threading.Event, signal: Any, *values: Any) -> None:
        if not stop.is_set():
            signal.emit(*values)
