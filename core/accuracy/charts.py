"""Charts as SVG text: readable on light and dark ground, on paper, and on their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any
from unicodedata import east_asian_width

import numpy as np

from .language import tr

WIDTH, HEIGHT = 420, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 14, 46  # around the plot, px
LEGEND_ROW, LETTER, WIDE_LETTER = 18, 6.4, 12.0  # px; wide: such as Japanese ones
COLORS = ("#2a7de1", "#e8590c", "#2f9e44", "#ae3ec9", "#c99700", "#1098ad", "#e64980", "#868e96")


@dataclass(frozen=True, eq=False)
class Line:
    """A named line: `x` and `y` (N,); values that are no numbers are gaps."""

    name: str
    x: np.ndarray
    y: np.ndarray
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A point that matters, with a word on it; `y` None: a line from top to bottom."""

    x: float
    y: float | None
    text: str


def line_chart(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[Mark] = (),
) -> str:
    """Draw lines over a common scale; ranges are those of the values unless given."""
    x0, x1 = x_range or _range([line.x for line in lines])
    y0, y1 = y_range or _range([line.y for line in lines], from_zero=True)
    plot = _Plot(x0, x1, y0, y1)
    parts = [plot.axes(x_label, y_label), *(plot.line(line) for line in lines), *(plot.mark(mark) for mark in marks)]
    return plot.finish(parts, [(line.name, line.color, line.dashed) for line in lines])


def size_histogram(edges: Sequence[float], counts: Sequence[int], anchors: Sequence[float]) -> str:
    """Draw how many objects have which side, px, on a logarithmic scale, and the sides of the anchors.

    `edges`: lower edges; the last bin is open.
    """
    filled = [i for i, count in enumerate(counts) if count] or [0]
    ends = [*edges, edges[-1] * edges[-1] / edges[-2]]
    low = max(min([ends[filled[0]], *anchors]), 1.0)
    high = max([ends[filled[-1] + 1], *anchors])
    plot = _Plot(math.log2(low) - 0.15, math.log2(high) + 0.15, 0, max(*counts, 1) * 1.12)
    bars, bin_of, anchor_of = [], tr("{low:g} to {high:g} px: {count:,}"), tr("anchor of {side:.1f} px")
    for i in filled:
        x, end = (plot.x(math.log2(max(side, low))) for side in (ends[i], ends[i + 1]))
        y = plot.y(counts[i])
        bars.append(
            f'<rect x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(end - x - 1, 1):.1f}" height="{plot.y(0) - y:.1f}" '
            f'fill="{COLORS[0]}" fill-opacity=".75">'
            f"<title>{escape(bin_of.format(low=ends[i], high=ends[i + 1], count=counts[i]))}</title></rect>"
        )
    ticks = [
        f'<line x1="{plot.x(math.log2(side)):.1f}" x2="{plot.x(math.log2(side)):.1f}" y1="{TOP}" y2="{TOP + 12}" '
        f'stroke="{COLORS[1]}" stroke-width="2"><title>{escape(anchor_of.format(side=side))}</title></line>'
        for side in anchors
    ]
    powers = [2.0**k for k in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1)]
    objects, ticks_at = tr("objects"), [(math.log2(power), f"{power:g}") for power in powers]
    parts = [plot.axes(tr("side of an object, px"), objects, ticks_at), *bars, *ticks]
    return plot.finish(parts, [(objects, COLORS[0], False), (tr("sides of the anchors"), COLORS[1], False)])


