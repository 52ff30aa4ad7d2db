"""Training as a Processing algorithm: for the toolbox, models, batches, scripts, qgis_process and the dialog."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
)
from qgis.PyQt.QtGui import QIcon

from ...core.job.errors import Cancelled, TilehawkError
from ..branding import icon
from ..environment import find_python, open_worker
from ..settings import read_settings
from ..told import tr_core
from ..wording import duration, tr
from .reporting import FeedbackReport
from .train_job import model_path, prepare_training
from .train_parameters import parameters
from .worker_algorithm import WorkerAlgorithm


class TrainAlgorithm(WorkerAlgorithm):
    """Learns to find objects from a raster and a layer of labels, or from folders of labelled images."""

    help_page = "train"

    def name(self) -> str:
        """Identifier within the provider."""
        return "train"

    def displayName(self) -> str:
        """Name in the toolbox."""
        return tr("Train a model")

    def group(self) -> str:
        """Group in the toolbox."""
        return tr("Training")

    def groupId(self) -> str:
        """Identifier of the group."""
        return "training"

    def tags(self) -> list[str]:
        """Words that find it in the toolbox."""
        return tr("learn,labels,fine-tune,object detection,deep learning,retinanet,ai,machine learning").split(",")

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return icon("train")

    def shortDescription(self) -> str:
        """Tool tip in the toolbox."""
        return tr("Learns from labelled objects to find others like them, and writes a model for Detect objects.")

    def shortHelpString(self) -> str:
        """Text beside the parameters."""
        return tr(
            "<p>Learns to find objects from a raster and a layer in which some of them are outlined or marked, and "
            "writes a model that <i>Detect objects</i> uses.</p>"
            "<p>Some 50 objects are a start, some hundreds make a good model. Label <b>every</b> object within an area "
            "and give that area: what is not labelled there counts as background.</p>"
            "<p>The labels are parted into blocks: the model learns from most of them, the best round and the "
            "threshold are chosen on some, and the last ones measure it. Anchors are fitted to the labels' sizes.</p>"
            "<p>Starting from a model that has seen aerial imagery needs the fewest labels and the least time. A "
            "cancelled training goes on where it was.</p>"
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Define parameters and outputs."""
        for parameter in parameters():
            self.addParameter(parameter)
        for name, description in (
            ("AP50", tr("Average precision at an overlap (IoU) of 0.5")),
            ("F1", tr("F1 at the model's threshold")),
            ("THRESHOLD", tr("The model's threshold")),
            ("SECONDS", tr("Duration (s)")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, description))
        self.addOutput(QgsProcessingOutputString("TRAINED", tr("How good the model is, in words")))

    def processAlgorithm(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job in a worker; give nothing when cancelled."""
        output = model_path(self.parameterAsFileOutput(values, "OUTPUT", context))
        try:
            job = replace(self._prepared.make_job(Path(output), feedback), output=output)
            with open_worker(self._python) as worker:
                stopped = partial(getattr, feedback, "stop_asked", False)
                result = worker.run(job, FeedbackReport(feedback), feedback.isCanceled, stopped)
        except Cancelled:
            feedback.pushInfo(tr("Cancelled. The same training can be gone on with."))
            return {}
        except TilehawkError as problem:
            raise QgsProcessingException(tr_core(problem)) from problem
        metrics = result["metrics"]
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
        }

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings while in the thread they belong to."""
        self._python = find_python(read_settings())
        self._prepared = prepare_training(self, values, context)
