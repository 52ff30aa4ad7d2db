"""Figures for a notebook: values and pictures that show themselves, without any plotting library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .charts import COLORS, Line, Mark, line_chart
from .page import figure, page, write_page


class Plot:
    """HTML that a notebook shows by itself; `save` writes it as a page of its own."""

    def __init__(self, title: str, parts: Sequence[str]) -> None:
        self.title, self.html = title, "\n".join(parts)

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return f"<{self.title}: shown in a notebook; save('name.html') writes it>"

    def save(self, path: str | Path) -> str:
        """Write a page; returns its path. Raises OutputError."""
        write_page(path, page(self.title, [self.html]))
        return str(path)


class LearningRate(float):
    """A learning rate found by trial, and the curve that led to it."""

    curve: Sequence[Mapping[str, float]] = ()

    def plot(self) -> Plot:
        """The loss against the learning rate, with the rate that is suggested."""
        rates = np.log10([point["learning_rate"] for point in self.curve])
        losses = np.array([point["loss"] for point in self.curve], float)
        line = Line("loss", rates, losses, COLORS[0])
        top = float(np.median(losses)) * 2 if len(losses) else 1.0  # what lies beyond has diverged
        marks = [Mark(float(np.log10(self)), None, f"suggested: {float(self):.2g}")]
        chart = line_chart([line], "learning rate, power of ten", "smoothed loss", y_range=(0.0, top), marks=marks)
        return Plot("Learning rate", [figure(chart)])


class Score(float):
    """An average precision that says at which IoU and on what it was counted."""

    said: str = ""

    def __repr__(self) -> str:
        return f"{float(self):.4f} ({self.said})"


class Scores(dict[str, float]):
    """Average precisions by class that say at which IoU and on what they were counted."""

    said: str = ""

    def __repr__(self) -> str:
        return f"{ {name: round(value, 4) for name, value in self.items()} } ({self.said})"
