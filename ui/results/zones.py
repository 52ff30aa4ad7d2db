"""Counting the objects shown in each polygon of a layer, with Processing's own algorithms in the background."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsExpression,
    QgsPalLayerSettings,
    QgsProcessing,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsProject,
    QgsTask,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal

from ..layers import shown_classes
from ..wording import tr

MOST_CLASSES = 12
Step = tuple[str, dict[str, Any]]


class ZoneCount(QObject):
    """Counts the objects of a result layer in the polygons of another: all together, and by class where there are more.

    An object belongs to the zone of its centre. `done` brings the layer with the counts, `failed` a sentence. It owns
    the context and the feedback that the tasks use, and never touches a task again.
    """

    done = pyqtSignal(object)
    failed = pyqtSignal(str)

    def __init__(self, found: QgsVectorLayer, zones: QgsVectorLayer, parent: QObject | None = None) -> None:
        """Take what is shown of `found`, and all of `zones`, as they are now."""
        super().__init__(parent)
        self._context: QgsProcessingContext | None = QgsProcessingContext()
        self._context.setProject(QgsProject.instance())
        self._feedback: QgsProcessingFeedback | None = QgsProcessingFeedback(False)
        self._name = tr("{found} by {zones}").format(found=found.name(), zones=zones.name())
        self._zones: QgsVectorLayer | None = zones
        centres = QgsProcessingUtils.generateTempFilename("centres.gpkg")
        self._steps = [("native:centroids", {"INPUT": _shown(found), "ALL_PARTS": False, "OUTPUT": centres})]
        taken = {field.name().casefold() for field in zones.fields()}
        self.field = _free_name(tr("objects"), taken)
        self._steps.append(_counting(centres, self.field))
        classes = [name for name, (_, visible) in shown_classes(found).items() if visible]
        if 1 < len(classes) <= MOST_CLASSES:
            for name in classes:
                points = _filtered(centres, f'"class" = {QgsExpression.quotedString(name)}')
                self._steps.append(_counting(points, _free_name(name, taken)))

    def start(self) -> None:
        """Take the next step."""
        name, values = self._steps.pop(0)
        if "POINTS" in values:
            values["POLYGONS"] = self._zones
        self._algorithm = QgsApplication.processingRegistry().createAlgorithmById(name)
        if self._algorithm is None:
            self._end()
            self.failed.emit(
                tr("Counting by zone needs Processing. Switch it on: Plugins > Manage and Install Plugins.")
            )
            return
        flags = QgsTask.Flag.CanCancel | QgsTask.Flag.Silent
        task = QgsProcessingAlgRunnerTask(self._algorithm, values, self._context, self._feedback, flags)
        if task.isCanceled():
            self._end()
            self.failed.emit(tr("The objects could not be counted by zone."))
            return
        task.executed.connect(self._go_on)
        QgsApplication.taskManager().addTask(task)

    def cancel(self) -> None:
        """Ask it to stop; no signal follows."""
        self._steps = []
        if self._feedback is not None:
            self._feedback.cancel()

    def _go_on(self, ok: bool, results: dict[str, Any]) -> None:
        if self._feedback is None or self._feedback.isCanceled():
            self._end()
            return
        if not ok:
            why = self._feedback.textLog().strip().splitlines()[-1:]
            self._end()
            self.failed.emit(" ".join([tr("The objects could not be counted by zone."), *why]))
            return
        if self._algorithm.name() == "countpointsinpolygon":
            self._zones = self._context.takeResultLayer(results["OUTPUT"])
        if self._steps:
            QTimer.singleShot(0, self.start)  # not in the middle of the task's signal
            return
        layer = self._zones
        self._end()
        layer.setName(self._name)
        _label(layer, self.field)
        self.done.emit(layer)

    def _end(self) -> None:
        QTimer.singleShot(0, self._release)

    def _release(self) -> None:
        self._context = self._feedback = self._algorithm = self._zones = None


def _shown(layer: QgsVectorLayer) -> QgsProcessingFeatureSourceDefinition:
    """A layer as its filter and its legend show it."""
    off = [name for name, (_, visible) in shown_classes(layer).items() if not visible]
    names = ", ".join(QgsExpression.quotedString(name) for name in off)
    expression = f'"class" NOT IN ({names})' if off else ""
    return _filtered(layer.id(), expression)


def _filtered(source: str, expression: str) -> QgsProcessingFeatureSourceDefinition:
    flags, check = Qgis.ProcessingFeatureSourceDefinitionFlags(), Qgis.InvalidGeometryCheck.NoCheck
    return QgsProcessingFeatureSourceDefinition(source, False, -1, flags, check, expression)


def _counting(points: str | QgsProcessingFeatureSourceDefinition, field: str) -> Step:
    return "native:countpointsinpolygon", {"POINTS": points, "FIELD": field, "OUTPUT": QgsProcessing.TEMPORARY_OUTPUT}


def _free_name(name: str, taken: set[str]) -> str:
    """Name for a new field that no field has yet; remembers it."""
    free, number = name, 2
    while free.casefold() in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free.casefold())
    return free


def _label(layer: QgsVectorLayer, field: str) -> None:
    """Write the counts on the zones."""
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(1)
    text = QgsTextFormat()
    text.setSize(10)
    text.setBuffer(halo)
    settings = QgsPalLayerSettings()
    settings.fieldName = field
    settings.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(settings))
    layer.setLabelsEnabled(True)
    symbol = layer.renderer().symbol()
    symbol.setOpacity(0.4)
