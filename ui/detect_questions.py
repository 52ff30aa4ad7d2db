"""What the Detect dialog asks: its warm worker for a pre-flight or a try, the user whether parts may be deleted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingUtils,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..core.job.errors import InvalidJob
from ..core.job.jobs import PreflightJob
from ..core.job.unfinished import partial_record
from .algorithms.fetching import is_online, is_picture, map_units
from .algorithms.preparing import Prepared, make_files, plan_files, prepare
from .algorithms.reporting import QuietFeedback
from .warm_worker import Asked, MakeJob
from .wording import tr

TRY_PX = (1200, 800)  # of the model: some seconds on two cores


@dataclass(frozen=True)
class Tried:
    """Boxes of a try, xmin, ymin, xmax, ymax in `crs`; `cut`: only the middle of the map was looked at."""

    boxes: list[tuple[float, float, float, float]]
    scores: list[float]
    labels: list[int]
    crs: QgsCoordinateReferenceSystem
    seconds: float
    threshold: float
    cut: bool


def preflight_question(
    algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext
) -> MakeJob:
    """Take what a pre-flight needs; raises a TilehawkError where the run would be refused at once."""
    prepared = prepare(algorithm, values, context)

    def make(given_up: Callable[[], bool]) -> Asked:
        files = plan_files(prepared, QuietFeedback(given_up))
        fetch = {}
        if files.plan is not None:
            provider, plan = prepared.raster.provider, files.plan
            size = {"width": plan.width, "height": plan.height, "bytes": plan.download_bytes}
            fetch = {**size, "online": is_online(provider), "drawn": is_picture(provider)}

        def answer(facts: dict[str, Any]) -> dict[str, Any]:
            return {**facts, "fetch": fetch} if fetch else facts

        return Asked(PreflightJob(files.job), answer, files.delete)

    return make


def try_question(
    algorithm: QgsProcessingAlgorithm,
    values: dict[str, Any],
    context: QgsProcessingContext,
    visible: QgsReferencedRectangle,
) -> MakeJob:
    """Take what a try needs; raises a TilehawkError where there is nothing to look at."""
    whole = {name: value for name, value in values.items() if name not in ("EXTENT", "MASK", "OUTPUT")}
    prepared = prepare(algorithm, whole, context)
    extent, cut = try_extent(prepared, visible)
    corners = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    output = QgsProcessingUtils.generateTempFilename("try.gpkg")
    asked = replace(prepared, job=replace(prepared.job, extent=corners, output=output, cluster=None))

    def make(given_up: Callable[[], bool]) -> Asked:
        files = make_files(asked, QuietFeedback(given_up))

        def tidy() -> None:
            files.delete()
            _delete(output)

        return Asked(files.job, lambda result: _read(result, asked, cut), tidy)

    return make


def begins_anew(algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext) -> str:
    """File of the objects whose parts, left by an earlier run, a run with these values deletes; empty where none are.

    Whether it can go on from them is known to the worker alone: such a run is given up, and `must_ask`. Raises a
    TilehawkError where the run would be refused at once.
    """
    prepared = prepare(algorithm, values, context)
    goes_on = algorithm.parameterAsBool(values, "RESUME", context) and prepared.raster.provider is None
    left = not goes_on and partial_record(prepared.job.output) is not None
    return prepared.job.output if left else ""


def may_begin_anew(output: str, parent: QWidget) -> bool:
    """Ask whether the parts that an earlier run has left for `output` may be deleted."""
    box = QMessageBox(parent)
    box.setObjectName("tilehawkBeginAnew")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle(tr("An earlier run was broken off"))
    box.setText(
        tr("What an earlier run had found for '{name}' until it was broken off is kept, perhaps hours of work.").format(
            name=Path(output).name
        )
    )
    box.setInformativeText(
        tr(
            "This run does not go on from there. Beginning anew deletes it. To keep it, go back and choose another "
            "name for the result, or repeat the earlier run as it was."
        )
    )
    anew = box.addButton(tr("Begin anew"), QMessageBox.ButtonRole.DestructiveRole)
    anew.setToolTip(tr("Delete what the earlier run had found, and look at everything"))
    back = box.addButton(tr("Go back"), QMessageBox.ButtonRole.RejectRole)
    back.setToolTip(tr("Start nothing and delete nothing"))
    box.setDefaultButton(back)
    box.setEscapeButton(back)
    box.exec()
    return box.clickedButton() is anew


def try_extent(prepared: Prepared, visible: QgsReferencedRectangle) -> tuple[QgsRectangle, bool]:
    """What of the raster the map shows, in the raster's coordinates; its middle where that is more than a try's.

    Raises InvalidJob where the map does not show the raster.
    """
    raster = prepared.raster
    transform = QgsCoordinateTransform(visible.crs(), raster.crs, prepared.transforms)
    try:
        shown = transform.transformBoundingBox(QgsRectangle(visible))
    except QgsCsException as problem:
        raise InvalidJob(tr("What the map shows lies too far from '{name}'.").format(name=raster.name)) from problem
    shown = shown.intersect(raster.extent)
    if shown.isEmpty():
        raise InvalidJob(
            tr("The map does not show '{name}'. Zoom to a part of it that you know.").format(name=raster.name)
        )
    pixel = map_units(raster.crs, shown, prepared.card.resolution_m, prepared.transforms) or raster.pixel
    most = [side * pixel for side in TRY_PX]
    width, height = min(shown.width(), most[0]), min(shown.height(), most[1])
    cut = width < shown.width() * 0.999 or height < shown.height() * 0.999
    return QgsRectangle.fromCenterAndSize(shown.center(), width, height), cut


def _read(result: dict[str, Any], prepared: Prepared, cut: bool) -> Tried:
    """Read the boxes of a result."""
    layer = QgsVectorLayer(f"{result['output']}|layername=detections")
    boxes, scores, labels = [], [], []
    for feature in layer.getFeatures():
        box = feature.geometry().boundingBox()
        boxes.append((box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()))
        scores.append(float(feature["score"]))
        labels.append(prepared.card.label(feature["class"]))
    crs = prepared.raster.crs
    return Tried(boxes, scores, labels, crs, result["seconds"], result["threshold"], cut)


def _delete(geopackage: str) -> None:
    for suffix in ("", "-wal", "-shm"):
        with suppress(OSError):
            Path(geopackage + suffix).unlink()
