"""Detection as a Processing algorithm: for the toolbox, models, batches, scripts, qgis_process and the dialog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
)

from ...core.job.errors import Cancelled, CannotResume, TilehawkError
from ...core.job.jobs import DetectJob
from ...core.job.unfinished import partial_record
from ..told import tr_core
from ..wording import counted, duration, tr
from .detect_parameters import parameters
from .loading import area_of, layer_uri, load_results
from .preparing import make_files, prepare
from .reporting import LiveFeedback
from .worker_algorithm import Words, WorkerAlgorithm


class DetectAlgorithm(WorkerAlgorithm):
    """Finds the objects a model knows on one raster and writes them as boxes."""

    identifier, group_id = "detect", "detection"
    help_page = "detect"

    def words(self) -> Words:
        """What the toolbox says of it."""
        return Words(
            title=tr("Detect objects"),
            tags=tr(
                "find,count,object detection,deep learning,retinanet,ai,machine learning,imagery,boxes,pools,trees,cars"
            ),
            short=tr(
                "Finds objects on aerial and satellite images and writes them as boxes with class and confidence."
            ),
            help=tr(
                "<p>Finds the objects that a model knows, such as swimming pools, on a raster of any size, and writes "
                "them as boxes with their class, confidence (0 to 1) and area in square metres.</p>"
                "<p>Everything that matters comes from the model: which bands, pixel size, tile and threshold. A "
                "raster of another pixel size is resampled while it is read.</p>"
                "<p>The result holds everything above a low confidence, and its layer is filtered at the threshold: to "
                "see more or fewer objects, change the layer's filter instead of running again. Ground that was not "
                "examined (no data) is written as polygons of its own.</p>"
                "<p>Detection runs in a Python environment of its own: Settings &gt; Options &gt; Tilehawk.</p>"
            ),
        )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        return parameters()

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        return [
            QgsProcessingOutputNumber("OBJECT_COUNT", tr("Objects at or above the threshold")),
            QgsProcessingOutputNumber("THRESHOLD_USED", tr("Threshold used")),
            QgsProcessingOutputNumber("NOT_EXAMINED_AREA", tr("Area not examined (m²)")),
            QgsProcessingOutputNumber("SECONDS", tr("Duration (s)")),
            QgsProcessingOutputString("FOUND", tr("What was found, in words")),
        ]

    def checkParameterValues(self, values: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        """Check everything that can be checked before the run, and keep nothing of it."""
        try:
            return super().checkParameterValues(values, context)
        finally:
            self._prepared = None  # it may hold a copy of the raster's provider, which must not outlive QGIS

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings while in the thread they belong to."""
        self._prepared = prepare(self, values, context)

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job; the layers show at the end."""
        target = self.parameterAsOutputLayer(values, "OUTPUT", context)
        prepared, self._prepared = self._prepared, None
        files = make_files(prepared, feedback, target)
        try:
            job = replace(files.job, output=str(Path(target).absolute()))
            resumed = self.parameterAsBool(values, "RESUME", context) and partial_record(job.output) is not None
            result = self._detect(replace(job, resume=resumed), feedback, files.plan is None)
            looked_at = area_of(job)
            picture, files = files.picture, replace(files, picture="")  # it stays now
        finally:
            files.delete()
        if picture:
            feedback.pushInfo(
                tr("The picture that was looked at is kept beside the result: {path} ({n} MB).").format(
                    path=picture, n=f"{Path(picture).stat().st_size / 1e6:,.1f}"
                )
            )
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

    def _detect(self, job: DetectJob, feedback: QgsProcessingFeedback, lasting: bool) -> dict[str, Any]:
        """Run the job, from where it was broken off if it was; `lasting`: its raster will be there another time."""
        try:
            try:
                return self.run_job(job, feedback)
            except CannotResume:  # something was changed since: what was found then is of no use for this run
                if isinstance(feedback, LiveFeedback):  # but its user may want to go on with that one
                    feedback.must_ask = True
                    raise
                return self.run_job(replace(job, resume=False), feedback)
        except (Cancelled, CannotResume):
            raise
        except TilehawkError as problem:
            temporary = Path(QgsProcessingUtils.tempFolder()) in Path(job.output).parents
            if temporary or not lasting or partial_record(job.output) is None:
                raise
            kept = tr("What was found so far is kept: start the same run again, and it goes on from there.")
            raise type(problem)(f"{tr_core(problem)} {kept}") from problem
