"""What of a raster layer is looked at: its own pixels, or what the map shows of it or of its group."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
)

from ...core.job.errors import InvalidJob
from ..wording import tr
from .definitions import explained
from .sources import RasterSource, drawn_source, group_source, raster_source

VIEWS = OWN_PIXELS, AS_SHOWN, GROUP = ("own pixels", "as shown", "group as shown")  # values of VIEW, in this order


def view() -> QgsProcessingParameterDefinition:
    """Define what to look at."""
    options = [
        tr("The layer's own pixels"),
        tr("The layer as it is shown on the map"),
        tr("Its group, as it is shown on the map"),
    ]
    return explained(
        QgsProcessingParameterEnum("VIEW", tr("Look at"), options, defaultValue=VIEWS.index(OWN_PIXELS)),
        tr(
            "As shown: with the layer's style, such as its stretch, colours or shading. Its group: all rasters "
            "that are switched on in the layer's group, as one picture. What is shown is drawn to a file first."
        ),
    )


def input_raster(
    algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext
) -> RasterSource:
    """Take INPUT, as VIEW says; call it in the thread of `context`. Raises a TilehawkError with a sentence."""
    layer = algorithm.parameterAsRasterLayer(values, "INPUT", context)
    chosen = VIEWS[algorithm.parameterAsEnum(values, "VIEW", context)]
    if layer is None or not layer.isValid():
        raise InvalidJob(tr("Choose a raster to look at."))
    if chosen == OWN_PIXELS:
        return raster_source(layer)
    for name in ("BANDS", "VALUE_RANGE"):
        if values.get(name) not in (None, "", []):
            raise InvalidJob(
                tr("'{name}' counts for the layer's own pixels: leave it empty, or do not look at it as shown.").format(
                    name=algorithm.parameterDefinition(name).description()
                )
            )
    transforms = context.transformContext()
    if chosen == AS_SHOWN:
        return drawn_source(layer, transforms)
    return group_source(layer, context.project(), transforms)
