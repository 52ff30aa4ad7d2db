"""Events of a worker, told to the user through Processing's feedback."""

from __future__ import annotations

import time
from collections.abc import Callable

from qgis.core import QgsProcessingFeedback
from qgis.PyQt.QtCore import pyqtSignal

from ...core.job.events import Event
from ..told import tr_core
from ..wording import duration, tr

# Processing's log keeps every progress text: at most one a second, then one in 2 % of the time gone, 270 in an hour
TEXT_SECONDS, TEXT_SHARE = 1.0, 0.02


class LiveFeedback(QgsProcessingFeedback):
    """A feedback whose progress texts and boxes also reach slots of the main thread.

    `found` carries the values of an event `boxes`, in the coordinates of the raster's file, `happened` those of events
    that only some jobs have, such as `epoch`. `problem`: the last error. `stop_asked`: whether the user wants to end a
    training early and keep its best. `must_ask`: whether a detection was given up as it
    would have deleted what an earlier one has left.
    """

    said = pyqtSignal(str)
    found = pyqtSignal(object)
    happened = pyqtSignal(object)

    def __init__(self) -> None:
        super().__init__(False)  # not into the application's log: Processing's history keeps it
        self.problem = ""
        self.stop_asked = False
        self.must_ask = False

    def setProgressText(self, text: str) -> None:
        """Tell where the run is; called in the run's thread."""
        super().setProgressText(text)
        self.said.emit(text)

    def reportError(self, error: str, fatalError: bool = False) -> None:
        """Keep what went wrong; called in the run's thread."""
        super().reportError(error, fatalError)
        self.problem = error


class QuietFeedback(QgsProcessingFeedback):
    """A feedback for work of a question, cancelled with it."""

    def __init__(self, given_up: Callable[[], bool]) -> None:
        super().__init__(False)
        self._given_up = given_up

    def isCanceled(self) -> bool:
        """Whether the question has been given up."""
        return self._given_up() or super().isCanceled()


class FeedbackReport:
    """A `Report` that hands progress, time left, notices and boxes to a feedback; called in the job's thread."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._text = ""
        self._started_at = time.monotonic()
        self._told_at = float("-inf")

    def __call__(self, event: Event) -> None:
        """Take one event; kinds that have no place in a feedback are passed over."""
        if event["event"] == "progress":
            self._progress(event["done"], tr_core(event["text"]), event.get("seconds_left"))
        elif event["event"] == "boxes" and isinstance(self._feedback, LiveFeedback):
            self._feedback.found.emit(event)
        elif event["event"] == "notice" and event.get("level") == "warning":
            self._feedback.pushWarning(tr_core(event["text"]))
        elif event["event"] == "notice":
            self._feedback.pushInfo(tr_core(event["text"]))
        elif isinstance(self._feedback, LiveFeedback):
            self._feedback.happened.emit(event)

    def _progress(self, done: float, text: str, seconds_left: float | None) -> None:
        self._feedback.setProgress(100 * done)
        if seconds_left is not None:
            text = tr("{text}, about {duration} left").format(text=text, duration=duration(seconds_left))
        now = time.monotonic()
        pause = max(TEXT_SECONDS, TEXT_SHARE * (now - self._started_at))
        if text != self._text and now - self._told_at >= pause:
            self._text, self._told_at = text, now
            self._feedback.setProgressText(text)
