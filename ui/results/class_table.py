"""Count and area by class, each class with a box that shows or hides it; no class of QGIS's."""

from __future__ import annotations

from collections.abc import Mapping

from qgis.PyQt.QtCore import QSize, Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QSizePolicy, QTreeWidget, QTreeWidgetItem, QWidget

from ..wording import class_name, tr

MOST_ROWS = 8
HECTARE = 10_000.0
KM2 = 1_000_000.0
NAME = Qt.ItemDataRole.UserRole  # of a class in the data; what is shown may be translated


class ClassTable(QTreeWidget):
    """One row a class; `switched` (name, visible) tells what the user ticks."""

    switched = pyqtSignal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setHeaderLabels([tr("Class"), tr("Count"), tr("Area")])
        self.setToolTip(tr("What is shown, by class. The boxes show and hide classes, as those in the legend do."))
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.itemChanged.connect(self._tell)

    def show_figures(
        self, classes: Mapping[str, tuple[QColor, bool]], figures: Mapping[str, tuple[int, float]]
    ) -> None:
        """Show classes with colour and visibility, and the count and area (m²) of each."""
        self.blockSignals(True)
        names = [*classes, *(name for name in figures if name not in classes)]
        if names != [self.topLevelItem(row).data(0, NAME) for row in range(self.topLevelItemCount())]:
            self.clear()
            for name in names:
                item = QTreeWidgetItem(self, [class_name(name), "", ""])
                item.setData(0, NAME, name)
                item.setToolTip(0, class_name(name))  # where the column is too narrow
                for column in (1, 2):
                    item.setTextAlignment(column, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        for row, name in enumerate(names):
            item = self.topLevelItem(row)
            count, area = figures.get(name, (0, 0.0))
            if name in classes:
                color, visible = classes[name]
                item.setIcon(0, self._swatch(color))
                item.setCheckState(0, Qt.CheckState.Checked if visible else Qt.CheckState.Unchecked)
            item.setText(1, f"{count:,}")
            item.setText(2, area_text(area))
        self.blockSignals(False)
        for column in (1, 2):
            wide = max(self.sizeHintForColumn(column), self.header().sectionSizeHint(column))
            self.setColumnWidth(column, wide + self.fontMetrics().height())
        self.updateGeometry()

    def sizeHint(self) -> QSize:
        """As high as its rows, up to some."""
        rows = min(max(self.topLevelItemCount(), 1), MOST_ROWS)
        row = max(self.sizeHintForRow(0), self.fontMetrics().height() + 6)
        return QSize(super().sizeHint().width(), self.header().sizeHint().height() + rows * row + 6)

    def minimumSizeHint(self) -> QSize:
        """As high as it would like to be."""
        return QSize(8 * self.fontMetrics().height(), self.sizeHint().height())

    def _swatch(self, color: QColor) -> QIcon:
        side = self.fontMetrics().ascent()
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(0, 0, 0, 120))
        painter.setBrush(color)
        painter.drawRoundedRect(1, 1, side - 2, side - 2, 2, 2)
        painter.end()
        return QIcon(pixmap)

    def _tell(self, item: QTreeWidgetItem, column: int) -> None:
        if column == 0:
            self.switched.emit(item.data(0, NAME), item.checkState(0) == Qt.CheckState.Checked)


def area_text(area_m2: float) -> str:
    """Say an area as people do: '51.8 m²', '5,210 m²', '12.4 ha', '3.1 km²'."""
    if area_m2 >= 10 * KM2:
        return f"{area_m2 / KM2:,.1f} km²"
    if area_m2 >= 10 * HECTARE:
        return f"{area_m2 / HECTARE:,.1f} ha"
    return f"{area_m2:,.0f} m²" if area_m2 >= 100 or area_m2 == 0 else f"{area_m2:,.1f} m²"
