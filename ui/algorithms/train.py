"""Training as a Processing algorithm: for the toolbox, models, batches, scripts, qgis_process and the dialog."""

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
)

from ...core.job.comparison import in_words
from ..told import tr_core
from ..wording import duration, tr
from .train_job import model_path, prepare_training
from .train_parameters import parameters
from .worker_algorithm import Words, WorkerAlgorithm


class TrainAlgorithm(WorkerAlgorithm):
    """Learns to find objects from a raster and a layer of labels, or from folders of labelled images."""

    identifier, group_id = "train", "training"
    help_page, icon_name = "train", "train"

    def words(self) -> Words:
        """What the toolbox says of it."""
        return Words(
            title=tr("Train a model"),
            tags=tr("learn,labels,fine-tune,object detection,deep learning,retinanet,ai,machine learning"),
            short=tr("Learns from labelled objects to find others like them, and writes a model for Detect objects."),
            help=tr(
                "<p>Learns to find objects from a raster and a layer in which some of them are outlined or marked, and "
                "writes a model that <i>Detect objects</i> uses.</p>"
                "<p>Some 50 objects are a start, some hundreds make a good model. Label <b>every</b> object within an "
                "area and give that area: what is not labelled there counts as background.</p>"
                "<p>The labels are parted into blocks: the model learns from most of them, the best round and the "
                "threshold are chosen on some, and the last ones measure it. Anchors are fitted to the labels' "
                "sizes.</p>"
                "<p>Starting from a model that has seen aerial imagery needs the fewest labels and the least time. A "
                "cancelled training goes on where it was.</p>"
            ),
        )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        return parameters()

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        return [
            QgsProcessingOutputNumber("AP50", tr("Average precision at an overlap (IoU) of 0.5")),
            QgsProcessingOutputNumber("F1", tr("F1 at the model's threshold")),
            QgsProcessingOutputNumber("THRESHOLD", tr("The model's threshold")),
            QgsProcessingOutputNumber("SECONDS", tr("Duration (s)")),
            QgsProcessingOutputString("TRAINED", tr("How good the model is, in words")),
            QgsProcessingOutputString("COMPARED", tr("How good it is beside the old model, in words")),
            QgsProcessingOutputString("KEPT", tr("The old model, where it was not replaced")),
        ]

    def cancelled(self) -> str:
        """Say what came of a run that was cancelled."""
        return tr("Cancelled. The same training can be gone on with.")

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job."""
        output = model_path(self.parameterAsFileOutput(values, "OUTPUT", context))
        job = replace(self._prepared.make_job(Path(output), feedback), output=output)
        result = self.run_job(job, feedback)
        metrics = result["metrics"]
        compared = metrics.get("compared")
        trained = tr("AP50 {ap50:.2f}, F1 {f1:.2f} at threshold {threshold:.2f}, in {duration}").format(
            duration=duration(result["seconds"]), **{name: metrics[name] for name in ("ap50", "f1", "threshold")}
        )
        feedback.pushInfo(trained)
        return {
            "OUTPUT": result["output"],
            "AP50": metrics["ap50"],
            "F1": metrics["f1"],
            "THRESHOLD": metrics["threshold"],
            "SECONDS": result["seconds"],
            "TRAINED": trained,
            "COMPARED": tr_core(in_words(compared)) if compared else "",
            "KEPT": result.get("kept") or "",
        }

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings while in the thread they belong to."""
        self._prepared = prepare_training(self, values, context)
