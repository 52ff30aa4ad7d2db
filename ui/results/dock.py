"""The results dock: one layer's figures and filters, or its review."""

from __future__ import annotations

from qgis.core import Qgis, QgsApplication, QgsProject, QgsVectorLayer
from qgis.gui import QgsDockWidget, QgsMapCanvas, QgsMapLayerComboBox
from qgis.PyQt.QtCore import QEvent, QObject, QSize, Qt
from qgis.PyQt.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ..branding import icon, open_help
from ..review.page import ReviewPage
from ..wording import tr
from .notice import Notice
from .origin import origin_of
from .page import ResultsPage


class ResultsDock(QgsDockWidget):
    """Holds a chooser of result layers, the page of figures, the page of the review, and a line for messages."""

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(tr("Tilehawk results"), parent)
        self.setObjectName("tilehawkResultsDock")
        self.setWindowIcon(icon("results"))
        self.layers = QgsMapLayerComboBox()
        self.layers.setFilters(Qgis.LayerFilter.PolygonLayer)
        self.layers.setAllowEmptyLayer(True, tr("Choose a result…"))
        self.layers.setToolTip(tr("Result whose figures are shown; it follows the layer that is active in QGIS"))
        self.help = QToolButton()
        self.help.setIcon(QgsApplication.getThemeIcon("/mActionHelpContents.svg"))
        self.help.setAutoRaise(True)
        self.help.setToolTip(tr("Open the help on this window"))
        self.help.setAccessibleName(tr("Help"))
        self.help.clicked.connect(self._open_help)
        self.messages = Notice()
        self.figures = ResultsPage()
        self.review = ReviewPage(canvas)
        self.empty = QLabel(
            tr("There is no result yet. Detect objects on a raster, or open a file that Tilehawk has written.")
        )
        self.empty.setWordWrap(True)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setMargin(self.fontMetrics().height())
        self.pages = QStackedWidget()
        for page in (self.empty, self.figures, self.review):
            self.pages.addWidget(page)
        self._arrange()
        self.layers.layerChanged.connect(self._take_layer)
        project = QgsProject.instance()
        project.layersAdded.connect(self.refresh)
        project.layersRemoved.connect(self.refresh)
        self.refresh()

    def show_layer(self, layer: QgsVectorLayer) -> None:
        """Show a result layer, unless a review is under way."""
        if self.review.layer is None and layer is not self.figures.layer:
            self.refresh()
            self.layers.setLayer(layer)
            self._take_layer(layer)

    def refresh(self) -> None:
        """Offer the result layers of the project, and no others."""
        polygons = [layer for layer in QgsProject.instance().mapLayers().values() if isinstance(layer, QgsVectorLayer)]
        self.layers.setExceptedLayerList([layer for layer in polygons if origin_of(layer) is None])
        self._choose_page()

    def begin_review(self) -> None:
        """Turn to the page of the review."""
        self.layers.setEnabled(False)
        self.pages.setCurrentWidget(self.review)

    def end_review(self) -> None:
        """Turn back to the figures."""
        self.layers.setEnabled(True)
        self._choose_page()

    def close_pages(self) -> None:
        """Let go of the layer and of the project; the dock is about to go."""
        project = QgsProject.instance()
        project.layersAdded.disconnect(self.refresh)
        project.layersRemoved.disconnect(self.refresh)
        self.layers.layerChanged.disconnect(self._take_layer)
        self.review.end()
        self.figures.set_layer(None)

    def _take_layer(self, layer: QgsVectorLayer | None) -> None:
        if self.review.layer is None:
            self.figures.set_layer(layer)
            self._choose_page()

    def _choose_page(self) -> None:
        if self.review.layer is not None:
            return
        self.pages.setCurrentWidget(self.empty if self.figures.layer is None else self.figures)

    def _open_help(self) -> None:
        open_help("results" if self.review.layer is None else "results#review")

    def _arrange(self) -> None:
        line = self.fontMetrics().height()
        scroll = _Column()
        scroll.setWidget(self.pages)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(line // 3, line // 3, line // 3, line // 3)
        head = QHBoxLayout()
        head.addWidget(self.layers, 1)
        head.addWidget(self.help)
        layout.addLayout(head)
        layout.addWidget(self.messages)
        layout.addWidget(scroll, 1)
        self.setWidget(holder)


class _Column(QScrollArea):
    """Scrolls up and down only: it is never narrower than what it holds, whatever the font."""

    def minimumSizeHint(self) -> QSize:
        """As wide as its content needs; called by Qt."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(self.widget().minimumSizeHint().width() + bar, super().minimumSizeHint().height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the content, where it comes to need another width; called by Qt."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)