class _Plot:
    """A plot area and its scales."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        self.x0, self.x1 = x0, x1 if x1 > x0 else x0 + 1
        self.y0, self.y1 = y0, y1 if y1 > y0 else y0 + 1

    def x(self, value: Any) -> Any:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: Any) -> Any:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def axes(self, x_label: str, y_label: str, x_ticks: Sequence[tuple[float, str]] | None = None) -> str:
        """Grid, ticks and labels."""
        parts = []
        for value in _ticks(self.y0, self.y1):
            y = self.y(value)
            parts.append(_rule(LEFT, y, WIDTH - RIGHT, y, 0.15))
            parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
        for value, word in x_ticks or [(tick, f"{tick:g}") for tick in _ticks(self.x0, self.x1)]:
            x = self.x(value)
            parts.append(_rule(x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 4, 0.6))
            parts.append(_text(x, HEIGHT - BOTTOM + 17, word, "middle"))
        parts.append(_rule(LEFT, HEIGHT - BOTTOM, WIDTH - RIGHT, HEIGHT - BOTTOM, 0.6))
        middle = (TOP + HEIGHT - BOTTOM) / 2
        parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 36, x_label, "middle"))
        parts.append(f'<g transform="translate(13 {middle:.1f}) rotate(-90)">{_text(0, 0, y_label, "middle")}</g>')
        return "".join(parts)

    def line(self, line: Line) -> str:
        """A line, with dots where it has few points."""
        known = np.isfinite(line.y) & np.isfinite(line.x)
        x = self.x(np.clip(line.x[known].astype(float), self.x0, self.x1))
        y = self.y(np.clip(line.y[known].astype(float), self.y0, self.y1))
        points = [(x[i], y[i]) for i in _outstanding(x, y)]
        if not points:
            return ""
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        drawn = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        path = f'<polyline points="{drawn}" fill="none" stroke="{line.color}" stroke-width="2"{dash}/>'
        few = points if len(points) <= 2 else []
        return path + "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{line.color}"/>' for a, b in few)

    def mark(self, mark: Mark) -> str:
        """A marked place."""
        x = self.x(min(max(mark.x, self.x0), self.x1))
        end = x > (LEFT + WIDTH) * 0.6
        if mark.y is None:
            line = _rule(x, TOP, x, HEIGHT - BOTTOM, 0.8, 'stroke-dasharray="3 3"')
            return line + _text(x - 5 if end else x + 5, HEIGHT - BOTTOM - 7, mark.text, "end" if end else "start")
        y = self.y(min(max(mark.y, self.y0), self.y1))
        low = y < TOP + 24
        dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="none" stroke="currentColor" stroke-width="2"/>'
        return dot + _text(x - 8 if end else x + 8, y + 18 if low else y - 8, mark.text, "end" if end else "start")

    def finish(self, parts: Sequence[str], legend: Sequence[tuple[str, str, bool]]) -> str:
        """The whole picture, with a legend below."""
        entries, x, row = [], float(LEFT), 0
        for name, color, dashed in legend:
            wide = 30 + _width(name)
            if x + wide > WIDTH and x > LEFT:
                x, row = float(LEFT), row + 1
            y = HEIGHT + 6 + row * LEGEND_ROW
            dash = ' stroke-dasharray="5 4"' if dashed else ""
            entries.append(f'<path d="M{x:.1f} {y}h16" stroke="{color}" stroke-width="3"{dash}/>')
            entries.append(_text(x + 21, y + 4, name, "start"))
            x += wide + 8
        height = HEIGHT + (row + 1) * LEGEND_ROW + 2 if legend else HEIGHT
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" font-family="system-ui, sans-serif" font-size="12">{"".join([*parts, *entries])}</svg>'
        )


def _outstanding(x: np.ndarray, y: np.ndarray) -> list[int]:
    """Indexes of the points of a line that can be seen: of each px column the first, last, highest and lowest."""
    columns = np.flatnonzero(np.diff(np.round(x), prepend=np.nan) != 0).tolist()
    kept: set[int] = set()
    for start, end in pairwise([*columns, len(x)]):
        part = y[start:end]
        kept |= {start, end - 1, start + int(part.argmin()), start + int(part.argmax())}
    return sorted(kept)


def _rule(x1: float, y1: float, x2: float, y2: float, opacity: float, more: str = "") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity="{opacity}" {more}/>'


def _width(words: str) -> float:
    """Width of a text, px, about."""
    return sum(WIDE_LETTER if east_asian_width(letter) in "WF" else LETTER for letter in words)


def _text(x: float, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="currentColor">{escape(words)}</text>'


def _range(values: Sequence[np.ndarray], from_zero: bool = False) -> tuple[float, float]:
    every = np.concatenate([np.asarray(part, float) for part in values]) if values else np.zeros(0)
    every = every[np.isfinite(every)]
    if not len(every):
        return 0.0, 1.0
    low, high = (0.0 if from_zero else float(every.min())), float(every.max())
    return low, high * 1.05 if from_zero else high


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, about five."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]
