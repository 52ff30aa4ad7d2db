"""Choosing a model: a gallery of those there are, a file dialog, and what the chosen model's card says."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QModelIndex, QRect, QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QFont, QFontMetrics, QPainter, QPalette
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ..core.job.card import ModelCard, read_card
from ..core.job.errors import ModelError
from .models import model_files, origin, summary
from .settings import read_settings
from .told import tr_core
from .wording import class_name, tr

PATH, CARD, ABOUT = (Qt.ItemDataRole.UserRole + number for number in range(3))
MOST_ROWS = 3
MARGIN_PX = 8


class ModelPicker(QWidget):
    """A gallery with a browse button and a summary; `changed` carries the card, None where it cannot be read."""

    changed = pyqtSignal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.models = QListWidget()
        self.models.setObjectName("models")
        self.models.setToolTip(tr("What to look for. Each model knows its classes, pixel size and threshold."))
        self.models.setAccessibleName(tr("Models"))
        self.models.setItemDelegate(ModelDelegate(self.models))
        self.models.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.models.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.browse = QPushButton(tr("Other model…"))
        self.browse.setAutoDefault(False)
        self.browse.setToolTip(tr("Choose a model file (.safetensors) from a folder"))
        self.browse.clicked.connect(self._browse)
        self.get = QPushButton(tr("Get models…"))
        self.get.setAutoDefault(False)
        self.get.setToolTip(tr("Add models from files, folders or the web to this list"))
        self.get.clicked.connect(self._get)
        self.summary = QLabel()
        self.summary.setObjectName("summary")
        self.summary.setWordWrap(True)
        self.summary.setTextFormat(Qt.TextFormat.RichText)
        self.summary.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.summary.setToolTip(tr("What the model's card says about it"))
        below = QHBoxLayout()
        below.addWidget(self.summary, 1)
        ways = QVBoxLayout()
        ways.addWidget(self.browse)
        ways.addWidget(self.get)
        ways.addStretch()
        below.addLayout(ways)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.models)
        layout.addLayout(below)
        self.card: ModelCard | None = None
        self.fill()
        self.models.currentRowChanged.connect(self._show)

    def path(self) -> str:
        """Path of the chosen model, empty where there is none."""
        item = self.models.currentItem()
        return item.data(PATH) if item is not None else ""

    def set_path(self, path: str) -> None:
        """Choose a model by its path, adding it to the gallery where it is new."""
        for row in range(self.models.count()):
            if self.models.item(row).data(PATH) == path:
                self.models.setCurrentRow(row)
                return
        self.models.addItem(_item(Path(path)))
        self._fit()
        self.models.setCurrentRow(self.models.count() - 1)

    def fill(self) -> None:
        """Show the models there are now, keeping the choice."""
        chosen = self.path()
        before = self.card
        self.models.blockSignals(True)
        self.models.clear()
        for path in model_files():
            self.models.addItem(_item(path))
        if chosen:
            self.set_path(chosen)
        elif self.models.count():
            self.models.setCurrentRow(0)
        self.models.blockSignals(False)
        self._fit()
        self._show(tell=before is None or not chosen)

    def _get(self) -> None:
        from .get_models_dialog import GetModelsDialog

        dialog = GetModelsDialog(self)
        dialog.added.connect(self._take_added)
        dialog.open()

    def _take_added(self, paths: list[str]) -> None:
        self.fill()
        self.set_path(paths[0])

    def _browse(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self, tr("Choose a model"), read_settings().model_folder, tr("Tilehawk models (*.safetensors)")
        )
        if path:
            self.set_path(path)

    def _fit(self) -> None:
        """Take the room of the models there are, up to three."""
        row = self.models.itemDelegate().height()
        shown = min(max(1, self.models.count()), MOST_ROWS)
        half = row // 2 if self.models.count() > MOST_ROWS else 0  # a cut row says that there are more
        self.models.setFixedHeight(shown * row + half + 2 * self.models.frameWidth())

    def _show(self, _: int = 0, tell: bool = True) -> None:
        self.card = None
        if not self.path():
            self.summary.setText(tr("There is no model yet: choose a file with the button on the right."))
        else:
            try:
                self.card = read_card(self.path())
                self.summary.setText(summary(self.card))
            except ModelError as problem:
                self.summary.setText(tr_core(problem))
        if tell:
            self.changed.emit(self.card)


class ModelDelegate(QStyledItemDelegate):
    """Draws a model: its title, below what it finds and at which pixel size, and the colours of its classes."""

    def height(self) -> int:
        """Height of a row in px."""
        metrics = QFontMetrics(QApplication.font())
        return 2 * metrics.height() + 2 * MARGIN_PX + 2

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """As high as two lines; the width is the list's."""
        return QSize(10, self.height())

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw the row in the colours of the style."""
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawPrimitive(QStyle.PrimitiveElement.PE_PanelItemViewItem, option, painter, option.widget)
        painter.save()
        selected = bool(option.state & QStyle.StateFlag.State_Selected)
        active = bool(option.state & QStyle.StateFlag.State_Active)
        group = QPalette.ColorGroup.Active if active else QPalette.ColorGroup.Inactive
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        color = option.palette.color(group, role)
        faint = QColor(color)
        faint.setAlpha(175)
        line = QFontMetrics(option.font).height()
        card = index.data(CARD)
        left = option.rect.left() + MARGIN_PX
        if card is not None:
            self._swatches(painter, card, QRect(left, option.rect.top() + MARGIN_PX + 1, line, 2 * line))
            left += line + MARGIN_PX
        room = QRect(left, option.rect.top() + MARGIN_PX, option.rect.right() - MARGIN_PX - left, line)
        bold = QFont(option.font)
        bold.setBold(True)
        for font, shade, text, top in (
            (bold, color, index.data(Qt.ItemDataRole.DisplayRole), 0),
            (option.font, faint, index.data(ABOUT), line + 2),
        ):
            painter.setFont(font)
            painter.setPen(shade)
            shown = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, room.width())
            painter.drawText(room.translated(0, top), Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
        painter.restore()

    @staticmethod
    def _swatches(painter: QPainter, card: ModelCard, room: QRect) -> None:
        """Draw the colours of up to four classes, one above the other."""
        colors = [known.color for known in card.classes[:4]]
        high = room.height() // len(colors)
        painter.setPen(QColor(0, 0, 0, 110))
        for place, color in enumerate(colors):
            painter.setBrush(QColor(color))
            painter.drawRect(room.left(), room.top() + place * high, room.width() - 1, high - 1)


def _item(path: Path) -> QListWidgetItem:
    try:
        card: ModelCard | None = read_card(path)
    except ModelError as problem:
        card, about = None, tr_core(problem)
    else:
        about = _about(card, path)
    item = QListWidgetItem((card.title or card.name) if card is not None else path.stem)
    item.setData(PATH, str(path))
    item.setData(CARD, card)
    item.setData(ABOUT, about)
    item.setData(Qt.ItemDataRole.ToolTipRole, str(path))
    return item


def _about(card: ModelCard, path: Path) -> str:
    names = [class_name(known.name) for known in card.classes]
    classes = ", ".join(names[:3]) + (tr(" and {n} more").format(n=len(names) - 3) if len(names) > 3 else "")
    pixel = tr("any pixel size") if card.resolution_m is None else f"{card.resolution_m:.3g} m"
    return " · ".join([classes, pixel, origin(path)])
