"""Detection as a Processing algorithm: for the toolbox, models, batches, scripts, qgis_process and the dialog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)

from ...core.job.errors import Cancelled, TilehawkError
from ..environment import open_worker
from ..told import tr_core
from ..wording import counted, duration, tr
from .detect_parameters import parameters
from .loading import area_of, layer_uri, load_results
from .preparing import make_files, prepare
from .reporting import FeedbackReport
from .worker_algorithm import WorkerAlgorithm


class DetectAlgorithm(WorkerAlgorithm):
    """Finds the objects a model knows on one raster and writes them as boxes."""

    help_page = "detect"

    def name(self) -> str:
        """Identifier within the provider."""
        return "detect"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Detect objects")

    def group(self) -> str:
        """Group in the toolbox."""
        return tr("Detection")

    def groupId(self) -> str:
        """Identifier of the group."""
        return "detection"

    def tags(self) -> list[str]:
        """Words that find it in the toolbox."""
        words = tr(
            "find,count,object detection,deep learning,retinanet,ai,machine learning,imagery,boxes,pools,trees,cars"
        )
        return words.split(",")

    def shortDescription(self) -> str:
        """Tool tip in the toolbox."""
        return tr("Finds objects on aerial and satellite images and writes them as boxes with class and confidence.")

    def shortHelpString(self) -> str:
        """Text beside the parameters."""
        return tr(
            "<p>Finds the objects that a model knows, such as swimming pools, on a raster of any size, and writes them "
            "as boxes with their class, confidence (0 to 1) and area in square metres.</p>"
            "<p>Everything that matters comes from the model: which bands, pixel size, tile and threshold. A raster of "
            "another pixel size is resampled while it is read.</p>"
            "<p>The result holds everything above a low confidence, and its layer is filtered at the threshold: to see "
            "more or fewer objects, change the layer's filter instead of running again. Ground that was not examined "
            "(no data) is written as polygons of its own.</p>"
            "<p>Detection runs in a Python environment of its own: Settings &gt; Options &gt; Tilehawk.</p>"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Define parameters and outputs."""
        for parameter in parameters():
            self.addParameter(parameter)
        for name, description in (
            ("OBJECT_COUNT", tr("Objects at or above the threshold")),
            ("THRESHOLD_USED", tr("Threshold used")),
            ("NOT_EXAMINED_AREA", tr("Area not examined (m²)")),
            ("SECONDS", tr("Duration (s)")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, description))
        self.addOutput(QgsProcessingOutputString("FOUND", tr("What was found, in words")))

    def checkParameterValues(self, values: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        """Check everything that can be checked before the run, and keep nothing of it."""
        try:
            return super().checkParameterValues(values, context)
        finally:
            self._prepared = None  # it may hold a copy of the raster's provider, which must not outlive QGIS

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings while in the thread they belong to."""
        self._prepared = prepare(self, values, context)

    def processAlgorithm(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job in a worker; give nothing when cancelled."""
        target = self.parameterAsOutputLayer(values, "OUTPUT", context)
        try:
            return self._run(target, context, feedback)
        except Cancelled:
            feedback.pushInfo(tr("Cancelled: nothing was written."))
            return {}
        except TilehawkError as problem:
            sentence = tr_core(problem)
        # out here, as QGIS keeps the error: frames below would keep the raster's provider, which must not outlive QGIS
        raise QgsProcessingException(sentence)

    def _run(self, target: str, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        prepared, self._prepared = self._prepared, None
        files = make_files(prepared, feedback)
        try:
            job = replace(files.job, output=str(Path(target).absolute()))
            with open_worker(prepared.python) as worker:
                result = worker.run(job, FeedbackReport(feedback), feedback.isCanceled)
            looked_at = area_of(job)
        finally:
            files.delete()
        found = counted(result["objects"])
        feedback.pushInfo(
            tr("{found} in {duration}, on {device}.").format(
                found=found, duration=duration(result["seconds"]), device=tr_core(result["device"])
            )
        )
        unnamed = self.parameterDefinition("OUTPUT").description()
        raster = replace(prepared.raster, provider=None)  # the stylers are kept
        load_results(context, target, result, prepared.card, raster, unnamed, looked_at)
        return {
            "OUTPUT": layer_uri(result, "detections"),
            "OBJECT_COUNT": sum(result["objects"].values()),
            "THRESHOLD_USED": result["threshold"],
            "NOT_EXAMINED_AREA": result["not_examined_m2"],
            "SECONDS": result["seconds"],
            "FOUND": found,
        }
