"""What the desktop does with results: the dock, its actions, exports, counts by zone, reviews, and merging of runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qgis.core import Qgis, QgsExpression, QgsGeometry, QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QAction

from ...core.job.errors import TilehawkError
from ..algorithms.loading import listeners
from ..background import Work, cancel_work, start_work
from ..branding import icon
from ..layers import PICTURE
from ..told import tr_core
from ..wording import tr
from .origin import origin_of
from .picture import PictureFunction

if TYPE_CHECKING:
    from ..review.queue import Objects
    from .dock import ResultsDock
    from .export_dialog import ExportDialog
    from .merging import Changes
    from .zones import ZoneCount

MESSAGE_SECONDS = 8


class ResultsDesk(QObject):
    """Keeps the dock and does what its buttons ask for.

    `train_asked` brings `TrainingInputs` when a person wants to train with a review; `can_train` says that somebody
    takes them.
    """

    train_asked = pyqtSignal(object)

    def __init__(self, iface: QgisInterface) -> None:
        """Add the action and what map tips need; the dock is made when it is first shown."""
        super().__init__()
        self._iface = iface
        self.dock: ResultsDock | None = None
        self.can_train = False
        self._merge_always = ""
        self._zone_counts: list[ZoneCount] = []
        self._picture = PictureFunction()
        QgsExpression.registerFunction(self._picture)
        self.action = QAction(icon("results"), tr("Results and review"), iface.mainWindow())
        self.action.setObjectName("tilehawkResults")
        self.action.setToolTip(tr("Figures, filters, review and export of what Tilehawk has found"))
        self.action.triggered.connect(lambda _checked: self.show())
        iface.addPluginToRasterMenu("Tilehawk", self.action)
        iface.currentLayerChanged.connect(self._follow)
        QgsProject.instance().layersWillBeRemoved.connect(self._let_go)
        listeners.append(self._arrive)

    def close(self) -> None:
        """Take everything away again."""
        listeners.remove(self._arrive)
        QgsProject.instance().layersWillBeRemoved.disconnect(self._let_go)
        self._iface.currentLayerChanged.disconnect(self._follow)
        for count in self._zone_counts:
            count.cancel()
        cancel_work()
        if self.dock is not None:
            self.dock.close_pages()
            self._iface.removeDockWidget(self.dock)
            self.dock.deleteLater()
            self.dock = None
        self._iface.removePluginRasterMenu("Tilehawk", self.action)
        self.action.deleteLater()
        QgsExpression.unregisterFunction(PICTURE)
        self._picture.close()

    def show(self, layer: QgsVectorLayer | None = None) -> None:
        """Open the dock with a result layer; None: the one that is active in QGIS, if it is one."""
        if self.dock is None:
            from .dock import ResultsDock

            self.dock = ResultsDock(self._iface.mapCanvas(), self._iface.mainWindow())
            self.dock.figures.review_asked.connect(self._review)
            self.dock.figures.zones_asked.connect(self.count_by_zone)
            self.dock.figures.export_asked.connect(self.export)
            self.dock.figures.problem.connect(self._complain)
            self.dock.review.problem.connect(self._complain)
            self.dock.review.finished.connect(self.end_review)
            self.dock.review.train_asked.connect(self.train)
            self.dock.closed.connect(self.end_review)
            self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
        chosen = layer or self._iface.activeLayer()
        if origin_of(chosen) is None and self.dock.figures.layer is None:
            results = [each for each in QgsProject.instance().mapLayers().values() if origin_of(each) is not None]
            chosen = results[-1] if results else None
        if origin_of(chosen) is not None:
            self.dock.show_layer(chosen)
        self.dock.review.train.setVisible(self.can_train)
        self.dock.setUserVisible(True)

    def review(self, layer: QgsVectorLayer | None = None, sampled: bool = False) -> None:
        """Begin to review a result layer, or a sample of it."""
        self.show(layer)
        self._review(sampled)

    def export(self, layer: QgsVectorLayer | None = None) -> None:
        """Ask where to, and save a result layer."""
        from .export_dialog import ExportDialog

        self.show(layer or None)
        layer = self.dock.figures.layer
        if layer is None:
            return
        dialog = ExportDialog(layer, self.dock.figures.total.text(), self._iface.mainWindow())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.accepted.connect(partial(self._export, layer.id(), dialog))
        dialog.open()

    def count_by_zone(self) -> None:
        """Ask for a layer of polygons, and add it with the counts of what is shown."""
        from .zones_dialog import ZonesDialog

        found = self.dock.figures.layer
        if found is None:
            return
        dialog = ZonesDialog(self._iface.mainWindow())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        layer_id = found.id()
        dialog.accepted.connect(lambda: self._count(layer_id, dialog.zones()))
        dialog.open()

    def end_review(self) -> None:
        """Go back to the figures, which now know what was said."""
        review, figures = self.dock.review, self.dock.figures
        if review.layer is None:
            return
        sampled, (right, total) = review.sampled, review.estimate()
        review.end()
        figures.show_rejected(False)
        figures.count()
        if sampled:
            figures.show_estimate(right, total)
        self.dock.end_review()

    def train(self) -> None:
        """Gather what the review gives a training, and hand it on with `train_asked`."""
        from ..review.training_inputs import training_inputs

        figures = self.dock.figures
        try:
            work = training_inputs(figures.layer, figures.origin(), figures.filter())
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        task = Work(tr("Gathering what was reviewed"), work)
        task.done.connect(self.train_asked)
        task.failed.connect(self._complain)
        start_work(task)

    def _review(self, sampled: bool) -> None:
        from ..review.edits import require_reviewable
        from ..review.loading import reading

        figures = self.dock.figures
        if figures.layer is None or self.dock.review.layer is not None:
            return
        try:
            require_reviewable(figures.layer)
            read = reading(figures.layer, figures.origin(), figures.filter(), sampled)
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        work = Work(tr("Reading objects"), read, silent=True)
        layer = figures.layer
        work.done.connect(lambda objects: self._begin(layer, objects, sampled))
        work.failed.connect(self._complain)
        start_work(work)

    def _begin(self, layer: QgsVectorLayer | None, objects: Objects, sampled: bool) -> None:
        from ..review.edits import ReviewEdits

        figures = self.dock.figures
        if layer is None or layer is not figures.layer or self.dock.review.layer is not None:
            return
        try:
            edits = ReviewEdits(layer, figures.origin(), objects.next_id)
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        figures.refresh_origin()
        figures.show_rejected(True)
        self.dock.review.begin(layer, edits, objects, sampled)
        self.dock.begin_review()

    def _export(self, layer_id: str, dialog: ExportDialog) -> None:
        from .export import exporting

        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is None:
            return
        load = dialog.load.isChecked()
        try:
            work = exporting(layer, dialog.path(), dialog.only_shown.isChecked(), dialog.centres.isChecked())
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        task = Work(tr("Exporting {layer}").format(layer=layer.name()), work)
        task.done.connect(lambda value: self._tell_export(*value, load))
        task.failed.connect(self._complain)
        start_work(task)

    def _count(self, layer_id: str, zones: QgsVectorLayer | None) -> None:
        from .zones import ZoneCount

        found = QgsProject.instance().mapLayer(layer_id)
        if found is None or zones is None:
            return
        count = ZoneCount(found, zones, self)
        count.done.connect(self._add)
        count.failed.connect(self._complain)
        self._zone_counts = [*self._zone_counts, count]
        count.start()

    def _add(self, layer: QgsMapLayer) -> None:
        QgsProject.instance().addMapLayer(layer)
        text = tr("'{layer}' is in the project.").format(layer=layer.name())
        self._iface.messageBar().pushMessage("Tilehawk", text, Qgis.MessageLevel.Success, MESSAGE_SECONDS)

    def _tell_export(self, path: str, count: int, load: bool) -> None:
        if load:
            self._iface.addVectorLayer(path, "", "ogr")
        text = tr("{count} objects were saved to {path}").format(count=f"{count:,}", path=path)
        self._iface.messageBar().pushMessage("Tilehawk", text, Qgis.MessageLevel.Success, MESSAGE_SECONDS)

    def _complain(self, sentence: str) -> None:
        self.dock.messages.warn(sentence)

    def _arrive(self, layer: QgsVectorLayer, looked_at: QgsGeometry | None) -> None:
        """Take note of a result that is being loaded; the rest waits until that is done."""
        QTimer.singleShot(0, partial(self._welcome, layer.id(), looked_at))

    def _welcome(self, layer_id: str, looked_at: QgsGeometry | None) -> None:
        """Show a new result, and ask what becomes of it where there is an earlier one."""
        from .merge_dialog import MergeDialog
        from .merging import earlier_result

        layer = QgsProject.instance().mapLayer(layer_id)
        if layer is None or self._arrive not in listeners:  # unloaded meanwhile
            return
        self.show(layer)
        earlier = earlier_result(layer)
        if earlier is None or self.dock.review.layer is earlier:
            return
        merge = partial(self._merge, earlier.id(), layer_id, looked_at)
        if self._merge_always:
            merge(self._merge_always)
            return
        dialog = MergeDialog(earlier.name(), self._iface.mainWindow())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowModality(Qt.WindowModality.WindowModal)

        def decide() -> None:
            if dialog.remember.isChecked():
                self._merge_always = dialog.choice
            merge(dialog.choice)

        dialog.accepted.connect(decide)
        dialog.open()

    def _merge(self, earlier_id: str, new_id: str, looked_at: QgsGeometry | None, choice: str) -> None:
        from .merge_dialog import NEW, REPLACE
        from .merging import merging

        earlier, new = (QgsProject.instance().mapLayer(each) for each in (earlier_id, new_id))
        if choice == NEW or earlier is None or new is None:
            return
        try:
            work = Work(tr("Merging results"), merging(earlier, new, looked_at, choice == REPLACE))
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        work.done.connect(partial(self._show_merged, earlier_id, new_id))
        work.failed.connect(self._complain)
        start_work(work)

    def _show_merged(self, earlier_id: str, new_id: str, changes: Changes) -> None:
        from .merging import apply_changes

        earlier, new = (QgsProject.instance().mapLayer(each) for each in (earlier_id, new_id))
        if earlier is None:
            return
        try:
            merged = apply_changes(earlier, changes)
        except TilehawkError as problem:
            self._complain(tr_core(problem))
            return
        self.show(earlier)
        if new is not None:
            QgsProject.instance().removeMapLayer(new_id)
        earlier.reload()
        earlier.updateExtents()
        earlier.triggerRepaint()
        self._iface.setActiveLayer(earlier)
        self.dock.show_layer(earlier)
        self.dock.figures.count()
        text = tr("'{layer}': {updated} objects found again, {added} added, {deleted} removed.").format(
            layer=earlier.name(), updated=merged.updated, added=merged.added, deleted=merged.deleted
        )
        self.dock.messages.tell(text, MESSAGE_SECONDS)

    def _follow(self, layer: QgsMapLayer | None) -> None:
        if self.dock is not None and self.dock.isVisible() and origin_of(layer) is not None:
            self.dock.show_layer(layer)

    def _let_go(self, layer_ids: list[str]) -> None:
        """End a review whose layer is about to go."""
        if self.dock is not None and self.dock.review.layer is not None and self.dock.review.layer.id() in layer_ids:
            self.dock.review.end()
            self.dock.end_review()
