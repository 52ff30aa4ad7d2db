"""What algorithms that run a job in the worker have in common."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsVariantUtils,
)
from qgis.PyQt.QtGui import QIcon

from ...core.job.errors import TilehawkError
from ..branding import help_url, icon
from ..environment import find_python
from ..settings import read_settings
from ..told import tr_core


class WorkerAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that takes its layers in `take`, in the thread they belong to, and works in another process."""

    help_page = "index"  # of resources/help

    def createInstance(self) -> WorkerAlgorithm:
        """Make another one, for a run of its own."""
        return type(self)()

    def icon(self) -> QIcon:
        """Icon in the toolbox."""
        return icon()

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
                self.take(values, context)
            except TilehawkError as problem:
                return False, tr_core(problem)
        return ok, sentence

    def prepareAlgorithm(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Take layers and settings while in the thread they belong to."""
        try:
            self.take(values, context)
        except TilehawkError as problem:
            raise QgsProcessingException(tr_core(problem)) from problem
        return True

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take what the run needs from parameters, layers and settings; raises a TilehawkError with a sentence."""
        raise NotImplementedError

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
