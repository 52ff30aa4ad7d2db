"""Which of the pixels that were asked for are missing of a fetched picture."""

from __future__ import annotations

import math

from qgis.core import QgsRasterBlock, QgsRectangle
from qgis.PyQt.QtCore import QRect

NOISE = 1e-6  # px, of floating point


def asked_pixels(asked: QgsRectangle, fetched: QgsRectangle, pixel: float) -> QRect:
    """Find the columns and rows of what is fetched, of `pixel` map units, that the asked part of it touches."""
    left = math.floor((asked.xMinimum() - fetched.xMinimum()) / pixel + NOISE)
    top = math.floor((fetched.yMaximum() - asked.yMaximum()) / pixel + NOISE)
    right = math.ceil((asked.xMaximum() - fetched.xMinimum()) / pixel - NOISE)
    bottom = math.ceil((fetched.yMaximum() - asked.yMinimum()) / pixel - NOISE)
    columns, rows = round(fetched.width() / pixel), round(fetched.height() / pixel)
    return QRect(left, top, right - left, bottom - top).intersected(QRect(0, 0, columns, rows))


def count_missing(alpha: QgsRasterBlock, lost: int, asked: QRect) -> int:
    """Count the asked pixels of a block that are missing: all where all its pixels are `lost`, else the transparent."""
    if not lost or asked.isEmpty():
        return 0
    if lost == alpha.width() * alpha.height():
        return asked.width() * asked.height()
    return sum(row.count(0) for row in _rows(alpha, asked))


def first_missing(alpha: QgsRasterBlock, asked: QRect) -> tuple[int, int] | None:
    """Find column and row of the first asked pixel of a block that is transparent; None where there is none."""
    for number, row in enumerate(_rows(alpha, asked)):
        if 0 in row:
            return asked.x() + row.index(0), asked.y() + number
    return None


def _rows(alpha: QgsRasterBlock, asked: QRect) -> list[bytes]:
    values = bytes(alpha.data())
    begins = (row * alpha.width() + asked.x() for row in range(asked.y(), asked.y() + asked.height()))
    return [values[begin : begin + asked.width()] for begin in begins]
