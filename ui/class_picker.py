"""Choosing which of a model's classes to look for."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QAbstractItemView, QFrame, QListView, QListWidget, QListWidgetItem, QWidget

from ..core.job.card import ModelCard, ObjectClass
from ..core.job.errors import InvalidJob
from .wording import class_name, tr

MOST_ROWS = 5
NAME = Qt.ItemDataRole.UserRole  # of a class in the model; what is shown may be translated


class ClassPicker(QListWidget):
    """Checkable classes in their colours, side by side where there is room; all are checked to begin with."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFlow(QListView.Flow.LeftToRight)
        self.setWrapping(True)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.viewport().setAutoFillBackground(False)
        self.setSpacing(2)
        self.setToolTip(tr("Look for these classes only"))
        self.setAccessibleName(tr("Classes"))
        self.itemChanged.connect(self._tell)

    def set_card(self, card: ModelCard | None) -> None:
        """List the classes of a model, all checked."""
        self.blockSignals(True)
        self.clear()
        for known in card.classes if card is not None else ():
            self.addItem(_item(known, swatch(known.color, self.fontMetrics().height())))
        self.blockSignals(False)
        self._fit()

    def names(self) -> list[str]:
        """Names of the checked classes, empty where all are; raises InvalidJob where none is."""
        items = [self.item(row) for row in range(self.count())]
        checked = [item.data(NAME) for item in items if item.checkState() == Qt.CheckState.Checked]
        if items and not checked:
            raise InvalidJob(tr("Choose at least one class to look for."))
        return [] if len(checked) == len(items) else checked

    def choose(self, names: list[str]) -> None:
        """Check these classes only; all where none is named."""
        for row in range(self.count()):
            item = self.item(row)
            wanted = not names or item.data(NAME) in names
            item.setCheckState(Qt.CheckState.Checked if wanted else Qt.CheckState.Unchecked)

    def resizeEvent(self, event: object) -> None:
        """Take as many rows as the classes need, up to five."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        if not self.count():
            self.setFixedHeight(self.fontMetrics().height() + 10)
            return
        self.doItemsLayout()
        bottom = max(self.visualItemRect(self.item(row)).bottom() for row in range(self.count()))
        offset = self.verticalOffset()
        row = self.sizeHintForRow(0) + 2 * self.spacing()
        self.setFixedHeight(min(bottom + offset + 1 + self.spacing(), MOST_ROWS * row) + 2 * self.frameWidth())

    def _tell(self, _: QListWidgetItem) -> None:
        self.changed.emit()


def swatch(color: str, side: int) -> QIcon:
    """Draw a class's colour as a small square with a thin edge, seen on light and dark ground."""
    picture = QPixmap(QSize(side, side))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setPen(QColor(0, 0, 0, 110))
    painter.setBrush(QColor(color))
    painter.drawRoundedRect(1, 1, side - 3, side - 3, 2, 2)
    painter.end()
    return QIcon(picture)


def _item(known: ObjectClass, icon: QIcon) -> QListWidgetItem:
    item = QListWidgetItem(icon, class_name(known.name))
    item.setData(NAME, known.name)
    item.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
    item.setCheckState(Qt.CheckState.Checked)
    return item
