"""Detections that run in the background of the desktop, each outliving the dialog that started it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from qgis.core import (
    Qgis,
    QgsProject,
    QgsVectorLayer,
)
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QApplication, QPushButton

from ..core.job.events import Event
from .algorithm_run import AlgorithmRun
from .algorithms.preparing import prepare
from .environment_tasks import cancel_tasks
from .live_boxes import LiveBoxes
from .run_again import RunAgain
from .wording import duration, tr

ALGORITHM = "tilehawk:detect"


class DetectRun(AlgorithmRun):
    """One run of the detection algorithm.

    `crs` and `colors`: of the boxes that `found` carries; `on_map`: whether the map still shows the project it was
    started in. `output`: the file of the objects. `layer`: the result in the project, once it has ended well.
    """

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Check the parameters; raises InvalidJob with the algorithm's sentence."""
        super().__init__(ALGORITHM, parameters)
        prepared = prepare(self._algorithm, parameters, self._context)
        self.crs, self.colors = prepared.raster.crs, [known.color for known in prepared.card.classes]
        self.output = prepared.job.output
        self.on_map = True
        self.layer: QgsVectorLayer | None = None

    def outcome(self) -> str:
        """Say what was found, once its layer is there."""
        self.layer = loaded_layer(self.results["OUTPUT"])
        return tr("{found} in {duration}").format(found=self.results["FOUND"], duration=duration(self.seconds))


class DetectRuns(QObject):
    """All runs that the desktop has started: keeps each while it runs, and says in the message bar how it ended.

    Boxes show on the map as they are found, until the result is loaded. `loaded` carries the layer of a run that ended
    well, `review_asked` and `export_asked` that of the button pressed in the message bar.
    """

    loaded = pyqtSignal(object)
    review_asked = pyqtSignal(object)
    export_asked = pyqtSignal(object)

    def __init__(self, iface: QgisInterface) -> None:
        super().__init__()
        self._iface = iface
        self._runs: list[DetectRun] = []
        self._boxes: dict[DetectRun, LiveBoxes] = {}
        self.again = RunAgain(iface)
        QgsProject.instance().cleared.connect(self._leave_map)

    def start(self, parameters: dict[str, Any]) -> DetectRun:
        """Start a run; raises InvalidJob with a sentence."""
        run = DetectRun(parameters)
        run.found.connect(self._show_boxes)
        run.ended.connect(self._tell)
        run.start()
        self._runs = [*(known for known in self._runs if known.running), run]
        return run

    def close(self) -> None:
        """Cancel whatever runs and wait shortly for the end of it, for unloading and for QGIS's exit."""
        QgsProject.instance().cleared.disconnect(self._leave_map)
        self.again.close()
        cancel_tasks()
        running = [run for run in self._runs if run.running]
        for run in running:
            run.ended.disconnect(self._tell)
            run.found.disconnect(self._show_boxes)
            self._take_boxes_off(run)
            run.cancel()
        for run in running:
            run.wait()
        for run in self._runs:
            run.release()

    def _show_boxes(self, event: Event) -> None:
        run = self.sender()
        if not (run.running and run.on_map):
            return
        if run not in self._boxes:
            self._boxes[run] = LiveBoxes(self._iface.mapCanvas(), run.crs, run.colors)
        self._boxes[run].add(event["boxes"], event["scores"], event["labels"])

    def _leave_map(self) -> None:
        """Take boxes off a map that now shows another project; the runs go on."""
        for run in self._runs:
            run.on_map = False
            self._take_boxes_off(run)

    def _take_boxes_off(self, run: DetectRun) -> None:
        boxes = self._boxes.pop(run, None)
        if boxes is not None:
            boxes.remove()

    def _tell(self, ok: bool, sentence: str) -> None:
        run = self.sender()
        self._take_boxes_off(run)
        QApplication.alert(self._iface.mainWindow())  # for who works in another window meanwhile
        bar = self._iface.messageBar()
        if ok:
            if run.layer is not None:
                self.again.remember(run.layer, run.inputs)
            self._tell_success(sentence, run.layer)
        elif sentence and run.must_ask:
            bar.pushMessage("Tilehawk", sentence, Qgis.MessageLevel.Warning, 10)
        elif sentence:
            bar.pushMessage("Tilehawk", sentence, Qgis.MessageLevel.Critical, 0)
        else:
            bar.pushMessage("Tilehawk", tr("Detection cancelled; nothing was written."), Qgis.MessageLevel.Info, 5)

    def _tell_success(self, sentence: str, layer: QgsVectorLayer | None) -> None:
        """Say what was found, with what is usually wanted next."""
        bar = self._iface.messageBar()
        item = bar.createMessage("Tilehawk", sentence)
        if layer is not None:
            self.loaded.emit(layer)
            next_steps = [
                (tr("Open table"), tr("Open the attribute table of the objects"), self._iface.showAttributeTable),
                (tr("Review…"), tr("Go from object to object and accept or reject each"), self.review_asked.emit),
                (tr("Export…"), tr("Save the objects in another format"), self._export),
            ]
            if not self.receivers(self.review_asked):
                del next_steps[1]
            for text, tooltip, act in next_steps:
                button = QPushButton(text)
                button.setToolTip(tooltip)
                button.clicked.connect(partial(_with_layer, act, layer.id()))
                item.layout().addWidget(button)
        bar.pushWidget(item, Qgis.MessageLevel.Success, 0)

    def _export(self, layer: QgsVectorLayer) -> None:
        if self.receivers(self.export_asked):
            self.export_asked.emit(layer)
        else:
            self._iface.setActiveLayer(layer)
            self._iface.actionLayerSaveAs().trigger()


def loaded_layer(uri: str) -> QgsVectorLayer | None:
    """Find the layer of the project that shows a result, whatever its filter."""
    for layer in QgsProject.instance().mapLayers().values():
        if isinstance(layer, QgsVectorLayer) and layer.source().split("|subset=")[0] == uri:
            return layer
    return None


def _with_layer(act: Callable[[QgsVectorLayer], object], layer_id: str, _: bool = False) -> None:
    """Do something with a layer, unless it has been removed meanwhile."""
    layer = QgsProject.instance().mapLayer(layer_id)
    if layer is not None:
        act(layer)
