"""One sample as it is, and as training sees it again and again: what the augmentation does, before it is done."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from qgis.PyQt.QtCore import QRectF, QSize
from qgis.PyQt.QtGui import QImage, QPainter, QPaintEvent, QPalette
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from ..wording import tr
from .sample_view import GREY, LINE, TRUTH, draw_outline

VERSIONS = 8
COLUMNS = 3
STEP = 0.382  # of all objects, from one that is shown to the next: it comes to every part of them
Shown = tuple[QImage, list[list[float]]]


class AugmentationDialog(QDialog):
    """Shows a sample and versions of it; `ask(place)` asks for those of another object, from 0 to 1."""

    def __init__(self, ask: Callable[[float], None], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tilehawkAugmentationDialog")
        self.setWindowTitle(tr("What augmentation does"))
        self._ask, self._place = ask, 0.5
        self.view = VersionsView()
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        self.buttons.button(QDialogButtonBox.StandardButton.Close).setToolTip(tr("Close this window"))
        self.other = self.buttons.addButton(tr("Another object"), QDialogButtonBox.ButtonRole.ActionRole)
        self.other.setToolTip(tr("Show the same for another of the labelled objects"))
        self.other.clicked.connect(self._go_on)
        layout = QVBoxLayout(self)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.status)
        layout.addWidget(self.buttons)
        self.resize(self.view.sizeHint() + QSize(0, 4 * self.fontMetrics().height()))

    def begin(self) -> None:
        """Ask for the object that is shown, with the settings as they are now."""
        self.status.setText(tr("Reading the labels…"))
        self.other.setEnabled(False)
        self._ask(self._place)

    def show_versions(self, answer: Mapping[str, Any]) -> None:
        """Show what has been answered."""
        self.view.set_pictures([_shown(each) for each in (answer["plain"], *answer["versions"])])
        self.status.setText(
            tr("Top left the labels as they are; the others as training draws them, with its settings.")
        )
        self.other.setEnabled(True)

    def show_problem(self, sentence: str) -> None:
        """Show why there is nothing to see."""
        self.view.set_pictures([])
        self.status.setText(sentence)
        self.other.setEnabled(True)

    def _go_on(self) -> None:
        self._place = (self._place + STEP) % 1.0
        self.begin()


class VersionsView(QWidget):
    """Square pictures with boxes, three in a row."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pictures: list[Shown] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setToolTip(tr("Top left a sample as it is, then as training draws it"))

    def set_pictures(self, pictures: list[Shown]) -> None:
        """Show these."""
        self.pictures = pictures
        self.update()

    def sizeHint(self) -> QSize:
        """Some lines of text wide and high."""
        side = 36 * self.fontMetrics().height()
        return QSize(side, side)

    def minimumSizeHint(self) -> QSize:
        """A third as large as it would like to be."""
        return self.sizeHint() / 3

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint all pictures; called by Qt."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        rows = -(-(VERSIONS + 1) // COLUMNS)
        line = self.fontMetrics().height()
        gap = 0.4 * line
        side = min((self.width() - (COLUMNS - 1) * gap) / COLUMNS, (self.height() - (rows - 1) * gap) / rows)
        left = (self.width() - COLUMNS * side - (COLUMNS - 1) * gap) / 2
        for place in range(VERSIONS + 1):
            row, column = divmod(place, COLUMNS)
            frame = QRectF(left + column * (side + gap), row * (side + gap), side, side)
            if place >= len(self.pictures):
                painter.fillRect(frame, self.palette().color(QPalette.ColorRole.AlternateBase))
                continue
            self._paint(painter, frame, *self.pictures[place], width=LINE * line)

    @staticmethod
    def _paint(painter: QPainter, frame: QRectF, image: QImage, boxes: list[list[float]], width: float) -> None:
        painter.save()
        painter.setClipRect(frame)
        painter.fillRect(frame, GREY)
        painter.drawImage(frame, image)
        scale = frame.width() / max(image.width(), 1)
        for x0, y0, x1, y1 in boxes:
            place = QRectF(frame.left() + x0 * scale, frame.top() + y0 * scale, (x1 - x0) * scale, (y1 - y0) * scale)
            draw_outline(painter, place, TRUTH, width)
        painter.restore()


def _shown(told: Mapping[str, Any]) -> Shown:
    return QImage.fromData(base64.b64decode(told["png"]), "PNG"), told["boxes"]
