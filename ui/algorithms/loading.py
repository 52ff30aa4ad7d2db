"""Loading a run's layers into the project, styled and named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Optional  # Python 3.9 evaluates the alias below at run time

from qgis.core import (
    QgsFeatureRequest,
    QgsGeometry,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)

from ...core.job.card import ModelCard
from ...core.job.jobs import DetectJob
from ..layers import style_detections, style_not_examined
from ..results.origin import PLACE_PROPERTY
from ..wording import tr
from .sources import RasterSource

Listener = Callable[[QgsVectorLayer, Optional[QgsGeometry]], None]  # layer, and ground looked at: None for all
listeners: list[Listener] = []  # told, in the main thread, of each layer of detections once it is in the project


class ResultStyler(QgsProcessingLayerPostProcessorInterface):
    """Styles a loaded layer, in the main thread.

    QGIS keeps no reference to a post-processor and an algorithm does not live long enough, so the class keeps them.
    """

    _kept: ClassVar[list[ResultStyler]] = []

    def __init__(
        self, card: ModelCard | None, threshold: float, raster: RasterSource, looked_at: QgsGeometry | None = None
    ) -> None:
        """`card`: None for ground not examined. Where the user has overridden the raster's CRS, the layer follows."""
        super().__init__()
        self._looked_at = looked_at
        self._card, self._threshold, self._raster = card, threshold, raster
        self._done = False
        ResultStyler._kept = [*(kept for kept in ResultStyler._kept if not kept._done), self]

    def postProcessLayer(
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        """Style the layer; called by QGIS once it is in the project."""
        self._done = True
        if self._raster.crs.isValid() and layer.crs() == self._raster.own_crs:
            layer.setCrs(self._raster.crs)
        if self._card is None:
            style_not_examined(layer)
            return
        style_detections(layer, self._card, self._threshold)
        if self._raster.place:
            layer.setCustomProperty(PLACE_PROPERTY, self._raster.place)
        project = context.project()
        node = project.layerTreeRoot().findLayer(layer.id()) if project else None
        if node is not None:
            node.setCustomProperty("showFeatureCount", True)
        if node is not None and project is QgsProject.instance():
            for listener in listeners:
                listener(layer, self._looked_at)


def load_results(
    context: QgsProcessingContext,
    target: str,
    result: dict[str, Any],
    card: ModelCard,
    raster: RasterSource,
    unnamed: str,
    looked_at: QgsGeometry | None = None,
) -> None:
    """Arrange that the layers of a result are loaded, where the caller has asked for that.

    `target` is the destination as Processing knows it, `unnamed` the name that Processing gives to a layer that its
    user has not named. `looked_at`: the area of the run, None for all of the raster. Ground that was not examined
    becomes a layer of its own, below, where there is any.
    """
    layers = context.layersToLoadOnCompletion()
    details = layers.pop(target, None)
    if details is None:
        return
    if details.name in ("", unnamed):
        details.name = f"{card.title or card.name}: {raster.name}"
        details.forceName = True
    details.setPostProcessor(ResultStyler(card, result["threshold"], raster, looked_at))
    layers[layer_uri(result, "detections")] = details
    gaps = layer_uri(result, "not_examined") if result["layers"]["not_examined"] else ""
    if gaps and QgsVectorLayer(gaps).featureCount() > 0:
        unseen = QgsProcessingContext.LayerDetails(
            tr("Not examined: {raster}").format(raster=raster.name), details.project, "", details.layerTypeHint
        )
        unseen.forceName = True
        unseen.groupName = details.groupName
        unseen.layerSortKey = details.layerSortKey - 1
        unseen.setPostProcessor(ResultStyler(None, 0.0, raster))
        layers[gaps] = unseen
    context.setLayersToLoadOnCompletion(layers)


def area_of(job: DetectJob) -> QgsGeometry | None:
    """Ground that a job looks at, in the raster's coordinates, while the file of its polygons is there; None: all."""
    area = QgsGeometry.fromRect(QgsRectangle(*job.extent)) if job.extent is not None else None
    if job.mask is not None:
        mask = QgsVectorLayer(job.mask, "", "ogr")
        whole = QgsGeometry.unaryUnion([each.geometry() for each in mask.getFeatures(QgsFeatureRequest())])
        area = whole if area is None else area.intersection(whole)
    return area


def layer_uri(result: dict[str, Any], layer: str) -> str:
    """Source of one layer of a result, as QGIS opens it."""
    output = Path(result["output"])
    if output.suffix.lower() == ".gpkg":
        return f"{output}|layername={layer}"
    return str(output if layer == "detections" else result["layers"][layer])
