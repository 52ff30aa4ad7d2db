"""What the command line shows: a progress bar and notices on stderr, the summary of a result on stdout."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from .job.card import ModelCard
from .job.events import Event

BAR_CELLS = 24
NESTED = ("test", "compared")  # figures that are told in lines of their own


class Terminal:
    """Shows the events of a job on stderr: the bar on a terminal only, notices always."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._bar_shown = False

    def show(self, event: Event) -> None:
        """Show one event; the preview of boxes is not for a terminal."""
        if event["event"] == "progress" and self._live:
            line = bar(event["done"], event["text"], event["seconds_left"])
            sys.stderr.write("\r\x1b[K" + line[: shutil.get_terminal_size().columns - 1])
            sys.stderr.flush()
            self._bar_shown = True
        elif event["event"] == "notice":
            self.say(("Warning: " if event["level"] == "warning" else "") + event["text"])
        elif event["event"] == "epoch":
            self.say("  ".join(f"{name} {_short(value)}" for name, value in event.items() if name != "event"))

    def say(self, sentence: str) -> None:
        """Write a sentence on a line of its own."""
        self.clear()
        print(sentence, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the bar away."""
        if self._bar_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._bar_shown = False


def bar(done: float, text: str, seconds_left: float | None) -> str:
    """Draw progress as a line: `[######------]  50 %  Tile 3 of 6, 1:05 left`."""
    filled = round(max(0.0, min(1.0, done)) * BAR_CELLS)
    left = "" if seconds_left is None else f", {duration(seconds_left)} left"
    return f"[{'#' * filled}{'-' * (BAR_CELLS - filled)}] {done * 100:3.0f} %  {text}{left}"


def duration(seconds: float) -> str:
    """Write seconds as `m:ss` or `h:mm:ss`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def detection_summary(values: dict[str, Any]) -> str:
    """Tell the result of a detection in a few lines."""
    counts = [f"  {name}: {count:,}" for name, count in values["objects"].items()]
    lines = [
        str(values["output"]),
        *counts,
        f"  with a score of {values['threshold']:g} or more; {values['above_floor']:,} in all above the score floor",
        f"  {values['tiles']:,} tiles in {duration(values['seconds'])} ({values['tiles_per_second']:.2f} a second)"
        f" on {values['device']}, {values['backend']}",
    ]
    if values["not_examined_m2"]:
        lines.append(f"  {values['not_examined_m2']:,.0f} m² could not be examined")
    return "\n".join(lines)


def training_summary(values: dict[str, Any]) -> str:
    """Tell the result of a training: the model file, the figures of its best epoch, the time it took."""
    figures = [f"  {name}: {_short(value)}" for name, value in values["metrics"].items() if name not in NESTED]
    tested = _tested(values["metrics"].get("test") or {})
    compared = _compared(values["metrics"].get("compared"))
    return "\n".join([str(values["output"]), *figures, *tested, *compared, f"  in {duration(values['seconds'])}"])


def _compared(compared: dict[str, Any] | None) -> list[str]:
    """Figures of the old model and the new one on the same test images."""
    return [
        f"  {name}, old model to new: {compared['old'][name]:.3f} to {compared['new'][name]:.3f}"
        for name in (compared or {}).get("difference", ())
    ]


def _tested(test: dict[str, Any]) -> list[str]:
    """Figures of the test images, each with its interval where there is one."""
    rows = []
    for name, value in test.items():
        if name != "intervals":
            low, high = test.get("intervals", {}).get(name, (None, None))
            rows.append(f"  test {name}: {_short(value)}" + ("" if low is None else f" ({low:.3g} to {high:.3g})"))
    return rows


def evaluation_summary(values: dict[str, Any]) -> str:
    """Tell how good detections are: a row for each class and one for all."""
    best = ", the best for F1" if values["threshold_is_best"] else ""
    rows = {**values["classes"], "overall": values["overall"]}
    width = max(len(name) for name in rows)
    titles = ("AP", "precision", "recall", "F1", "found", "false", "missed")
    keys = ("average_precision", "precision", "recall", "f1", "true_positives", "false_positives", "false_negatives")
    lines = [f"At IoU {values['iou']:g} and a score of {values['threshold']:g} or more{best}"]
    lines.append(" " * width + "".join(f"{title:>11}" for title in titles))
    for name, row in rows.items():
        cells = ["-" if row[key] is None else f"{row[key]:.3f}" if key in keys[:4] else f"{row[key]:,}" for key in keys]
        lines.append(f"{name:{width}}" + "".join(f"{cell:>11}" for cell in cells))
    if values["output"]:
        lines.append(f"Report: {values['output']}")
    return "\n".join(lines)


def export_summary(values: dict[str, Any]) -> str:
    """Tell what an export has written."""
    classes = ", ".join(values["classes"])
    lines = [f"  {values['chips']:,} chips with {values['objects']:,} objects ({classes}), as {values['format']}"]
    return "\n".join([str(values["output"]), *lines, f"  in {duration(values['seconds'])}"])


def suppression_summary(values: dict[str, Any]) -> str:
    """Tell what a suppression has left and dropped."""
    lines = [
        f"  {values['objects']:,} objects left, ranked by '{values['score_field']}'",
        f"  {values['dropped']:,} dropped that a better one of their class covers",
        f"  {values['dropped_across']:,} dropped that a better one of any class covers",
        f"  in {duration(values['seconds'])}",
    ]
    return "\n".join([str(values["output"]), *lines])


def card_summary(card: ModelCard) -> str:
    """Tell what a model finds, needs and achieves."""
    shape = card.architecture
    resolution = "any" if card.resolution_m is None else f"{card.resolution_m:g} m"
    rows = {
        "name": card.name,
        "title": card.title,
        "description": card.description,
        "classes": ", ".join(known.name for known in card.classes),
        "bands": ", ".join(f"{band.role} ({band.low:g} to {band.high:g})" for band in card.bands),
        "resolution": resolution,
        "tile": f"{card.tile_px} px, overlap {card.overlap_px} px",
        "threshold": f"{card.threshold:g}, score floor {card.score_floor:g}, suppression overlap {card.nms_overlap:g}",
        "network": f"RetinaNet on {shape.backbone}, {shape.levels[0]} to {shape.levels[-1]}",
        "anchors": ", ".join(f"{size:g}" for size in shape.anchor_sizes) + " px",
        "metrics": ", ".join(f"{name} {_short(value)}" for name, value in card.metrics.items() if name not in NESTED),
        "license": card.license,
        "credits": "; ".join(card.credits),
    }
    return "\n".join(f"{name:12}{value}" for name, value in rows.items() if value)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
