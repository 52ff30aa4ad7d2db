"""Imagery with boxes on it, as SVG text that holds its pixels."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

TRUE, FOUND, FALSE, MISSED, IGNORED = "#ffd400", "#00e5ff", "#ff2e63", "#ff9f1a", "#c8c8c8"
GAP = 8  # px between two panels
SHARPEST = 2  # px of imagery for one of the page, at most


@dataclass(frozen=True)
class Outline:
    """A box xyxy in px of its picture, how it is drawn, and a word on it."""

    box: tuple[float, float, float, float]
    color: str
    dashed: bool = False
    text: str = ""


def png(values: np.ndarray) -> bytes:
    """Encode uint8 (3, H, W) as PNG (RFC 2083), each row as its difference to the one above."""
    rows = np.ascontiguousarray(values.transpose(1, 2, 0)).reshape(values.shape[1], -1)
    above = np.concatenate([np.zeros_like(rows[:1]), rows[:-1]])
    lines = np.concatenate([np.full((len(rows), 1), 2, np.uint8), rows - above], axis=1)  # uint8 wraps as PNG asks

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", values.shape[2], values.shape[1], 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def in_colour(values: np.ndarray, roles: Sequence[str] = ()) -> np.ndarray:
    """Pick three bands (3, H, W) of (C, H, W) to show: red, green and blue by their roles, else the first ones."""
    if {"red", "green", "blue"} <= set(roles):
        return values[[list(roles).index(role) for role in ("red", "green", "blue")]]
    return values[:3] if len(values) >= 3 else values[[0, 0, 0]]


def picture(values: np.ndarray, panels: Sequence[Sequence[Outline]], side: int) -> str:
    """Draw imagery uint8 (3, H, W) once for each panel, side by side, each with its boxes; `side`: px on the page."""
    values, shrunk = _thinned(values, side)
    height, width = values.shape[1:]
    zoom = side / max(height, width)
    wide, high = width * zoom, height * zoom
    data = base64.b64encode(png(values)).decode("ascii")
    look = "pixelated" if zoom > 3 else "auto"
    image = (
        f'<image width="{wide:.1f}" height="{high:.1f}" preserveAspectRatio="none" style="image-rendering:{look}" '
        f'href="data:image/png;base64,{data}"/>'
    )
    name = f"p{zlib.crc32(data.encode()):08x}"
    total = len(panels) * wide + (len(panels) - 1) * GAP
    parts = [f'<defs><g id="{name}">{image}</g></defs>']
    for place, outlines in enumerate(panels):
        boxes = "".join(_outline(outline, zoom / shrunk, wide, high) for outline in outlines)
        frame = f'<svg x="{place * (wide + GAP):.1f}" width="{wide:.1f}" height="{high:.1f}">'
        parts.append(f'{frame}<use href="#{name}"/>{boxes}</svg>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total:.1f} {high:.1f}" width="{total:.0f}" '
        f'height="{high:.0f}" role="img" font-family="system-ui, sans-serif" font-size="11">{"".join(parts)}</svg>'
    )


def _thinned(values: np.ndarray, side: int) -> tuple[np.ndarray, int]:
    """Average imagery that has far more px than the page will show, by a whole factor, which is given too."""
    factor = max(1, max(values.shape[1:]) // (SHARPEST * side))
    if factor == 1:
        return values, 1
    height, width = (extent // factor * factor for extent in values.shape[1:])
    blocks = values[:, :height, :width].reshape(3, height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(2, 4)).round().astype(np.uint8), factor


def _outline(outline: Outline, zoom: float, wide: float, high: float) -> str:
    x0, y0, x1, y1 = (value * zoom for value in outline.box)
    place = f'x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="none"'
    dash = ' stroke-dasharray="4 3"' if outline.dashed else ""
    drawn = f'<rect {place} stroke="#000" stroke-opacity=".55" stroke-width="3.5"/>'
    drawn += f'<rect {place} stroke="{outline.color}" stroke-width="1.8"{dash}/>'
    if outline.text:
        x, y = min(max(x0, 1), max(wide - 24, 1)), y0 - 4 if y0 > 14 else min(y1 + 12, high - 3)
        words = f'<text x="{x:.1f}" y="{y:.1f}" %s>{escape(outline.text)}</text>'
        drawn += words % 'fill="none" stroke="#000" stroke-opacity=".7" stroke-width="2.5"'
        drawn += words % f'fill="{outline.color}"'
    return drawn
