"""Non maximum suppression as a Processing algorithm, for any layer of polygons with scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from qgis.core import (
    Qgis,
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterVectorDestination,
)

from ...core.job.errors import InvalidJob
from ...core.job.suppress_job import SuppressJob
from ..wording import tr
from .definitions import DOUBLE, POLYGONS, explained, field, number
from .detect_job import refuse_open_target, target_path
from .layer_files import LayerFile
from .worker_algorithm import Words, WorkerAlgorithm


class SuppressAlgorithm(WorkerAlgorithm):
    """Keeps of objects that cover one another the best, per class and then across classes."""

    identifier, group_id = "nonmaximumsuppression", "detection"
    help_page = "results#suppression"

    def words(self) -> Words:
        """What the toolbox says of it."""
        return Words(
            title=tr("Non maximum suppression"),
            tags=tr("nms,duplicates,overlap,detections,boxes,clean,deep learning"),
            short=tr("Removes objects that were found twice: of polygons that cover one another only the best stays."),
            help=tr(
                "<p>Removes objects that were found twice. Of polygons that overlap more than you allow, only the one "
                "with the higher score stays: first among objects of one class, then among all that are left.</p>"
                "<p>Overlap is intersection over union: 0 where two polygons do not meet, 1 where they are the same. "
                "Detections of several models or several images can be merged into one layer and cleaned so.</p>"
                "<p>What <i>Detect objects</i> writes is clean already. All fields of the layer stay.</p>"
            ),
        )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        return _parameters()

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        return [
            QgsProcessingOutputNumber("OBJECT_COUNT", tr("Objects left")),
            QgsProcessingOutputNumber("DROPPED", tr("Objects dropped for a better one of their class")),
            QgsProcessingOutputNumber("DROPPED_ACROSS", tr("Objects dropped for a better one of any class")),
            QgsProcessingOutputNumber("SECONDS", tr("Duration (s)")),
        ]

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job; its layer takes the style of the one it was made of."""
        target = self.parameterAsOutputLayer(values, "OUTPUT", context)
        copy = self.scratch("objects.gpkg")
        try:
            job = replace(self._job, layer=self._layer.path(copy, feedback), output=str(Path(target).absolute()))
            result = self.run_job(job, feedback)
        finally:
            copy.unlink(missing_ok=True)
        dropped = result["dropped"] + result["dropped_across"]
        feedback.pushInfo(
            tr("{left:,} objects left, {dropped:,} dropped.").format(left=result["objects"], dropped=dropped)
        )
        if context.willLoadLayerOnCompletion(target) and self._style is not None:
            context.layerToLoadOnCompletionDetails(target).setPostProcessor(SameStyle(self._style))
        return {
            "OUTPUT": target,
            "OBJECT_COUNT": result["objects"],
            "DROPPED": result["dropped"],
            "DROPPED_ACROSS": result["dropped_across"],
            "SECONDS": result["seconds"],
        }

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take the layer with its style, and the job as far as it is known."""
        self._layer = LayerFile(self, values, "INPUT", context)
        if not self._layer.given:
            raise InvalidJob(tr("Choose a layer of polygons."))
        layer = self.parameterAsVectorLayer(values, "INPUT", context)
        self._style = None
        if layer is not None:
            self._style = QgsMapLayerStyle()
            self._style.readFromLayer(layer)
        job = SuppressJob(
            layer=self.python,  # a file that exists stands for the layer, which may be written only in the run
            output=target_path(values.get("OUTPUT"), context),
            overlap=self.real(values, "OVERLAP", context),
            across=self.real(values, "ACROSS", context),
            class_field=self.text(values, "CLASS_FIELD", context),
            score_field=self.text(values, "SCORE_FIELD", context),
        )
        job.validate()
        refuse_open_target(job.output, context)
        self._job = job


class SameStyle(QgsProcessingLayerPostProcessorInterface):
    """Gives the loaded layer the style of the one it was made of, in the main thread.

    QGIS keeps no reference to a post-processor and an algorithm does not live long enough, so the class keeps them.
    """

    _kept: ClassVar[list[SameStyle]] = []

    def __init__(self, style: QgsMapLayerStyle) -> None:
        super().__init__()
        self._style: QgsMapLayerStyle | None = style
        SameStyle._kept = [*(kept for kept in SameStyle._kept if kept._style is not None), self]

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer; called by QGIS once it is in the project."""
        if self._style is not None:
            self._style.writeToLayer(layer)
            layer.triggerRepaint()
        self._style = None


def _parameters() -> list[QgsProcessingParameterDefinition]:
    """Make the definitions, in the order of the dialog."""
    output = QgsProcessingParameterVectorDestination(
        "OUTPUT", tr("Objects left"), Qgis.ProcessingSourceType.VectorPolygon
    )
    output.setSupportsNonFileBasedOutput(False)
    return [
        explained(
            QgsProcessingParameterFeatureSource("INPUT", tr("Objects"), POLYGONS),
            tr("Layer of polygons with a score, such as detections; its selected features only, if you wish."),
        ),
        explained(
            number("OVERLAP", tr("Largest overlap within a class"), DOUBLE, 0, 1, 0.5),
            tr(
                "Of two objects of one class whose overlap (intersection over union, 0 to 1) exceeds it, the one with "
                "the lower score is dropped. 1 keeps all."
            ),
        ),
        explained(
            number("ACROSS", tr("Largest overlap across classes"), DOUBLE, 0, 1, 0.9),
            tr("The same for objects of different classes, among those that are left by then. 1 keeps all."),
        ),
        explained(
            field("CLASS_FIELD", tr("Class field"), "INPUT"),
            tr("Field that tells the class. Left out: found by its name (class, label, category), else all are alike."),
        ),
        explained(
            field("SCORE_FIELD", tr("Score field"), "INPUT"),
            tr("Field of numbers that ranks the objects: the higher stays. Left out: score or confidence."),
        ),
        explained(output, tr("The objects that are left, with all their fields.")),
    ]
