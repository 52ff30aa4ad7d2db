"""What a running job says: one JSON object a line, told apart by its `event`.

progress  done (0-1), text, seconds_left (or null)      a step forward
boxes     boxes (N, 4) in map coordinates, scores, labels   at most 1,000 a line; a preview, not the result
notice    text, level ("info" or "warning")             a sentence for the user
preflight what is known of a detection before its model is loaded: raster, tiles, warnings
anchors   objects, median_px, histogram, default, chosen   before a training: sizes, and what anchors reach and cost
learning_rate  learning_rate, curve (list of learning_rate and loss)   where a training had to find it by trial
sample    image, crs, extent, boxes, scores, labels, truth   before each epoch's figures: what the model finds
          now in one window of the image file; extent and boxes in map coordinates of crs (WKT or null)
epoch     epoch, epochs, loss, focal_loss, box_loss, ap30, ap50, ap50_95, threshold, precision, recall, f1,
          learning_rate, best (epoch), seconds_left            after each epoch of a training
alive     nothing                                       every 0.5 s while a job runs
result    values of the job's result                    the end, done
error     kind, text                                    the end, failed; kind is the error's class name
"""

from __future__ import annotations

import json
from typing import Any, Callable

from .codec import parse

Event = dict[str, Any]
Report = Callable[[Event], None]

MAX_BOXES_PER_EVENT = 1000


def progress(done: float, text: str, seconds_left: float | None = None) -> Event:
    """Say how far the job is: `done` from 0 to 1."""
    return {"event": "progress", "done": round(float(done), 4), "text": text, "seconds_left": seconds_left}


def notice(text: str, level: str = "info") -> Event:
    """Tell the user a sentence; level "info" or "warning"."""
    return {"event": "notice", "text": text, "level": level}


def result(values: dict[str, Any]) -> Event:
    """End a job that is done."""
    return {"event": "result", **values}


def error(problem: Exception) -> Event:
    """End a job that failed."""
    return {"event": "error", "kind": type(problem).__name__, "text": str(problem)}


def to_line(event: Event) -> str:
    """Write an event as one ASCII line, safe for any console encoding."""
    return json.dumps(event, ensure_ascii=True, allow_nan=False)


def from_line(line: str) -> Event | None:
    """Parse one line; None where it is no event (a stray print of a library)."""
    try:
        data = parse(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) and isinstance(data.get("event"), str) else None
