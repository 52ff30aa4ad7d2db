"""Events of a worker, told to the user through Processing's feedback."""

from __future__ import annotations

import time

from qgis.core import QgsProcessingFeedback

from ...core.job.events import Event
from ..wording import duration, tr

# Processing's log keeps every progress text: at most one a second, then one in 2 % of the time gone, 270 in an hour
TEXT_SECONDS, TEXT_SHARE = 1.0, 0.02


class FeedbackReport:
    """A `Report` that hands progress, time left and notices to a feedback; called in the thread that runs the job."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self._feedback = feedback
        self._text = ""
        self._started_at = time.monotonic()
        self._told_at = float("-inf")

    def __call__(self, event: Event) -> None:
        """Take one event; kinds that have no place in a feedback are passed over."""
        if event["event"] == "progress":
            self._progress(event["done"], event["text"], event.get("seconds_left"))
        elif event["event"] == "notice" and event.get("level") == "warning":
            self._feedback.pushWarning(event["text"])
        elif event["event"] == "notice":
            self._feedback.pushInfo(event["text"])

    def _progress(self, done: float, text: str, seconds_left: float | None) -> None:
        self._feedback.setProgress(100 * done)
        if seconds_left is not None:
            text = tr("{text}, about {duration} left").format(text=text, duration=duration(seconds_left))
        now = time.monotonic()
        pause = max(TEXT_SECONDS, TEXT_SHARE * (now - self._started_at))
        if text != self._text and now - self._told_at >= pause:
            self._text, self._told_at = text, now
            self._feedback.setProgressText(text)
