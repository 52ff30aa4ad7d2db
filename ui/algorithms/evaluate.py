"""Accuracy as a Processing algorithm: a layer of detections against a layer of true objects."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSink,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QMetaType

from ...core.job.errors import InvalidJob
from ...core.job.label_jobs import EvaluateJob
from ..translation import language_of_reports
from ..wording import tr
from .definitions import DOUBLE, POLYGONS, advanced, explained, field, number
from .layer_files import LayerFile
from .sources import raster_source
from .worker_algorithm import Words, WorkerAlgorithm

SHARES = {"Precision": "precision", "Recall": "recall", "F1_Score": "f1", "AP": "average_precision"}
COUNTS = {
    "True_Positive": "true_positives",
    "False_Positive": "false_positives",
    "False_Negative": "false_negatives",
}


class EvaluateAlgorithm(WorkerAlgorithm):
    """Compares detections with true objects, by class and overall: a table and a report."""

    identifier, group_id = "evaluate", "detection"
    help_page = "results#accuracy"

    def words(self) -> Words:
        """What the toolbox says of it."""
        return Words(
            title=tr("Compute accuracy"),
            tags=tr(
                "accuracy assessment,evaluate,validation,precision,recall,F1,average precision,AP,mAP,IoU,truth,"
                "object detection,confusion"
            ),
            short=tr("Compares detections with true objects: precision, recall, F1 and AP by class, and a report."),
            help=tr(
                "<p>Tells how good detections are, by a layer of the objects that are truly there.</p>"
                "<p>A detection is right where it overlaps a true object of its class by at least the least overlap: "
                "the area that both boxes share, divided by the area that both cover (IoU). Each object is found once; "
                "what is left over is wrong, or missed.</p>"
                "<p>Precision is the share of detections that are right, recall the share of objects that were found, "
                "F1 combines both. AP, the average precision, judges all confidences at once; use a layer of "
                "detections without a filter for it. Every figure in the table stands beside its IoU.</p>"
                "<p>Give the area in which you have drawn <b>every</b> object, if that is not everywhere: detections "
                "outside of it would count as wrong.</p>"
                "<p>The report is a page with curves and tables and, where a raster is given, with pictures of "
                "samples, of the worst misses and of the worst false finds.</p>"
            ),
        )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        return _parameters()

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        return [
            QgsProcessingOutputNumber("PRECISION", tr("Precision over all classes")),
            QgsProcessingOutputNumber("RECALL", tr("Recall over all classes")),
            QgsProcessingOutputNumber("F1", tr("F1 over all classes")),
            QgsProcessingOutputNumber("AP", tr("Average precision, mean of the classes")),
            QgsProcessingOutputNumber("THRESHOLD_USED", tr("Threshold used")),
            QgsProcessingOutputString("FOUND", tr("How good the detections are, in words")),
        ]

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job, and write its table."""
        page = self.parameterAsFileOutput(values, "REPORT", context)
        job = replace(self._job, output=str(Path(page).absolute()) if page else "")
        job = self._with_layers(job, feedback)
        job.validate()
        result = self.run_job(job, feedback)
        table = self._write_table(values, context, result)
        overall = result["overall"]
        found = tr("F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f} at IoU {iou:g}, score {threshold:.2f}")
        found = found.format(iou=result["iou"], threshold=result["threshold"], **overall)
        feedback.pushInfo(found)
        return {
            "OUTPUT": table,
            **({"REPORT": result["output"]} if result["output"] else {}),
            "PRECISION": overall["precision"],
            "RECALL": overall["recall"],
            "F1": overall["f1"],
            "AP": overall["average_precision"],
            "THRESHOLD_USED": result["threshold"],
            "FOUND": found,
        }

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings; the layers' files are made in the run."""
        self._detected = LayerFile(self, values, "DETECTED", context)
        self._truth = LayerFile(self, values, "TRUTH", context)
        self._area = LayerFile(self, values, "AREA", context)
        if not (self._detected.given and self._truth.given):
            raise InvalidJob(tr("Choose a layer of detections and a layer of true objects."))
        raster = self.parameterAsRasterLayer(values, "RASTER", context) if self.given(values, "RASTER") else None
        path = None if raster is None else raster_source(raster).path
        if path is not None and path.startswith("/vsimem/"):
            raise InvalidJob(
                tr("The pictures of the report need a raster that is a file. Leave the raster out, or save it first.")
            )
        self._job = EvaluateJob(
            detections="",
            truth="",
            raster=path,
            iou=self.parameterAsDouble(values, "MIN_IOU", context),
            threshold=self.real(values, "THRESHOLD", context),
            class_field=self.text(values, "DETECTED_CLASS_FIELD", context),
            truth_class_field=self.text(values, "TRUTH_CLASS_FIELD", context),
            score_field=self.text(values, "SCORE_FIELD", context),
            language=language_of_reports(),
        )
        here = __file__  # layers are written in the run: until then any file stands for them
        replace(self._job, detections=here, truth=here).validate()

    def _with_layers(self, job: EvaluateJob, feedback: QgsProcessingFeedback) -> EvaluateJob:
        job = replace(
            job,
            detections=self._detected.path(self.scratch("detections.gpkg"), feedback),
            truth=self._truth.path(self.scratch("truth.gpkg"), feedback),
        )
        return replace(job, area=self._area.path(self.scratch("area.gpkg"), feedback)) if self._area.given else job

    def _write_table(self, values: dict[str, Any], context: QgsProcessingContext, result: dict[str, Any]) -> str:
        fields = QgsFields()
        fields.append(QgsField("Class", QMetaType.Type.QString))
        for name in (*SHARES, "IoU", "Threshold"):
            fields.append(QgsField(name, QMetaType.Type.Double))
        for name in COUNTS:
            fields.append(QgsField(name, QMetaType.Type.Int))
        sink, target = self.parameterAsSink(
            values, "OUTPUT", context, fields, Qgis.WkbType.NoGeometry, QgsCoordinateReferenceSystem()
        )
        if sink is None:
            raise QgsProcessingException(self.invalidSinkError(values, "OUTPUT"))
        rows = {**result["classes"], tr("All classes"): result["overall"]}
        for name, figures in rows.items():
            feature = QgsFeature(fields)
            feature["Class"] = name
            feature["IoU"], feature["Threshold"] = result["iou"], result["threshold"]
            for column, key in {**SHARES, **COUNTS}.items():
                feature[column] = figures[key]
            sink.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
        del sink  # closes the file
        return target


