"""What the cards beside the forms share: a titled frame, a grid of facts, and cautions with their remedies."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

WARNING = "/mIconWarning.svg"


class FactCard(QFrame):
    """A frame with a title, a headline, named facts and cautions; `body` takes what a card has besides."""

    def __init__(self, title: str, facts: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        """`facts`: key and name of each, in their order."""
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        heading = QLabel(title)
        _enlarge(heading, 1.1, bold=True)
        self.headline = wrapped()
        _enlarge(self.headline, 1.25)
        self.body = QVBoxLayout()
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setColumnStretch(1, 1)
        self._facts: dict[str, QLabel] = {}
        for row, (key, text) in enumerate(facts):
            name, value = QLabel(text), wrapped()
            name.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            _fade(name)
            grid.addWidget(name, row, 0)
            grid.addWidget(value, row, 1)
            self._facts[key] = value
        self._cautions = QVBoxLayout()
        self._cautions.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(heading)
        layout.addWidget(self.headline)
        for part in (self.body, grid, self._cautions):
            layout.addLayout(part)
        layout.addStretch()

    def set_fact(self, key: str, text: str) -> None:
        """Say one fact."""
        self._facts[key].setText(text)

    def fact(self, key: str) -> str:
        """What is said of one fact."""
        return self._facts[key].text()

    def clear_facts(self) -> None:
        """Say that nothing is known."""
        for value in self._facts.values():
            value.setText("–")

    def show_cautions(self, cautions: Sequence[tuple[str, str]]) -> None:
        """Show warnings, each with its remedy or an empty text."""
        while self._cautions.count():
            widget = self._cautions.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        for text, remedy in cautions:
            self._cautions.addWidget(_caution(text, remedy))

    def sentences(self) -> list[str]:
        """All warnings shown, each with its remedy."""
        rows = (self._cautions.itemAt(place).widget() for place in range(self._cautions.count()))
        return [row.findChild(QLabel, "text").text() for row in rows]


def wrapped() -> QLabel:
    """Make a label that breaks its lines and never makes the window wider."""
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    return label


def _caution(text: str, remedy: str) -> QWidget:
    row = QWidget()
    picture = QLabel()
    side = row.fontMetrics().height()
    picture.setPixmap(QgsApplication.getThemeIcon(WARNING).pixmap(side, side))
    words = wrapped()
    words.setObjectName("text")
    words.setTextFormat(Qt.TextFormat.RichText)
    words.setText(f"{escape(text)}<br><i>{escape(remedy)}</i>" if remedy else escape(text))
    words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
    layout.addWidget(words, 1)
    return row


def _enlarge(label: QLabel, times: float, *, bold: bool = False) -> None:
    font = label.font()
    font.setBold(bold)
    font.setPointSizeF(font.pointSizeF() * times)
    label.setFont(font)


def _fade(label: QLabel) -> None:
    palette = label.palette()
    color = QColor(palette.color(QPalette.ColorRole.WindowText))
    color.setAlpha(160)
    palette.setColor(QPalette.ColorRole.WindowText, color)
    label.setPalette(palette)
