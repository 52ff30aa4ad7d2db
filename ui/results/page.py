"""The figures of one result layer, and the filters that decide what of it is shown."""

from __future__ import annotations

import time
from dataclasses import replace

from qgis.core import QgsVectorLayer
from qgis.gui import QgsDoubleSpinBox
from qgis.PyQt.QtCore import QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ...core.job.errors import TilehawkError
from ..background import Work, start_work
from ..layers import add_class, show_class, show_points, shown_classes, shows_points, style_detections
from ..told import tr_core
from ..wording import tr
from .class_table import ClassTable, area_text
from .counting import counting
from .figures import Tally, wilson
from .filter import OBJECTS, REJECTED, Filter
from .histogram import ConfidenceHistogram
from .origin import Origin, origin_of

APPLY_AFTER_MS = 40  # a subset filter on 200,000 boxes takes as long
PAUSE = 3.0  # times what a filter takes, before the next while the handle is dragged
COUNT_AFTER_MS = 300
LARGEST_M2 = 1e9


class ResultsPage(QWidget):
    """Shows and filters one result layer. The layer's own filter is the truth: changed elsewhere, the page follows."""

    review_asked = pyqtSignal(bool)  # whether of a sample
    zones_asked = pyqtSignal()
    export_asked = pyqtSignal()
    problem = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.layer: QgsVectorLayer | None = None
        self._origin: Origin | None = None
        self._filter = Filter()
        self._tally = Tally()
        self._work: Work | None = None
        self.total = QLabel()
        self.total.setObjectName("total")
        font = self.total.font()
        font.setPointSizeF(1.5 * font.pointSizeF())
        font.setBold(True)
        self.total.setFont(font)
        self.ground = QLabel()
        self.ground.setWordWrap(True)
        self.estimate = QLabel()
        self.estimate.setWordWrap(True)
        self.histogram = ConfidenceHistogram()
        self.histogram.setAccessibleName(tr("Confidence"))
        self.confidence = QgsDoubleSpinBox()
        self.smallest, self.largest = (
            self._size(tr("Hide objects smaller than this")),
            self._size(tr("Hide objects larger than this")),
        )
        self.table = ClassTable()
        self.points = QCheckBox(tr("Centre points instead of boxes"))
        self.review = QPushButton(tr("Review…"))
        self.sample = QPushButton(tr("Check 30…"))
        self.zones = QPushButton(tr("Count by zone…"))
        self.export = QPushButton(tr("Export…"))
        self._describe()
        self._arrange()
        self._apply_soon = self._timer(APPLY_AFTER_MS, self._apply)
        self._count_soon = self._timer(COUNT_AFTER_MS, self.count)
        self.histogram.value_changed.connect(self._take_confidence)
        self.confidence.valueChanged.connect(self.histogram.set_value)
        self.smallest.valueChanged.connect(self._take_sizes)
        self.largest.valueChanged.connect(self._take_sizes)
        self.table.switched.connect(self._switch)
        self.points.toggled.connect(lambda points: self.layer and show_points(self.layer, points))
        self.review.clicked.connect(lambda: self.review_asked.emit(False))
        self.sample.clicked.connect(lambda: self.review_asked.emit(True))
        self.zones.clicked.connect(self.zones_asked)
        self.export.clicked.connect(self.export_asked)
        self.set_layer(None)

    def set_layer(self, layer: QgsVectorLayer | None) -> None:
        """Show a result layer, or none; one without our style gets it."""
        self._forget()
        self._origin = origin_of(layer)
        self.layer = layer if self._origin is not None else None
        self._tally = Tally()
        self.setEnabled(self.layer is not None)
        if self.layer is not None:
            if not shown_classes(self.layer):
                style_detections(
                    self.layer, self._origin.card(), Filter.parse(self.layer.subsetString(), None).threshold
                )
            self.layer.subsetStringChanged.connect(self._follow_filter)
            self.layer.rendererChanged.connect(self._show)
            self.layer.willBeDeleted.connect(self._lose)
            self._follow_filter()
            self.count()
        self._show()

    def origin(self) -> Origin | None:
        """Say where the layer comes from, as it is now: a review adds a field."""
        return self._origin

    def refresh_origin(self) -> None:
        """Look at the layer's fields again: a review has added one."""
        self._origin = origin_of(self.layer) or self._origin

    def filter(self) -> Filter:
        """What is shown."""
        return self._filter

    def count(self) -> None:
        """Count anew, in the background: after objects, or the limits of size, have changed."""
        if self.layer is None:
            return
        self._origin = origin_of(self.layer) or self._origin
        if self._work is not None:
            self._work.done.disconnect(self._take_tally)
            self._work = None
        try:
            work = counting(self.layer, self._origin.area_field, self._filter.smallest_m2, self._filter.largest_m2)
        except TilehawkError as problem:
            self.problem.emit(tr_core(problem))
            return
        self._work = Work(tr("Counting objects"), work, silent=True)
        self._work.done.connect(self._take_tally)
        self._work.failed.connect(self.problem)
        start_work(self._work)

    def show_rejected(self, rejected: bool) -> None:
        """Show rejected objects too, as a review does, or hide them again."""
        if self.layer is not None:
            self._filter = replace(self._filter, rejected=rejected)
            self._apply()

    def _take_tally(self, tally: Tally) -> None:
        self._work = None
        self._tally = tally
        self.histogram.set_bins(tally.bins)
        if self.layer is not None:
            for name in set(tally.classes) - set(shown_classes(self.layer)) - {""}:
                add_class(self.layer, name)
        self._show()

    def _take_confidence(self, value: float) -> None:
        self._filter = replace(self._filter, threshold=value)
        self.confidence.blockSignals(True)
        self.confidence.setValue(value)
        self.confidence.blockSignals(False)
        self._show()
        self._start(self._apply_soon)

    def _take_sizes(self) -> None:
        self._filter = replace(self._filter, smallest_m2=_limit(self.smallest), largest_m2=_limit(self.largest))
        self._start(self._apply_soon)
        self._start(self._count_soon)

    def _switch(self, name: str, visible: bool) -> None:
        if self.layer is not None:
            show_class(self.layer, name, visible)

    def _apply(self) -> None:
        self._apply_soon.stop()
        if self.layer is None:
            return
        subset = self._filter.subset(self._origin.area_field, self._origin.reviewed)
        if subset == self.layer.subsetString():
            return
        began = time.monotonic()
        taken = self.layer.setSubsetString(subset)
        spent_ms = 1000 * (time.monotonic() - began)
        self._apply_soon.setInterval(max(APPLY_AFTER_MS, round(PAUSE * spent_ms)))  # a slow file is asked less often
        if not taken:
            self.problem.emit(tr("The layer is being edited. Save its edits, then the filter works again."))
            self._follow_filter()

    def _follow_filter(self) -> None:
        """Take up the layer's filter where it is not the one that was set here."""
        self._origin = origin_of(self.layer) or self._origin
        if self.layer.subsetString() == self._filter.subset(self._origin.area_field, self._origin.reviewed):
            return
        before, self._filter = self._filter, Filter.parse(self.layer.subsetString(), self._origin.area_field)
        for widget, value in (
            (self.histogram, None),
            (self.confidence, self._filter.threshold),
            (self.smallest, self._filter.smallest_m2 or 0.0),
            (self.largest, self._filter.largest_m2 or 0.0),
        ):
            widget.blockSignals(True)
            widget.set_value(self._filter.threshold) if value is None else widget.setValue(value)
            widget.blockSignals(False)
        if (before.smallest_m2, before.largest_m2) != (self._filter.smallest_m2, self._filter.largest_m2):
            self.count()
        self._show()

    def _show(self) -> None:
        classes = shown_classes(self.layer) if self.layer is not None else {}
        figures = self._tally.at(self._filter.threshold)
        self.table.show_figures(classes, figures)
        seen = [figure for name, figure in figures.items() if name not in classes or classes[name][1]]
        count = sum(number for number, _ in seen)
        self.total.setText(tr("1 object") if count == 1 else tr("{count} objects").format(count=f"{count:,}"))
        parts = [tr("{area} in boxes").format(area=area_text(sum(area for _, area in seen)))]
        if self._tally.not_examined_m2:
            parts.append(tr("{area} not examined").format(area=area_text(self._tally.not_examined_m2)))
        self.ground.setText(" · ".join(parts))
        self.points.blockSignals(True)
        self.points.setChecked(self.layer is not None and shows_points(self.layer))
        self.points.blockSignals(False)

    def show_estimate(self, right: int, total: int) -> None:
        """Say what a checked sample tells of the precision here; nothing where none was checked."""
        low, high = wilson(right, total)
        self.estimate.setText(
            tr(
                "Precision here: about {share:.0%}, most likely {low:.0%} to {high:.0%} ({right} of {total} right)."
            ).format(share=right / total, low=low, high=high, right=right, total=total)
            if total
            else ""
        )
        self.estimate.setVisible(bool(total))

    def reviewed(self) -> tuple[int, int]:
        """Count what a person has confirmed, and what she has rejected."""
        states = self._tally.reviewed
        return sum(states.get(state, 0) for state in OBJECTS), states.get(REJECTED, 0)

    def _forget(self) -> None:
        for timer in (getattr(self, "_apply_soon", None), getattr(self, "_count_soon", None)):
            if timer is not None:
                timer.stop()
        if self._work is not None:
            self._work.done.disconnect(self._take_tally)
            self._work = None
        if self.layer is not None:
            self.layer.subsetStringChanged.disconnect(self._follow_filter)
            self.layer.rendererChanged.disconnect(self._show)
            self.layer.willBeDeleted.disconnect(self._lose)
        self.layer = None
        self._filter = Filter()
        self.show_estimate(0, 0)

    def _lose(self) -> None:
        self.set_layer(None)

    def _start(self, timer: QTimer) -> None:
        if not timer.isActive():
            timer.start()

    def _timer(self, after_ms: int, slot) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(after_ms)
        timer.timeout.connect(slot)
        return timer

    def _size(self, tooltip: str) -> QgsDoubleSpinBox:
        spin = QgsDoubleSpinBox()
        spin.setRange(0, LARGEST_M2)
        spin.setDecimals(1)
        spin.setSpecialValueText(tr("no limit"))
        spin.setSuffix(" m²")
        spin.setClearValue(0.0)
        spin.setKeyboardTracking(False)
        texts = ("00,000.0 m²", spin.specialValueText())
        arrows = 2 * spin.fontMetrics().height()
        spin.setMinimumWidth(arrows + max(spin.fontMetrics().horizontalAdvance(text) for text in texts))
        spin.setToolTip(tooltip + tr(" (area of the box)"))
        return spin

    def _describe(self) -> None:
        tooltip = tr(
            "Show objects at or above this confidence, from 0 to 1. Drag, or use the arrow keys. The others stay in "
            "the layer; heights are square roots of counts."
        )
        self.histogram.setToolTip(tooltip)
        self.confidence.setToolTip(tooltip)
        self.confidence.setRange(0, 1)
        self.confidence.setSingleStep(0.01)
        self.confidence.setDecimals(2)
        self.confidence.setShowClearButton(False)
        for button, text in (
            (self.points, tr("Draw centre points instead of boxes")),
            (self.review, tr("Go from object to object by keyboard: accept, reject, correct")),
            (self.sample, tr("Look at 30 objects drawn at random, to know how many of those shown are right")),
            (self.zones, tr("Count the objects shown in each polygon of a layer")),
            (self.export, tr("Save objects as Shapefile, GeoPackage, GeoJSON, CSV or KML")),
        ):
            button.setToolTip(text)
        self.estimate.setToolTip(
            tr("Share of right objects among those checked, with the range that covers the truth in 95 of 100 cases")
        )
        self.ground.setToolTip(tr("Ground that held no data or could not be read is drawn hatched"))

    def _arrange(self) -> None:
        line = self.fontMetrics().height()
        head = QVBoxLayout()
        head.setSpacing(line // 6)
        head.addWidget(self.total)
        head.addWidget(self.ground)
        confidence = QHBoxLayout()
        confidence.addWidget(QLabel(tr("Confidence")))
        confidence.addStretch()
        confidence.addWidget(self.confidence)
        sizes = QHBoxLayout()
        sizes.addWidget(self.smallest, 1)
        sizes.addWidget(QLabel("–"))
        sizes.addWidget(self.largest, 1)
        form = QFormLayout()
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapAllRows)
        form.addRow(tr("Size"), sizes)
        buttons = QGridLayout()
        buttons.setSpacing(line // 3)
        for place, button in enumerate((self.review, self.sample, self.zones, self.export)):
            buttons.addWidget(button, place // 2, place % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(line // 2, line // 2, line // 2, line // 2)
        layout.setSpacing(round(0.6 * line))
        layout.addLayout(head)
        layout.addLayout(confidence)
        layout.addWidget(self.histogram)
        layout.addLayout(form)
        layout.addWidget(self.table)
        layout.addWidget(self.points)
        layout.addStretch()
        layout.addWidget(self.estimate)
        layout.addLayout(buttons)


def _limit(spin: QgsDoubleSpinBox) -> float | None:
    return spin.value() or None
