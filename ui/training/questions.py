"""What the Train dialog asks its warm worker: a survey of the labels, and what augmentation makes of one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProcessingContext, QgsProcessingUtils

from ...core.job.jobs import Job
from ...core.job.train_job import AugmentJob, SurveyJob, TrainJob
from ..algorithms.reporting import QuietFeedback
from ..algorithms.train_job import prepare_training
from ..warm_worker import Asked, MakeJob


def survey_question(
    algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext
) -> MakeJob:
    """Take what a survey needs; raises a TilehawkError where the training would be refused at once."""
    return _question(algorithm, values, context, SurveyJob)


def augment_question(
    algorithm: QgsProcessingAlgorithm,
    values: dict[str, Any],
    context: QgsProcessingContext,
    versions: int,
    place: float,
) -> MakeJob:
    """Take what a look at augmented samples needs; as `survey_question`, and of the job the same numbers."""
    return _question(algorithm, values, context, partial(AugmentJob, versions=versions, place=place))


def _question(
    algorithm: QgsProcessingAlgorithm,
    values: dict[str, Any],
    context: QgsProcessingContext,
    about: Callable[[TrainJob], Job],
) -> MakeJob:
    prepared = prepare_training(algorithm, values, context)
    folder = Path(QgsProcessingUtils.generateTempFilename("survey"))

    def make(given_up: Callable[[], bool]) -> Asked:
        folder.mkdir(parents=True, exist_ok=True)
        job = prepared.make_job(folder / "model.safetensors", QuietFeedback(given_up))
        return Asked(about(job), lambda facts: facts, partial(shutil.rmtree, folder, ignore_errors=True))

    return make