def _parameters() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            QgsProcessingParameterFeatureSource("DETECTED", tr("Detections")),
            tr("Layer of detected objects, such as Detect objects writes; a filter on it counts."),
        ),
        explained(
            QgsProcessingParameterFeatureSource("TRUTH", tr("True objects")),
            tr("Layer of the objects that are there, drawn or checked by a person, in any coordinate system."),
        ),
        explained(
            field("DETECTED_CLASS_FIELD", tr("Class field of the detections"), "DETECTED"),
            tr("Field that says what a detection is. Left out: found by its name, such as class or label."),
        ),
        explained(
            field("TRUTH_CLASS_FIELD", tr("Class field of the true objects"), "TRUTH"),
            tr(
                "Field that says what an object is, in the words of the detections, whatever the case. Left out: found "
                "by its name; where there is none, all objects are of one class."
            ),
        ),
        explained(
            number("MIN_IOU", tr("Least overlap (IoU)"), DOUBLE, 0.01, 1, 0.5),
            tr(
                "Shared area over joint area from which a detection has found an object. 0.5 is usual; take 0.3 for "
                "objects of few pixels, whose boxes are hard to draw alike."
            ),
        ),
        explained(
            number("THRESHOLD", tr("Confidence threshold"), DOUBLE, 0, 1),
            tr("Detections below it do not count, from 0 to 1. Left out: the one that gives the highest F1."),
        ),
        explained(
            QgsProcessingParameterFeatureSource("AREA", tr("Area of the truth"), POLYGONS, optional=True),
            tr("Polygons inside which every true object is drawn. Left out: everywhere."),
        ),
        explained(
            QgsProcessingParameterRasterLayer("RASTER", tr("Raster for pictures"), optional=True),
            tr("Image on which the objects were detected: the report shows samples, misses and false finds on it."),
        ),
        advanced(
            explained(
                field("SCORE_FIELD", tr("Confidence field"), "DETECTED", numeric=True),
                tr("Field with the confidence of a detection. Left out: found by its name, score or confidence."),
            )
        ),
        explained(
            QgsProcessingParameterFeatureSink("OUTPUT", tr("Accuracy"), Qgis.ProcessingSourceType.Vector),
            tr("Table with a row for each class and one for all of them."),
        ),
        explained(
            QgsProcessingParameterFileDestination("REPORT", tr("Report"), tr("HTML files (*.html)"), optional=True),
            tr("One page with curves, tables and pictures, to be read in any browser."),
        ),
    ]
