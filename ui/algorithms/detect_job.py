"""From the values of the algorithm's parameters to a job."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingUtils,
    QgsProperty,
    QgsVariantUtils,
)

from ...core.job.card import ModelCard
from ...core.job.errors import InvalidJob, OutputError
from ...core.job.jobs import DetectJob
from ..wording import tr
from .sources import RasterSource


def detect_job(
    algorithm: QgsProcessingAlgorithm,
    values: dict[str, Any],
    context: QgsProcessingContext,
    raster: RasterSource,
    model: str,
    card: ModelCard,
) -> DetectJob:
    """Turn parameter values into a job without its area layer, whose output is checked but may be a stand-in.

    Raises a TilehawkError with a sentence.
    """

    def given(name: str) -> bool:
        value = values.get(name, algorithm.parameterDefinition(name).defaultValue())
        return not QgsVariantUtils.isNull(value) and value not in ("", [])

    def real(name: str) -> float | None:
        return algorithm.parameterAsDouble(values, name, context) if given(name) else None

    def whole(name: str) -> int | None:
        return algorithm.parameterAsInt(values, name, context) if given(name) else None

    names = algorithm.parameterAsString(values, "CLASSES", context) if given("CLASSES") else ""
    cluster = algorithm.parameterAsString(values, "CLUSTER", context).strip() if given("CLUSTER") else ""
    bands = tuple(algorithm.parameterAsInts(values, "BANDS", context)) if given("BANDS") else ()
    job = DetectJob(
        raster=raster.path,
        model=model,
        output=target_path(values.get("OUTPUT"), context),
        threshold=real("THRESHOLD"),
        score_floor=real("SCORE_FLOOR"),
        nms_overlap=real("NMS_OVERLAP"),
        tile_px=whole("TILE"),
        overlap_px=whole("OVERLAP"),
        batch_size=whole("BATCH_SIZE"),
        device=algorithm.parameterAsEnumString(values, "DEVICE", context),
        bands=bands or None,
        value_range=_value_range(algorithm, values, context) if given("VALUE_RANGE") else None,
        extent=_extent(algorithm, values, context, raster) if given("EXTENT") else None,
        resolution_m=_resolution(algorithm.parameterAsString(values, "RESOLUTION", context)),
        cluster=cluster or None,
        classes=tuple(card.classes[card.label(name)].name for name in _listed(names)) or None,
    )
    job.validate()
    refuse_open_target(job.output, context)
    return job


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _value_range(
    algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext
) -> tuple[float, float] | None:
    pair = algorithm.parameterAsRange(values, "VALUE_RANGE", context)
    missing = [math.isnan(value) for value in pair]  # Processing says NaN for a side left out
    if all(missing):
        return None
    if any(missing):
        raise InvalidJob(tr("The value range needs both its low and its high value."))
    return (pair[0], pair[1])


def _extent(
    algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext, raster: RasterSource
) -> tuple[float, float, float, float] | None:
    extent = algorithm.parameterAsExtent(values, "EXTENT", context, raster.crs)
    if extent.isNull():
        return None
    if not extent.intersects(raster.extent):
        raise InvalidJob(tr("The extent lies outside the raster '{name}'.").format(name=raster.name))
    return (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())


def _resolution(text: str) -> float | str | None:
    text = text.strip().lower()
    if text in ("", "model", "native"):
        return text or None
    try:
        return float(text)
    except ValueError as problem:
        raise InvalidJob(
            tr("The pixel size is a number of metres, 'model' or 'native', not '{text}'.").format(text=text)
        ) from problem


def target_path(value: Any, context: QgsProcessingContext) -> str:
    """Absolute path of a destination that a user or model has given; a stand-in for a temporary one."""
    if isinstance(value, QgsProcessingOutputLayerDefinition):
        value = value.sink
    if isinstance(value, QgsProperty):
        value = value.valueAsString(context.expressionContext(), "")[0]
    if QgsVariantUtils.isNull(value) or value in ("", QgsProcessing.TEMPORARY_OUTPUT):
        return str(Path(QgsProcessingUtils.tempFolder()) / "detections.gpkg")
    if str(value).startswith(("memory:", "ogr:", "postgis:", "postgres:")):
        raise OutputError(tr("The result is written as a file: choose a GeoPackage, not '{to}'.").format(to=value))
    return str(Path(str(value)).absolute())


def refuse_open_target(output: str, context: QgsProcessingContext) -> None:
    """Refuse a file that is open in the project; raises OutputError."""
    layers = context.project().mapLayers().values() if context.project() else ()
    for layer in layers:
        source, there = layer.source().split("|")[0], Path(output).exists()
        holds = there and output in source  # as GPKG:output:raster does
        if holds or (source and there and Path(source).exists() and Path(source).samefile(output)):
            raise OutputError(
                tr(
                    "The file '{path}' is open in the project as '{name}'. Choose another name, or remove that layer."
                ).format(path=output, name=layer.name())
            )
