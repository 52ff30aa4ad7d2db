"""One message within a dock: it breaks its lines where QGIS's message bar would hide all but the first two."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from ..fact_card import wrapped
from ..wording import tr

WARNING, SUCCESS = ("/mIconWarning.svg", QColor("#ffb300")), ("/mIconSuccess.svg", QColor("#3cb44b"))
TINT = 0.22  # of the colour in the ground, so that text is read on a light and a dark one


class Notice(QFrame):
    """Hidden until there is something to say; a person takes it away, or time."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._picture = QLabel()
        self._words = wrapped()
        self._words.setObjectName("words")
        self._words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.dismiss = QToolButton()
        self.dismiss.setIcon(QgsApplication.getThemeIcon("/mIconClose.svg"))
        self.dismiss.setAutoRaise(True)
        self.dismiss.setToolTip(tr("Take this message away"))
        self.dismiss.clicked.connect(self.clear)
        self._time = QTimer(self)
        self._time.setSingleShot(True)
        self._time.timeout.connect(self.clear)
        layout = QHBoxLayout(self)
        layout.addWidget(self._picture, 0, Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self._words, 1)
        layout.addWidget(self.dismiss, 0, Qt.AlignmentFlag.AlignTop)
        self.hide()

    def text(self) -> str:
        """What is said, empty where nothing is."""
        return self._words.text()

    def warn(self, sentence: str) -> None:
        """Say what is wrong, until it is taken away."""
        self._say(sentence, *WARNING)

    def tell(self, sentence: str, seconds: float) -> None:
        """Say what has been done, for a while."""
        self._say(sentence, *SUCCESS)
        self._time.start(round(1000 * seconds))

    def clear(self) -> None:
        """Say nothing."""
        self._time.stop()
        self._words.clear()
        self.hide()

    def _say(self, sentence: str, icon: str, color: QColor) -> None:
        self._time.stop()
        side = self.fontMetrics().height()
        self._picture.setPixmap(QgsApplication.getThemeIcon(icon).pixmap(side, side))
        palette = self.parentWidget().palette() if self.parentWidget() is not None else QPalette()
        ground = palette.color(QPalette.ColorRole.Window)
        palette.setColor(QPalette.ColorRole.Window, _mixed(color, ground))
        self.setPalette(palette)
        self._words.setText(sentence)
        self.show()


def _mixed(color: QColor, ground: QColor) -> QColor:
    parts = zip(color.getRgb()[:3], ground.getRgb()[:3])
    return QColor(*(round(TINT * own + (1 - TINT) * below) for own, below in parts))
