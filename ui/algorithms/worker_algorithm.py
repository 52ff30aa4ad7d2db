"""What algorithms that run a job in the worker have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingUtils,
    QgsVariantUtils,
)
from qgis.PyQt.QtGui import QIcon

from ...core.job.errors import Cancelled, TilehawkError
from ...core.job.jobs import Job
from ..branding import help_url, icon
from ..environment import find_python, open_worker
from ..settings import read_settings
from ..told import tr_core
from ..wording import tr
from .reporting import FeedbackReport


@dataclass(frozen=True)
class Words:
    """What the toolbox says of an algorithm; `tags`: words that find it, with commas between them."""

    title: str
    tags: str
    short: str
    help: str


class WorkerAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that takes its layers in `take`, in the thread they belong to, and works in another process."""

    identifier = ""  # within the provider
    group_id = ""  # 'detection' or 'training'
    help_page = "index"  # of resources/help
    icon_name = "tilehawk"
    python = ""  # of the worker, once it is known

    def words(self) -> Words:
        """What the toolbox says of it, in the user's language."""
        raise NotImplementedError

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        raise NotImplementedError

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        raise NotImplementedError

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take what the run needs from parameters, layers and settings; raises a TilehawkError with a sentence."""
        raise NotImplementedError

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Do what is to be done with what was taken; raises a TilehawkError with a sentence, or Cancelled."""
        raise NotImplementedError

    def cancelled(self) -> str:
        """Say what came of a run that was cancelled."""
        return tr("Cancelled: nothing was written.")

    def createInstance(self) -> WorkerAlgorithm:
        """Make another one, for a run of its own."""
        return type(self)()

    def name(self) -> str:
        """Identifier within the provider."""
        return self.identifier

    def displayName(self) -> str:
        """Name in the toolbox."""
        return self.words().title

    def group(self) -> str:
        """Group in the toolbox."""
        return {"detection": tr("Detection"), "training": tr("Training")}[self.group_id]

    def groupId(self) -> str:
        """Identifier of the group."""
        return self.group_id

    def tags(self) -> list[str]:
        """Words that find it in the toolbox."""
        return self.words().tags.split(",")

    def shortDescription(self) -> str:
        """Tool tip in the toolbox."""
        return self.words().short

    def shortHelpString(self) -> str:
        """Text beside the parameters."""
        return self.words().help

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return icon(self.icon_name)

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Define parameters and outputs; called by QGIS."""
        for parameter in self.parameters():
            self.addParameter(parameter)
        for output in self.outputs():
            self.addOutput(output)

    def flags(self) -> Qgis.ProcessingAlgorithmFlags:
        """Runs in the background and can be cancelled."""
        return super().flags() | Qgis.ProcessingAlgorithmFlag.CanCancel

    def helpUrl(self) -> str:
        """Page with more help."""
        return help_url(self.help_page).toString()

    def canExecute(self) -> tuple[bool, str]:
        """Say whether there is a Python environment to run in."""
        try:
            find_python(read_settings())
        except TilehawkError as problem:
            return False, tr_core(problem)
        return True, ""

    def checkParameterValues(self, values: dict[str, Any], context: QgsProcessingContext) -> tuple[bool, str]:
        """Check everything that can be checked before the run; the sentence is the one the shell gives too."""
        ok, sentence = super().checkParameterValues(values, context)
        if ok:
            try:
                self._take(values, context)
            except TilehawkError as problem:
                return False, tr_core(problem)
        return ok, sentence

    def prepareAlgorithm(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Take layers and settings while in the thread they belong to."""
        try:
            self._take(values, context)
        except TilehawkError as problem:
            raise QgsProcessingException(tr_core(problem)) from problem
        return True

    def processAlgorithm(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Work; give nothing when cancelled."""
        try:
            return self.work(values, context, feedback)
        except Cancelled:
            feedback.pushInfo(self.cancelled())
            return {}
        except TilehawkError as problem:
            sentence = tr_core(problem)
        # out here, as QGIS keeps the error: frames below would keep layers and providers, which must not outlive QGIS
        raise QgsProcessingException(sentence)

    def run_job(self, job: Job, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        """Run a job in a worker of its own; raises what it failed with, or Cancelled."""
        with open_worker(self.python) as worker:
            stopped = partial(getattr, feedback, "stop_asked", False)
            return worker.run(job, FeedbackReport(feedback), feedback.isCanceled, stopped)

    def scratch(self, name: str) -> Path:
        """Name a temporary file."""
        return Path(QgsProcessingUtils.generateTempFilename(name))

    def given(self, values: dict[str, Any], name: str) -> bool:
        """Say whether a parameter has a value, its own or its default."""
        value = values.get(name, self.parameterDefinition(name).defaultValue())
        return not QgsVariantUtils.isNull(value) and value not in ("", [])

    def text(self, values: dict[str, Any], name: str, context: QgsProcessingContext) -> str | None:
        """Text of a parameter, None where there is none."""
        return self.parameterAsString(values, name, context).strip() or None if self.given(values, name) else None

    def real(self, values: dict[str, Any], name: str, context: QgsProcessingContext) -> float | None:
        """Number of a parameter, None where there is none."""
        return self.parameterAsDouble(values, name, context) if self.given(values, name) else None

    def whole(self, values: dict[str, Any], name: str, context: QgsProcessingContext) -> int | None:
        """Whole number of a parameter, None where there is none."""
        return self.parameterAsInt(values, name, context) if self.given(values, name) else None

    def _take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        self.python = find_python(read_settings())
        self.take(values, context)
