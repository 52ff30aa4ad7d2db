"""Counting a layer: one pass over its attributes, in a thread, with a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsFeatureRequest,
    QgsProviderRegistry,
    QgsVariantUtils,
    QgsVectorLayer,
)

from ...core.job.errors import OutputError
from ..wording import tr
from .background import Work
from .figures import Row, Tally, tally
from .filter import REVIEW
from .origin import not_examined_source

CHECK_EVERY = 1000  # features between two looks at whether to stop


def whole_source(layer: QgsVectorLayer) -> str:
    """Source of a layer without its filter."""
    registry, provider = QgsProviderRegistry.instance(), layer.providerType()
    parts = registry.decodeUri(provider, layer.source())
    parts.pop("subset", None)
    return registry.encodeUri(provider, parts)


def open_whole(source: str, subset: str = "") -> QgsVectorLayer:
    """Open a layer in the thread that calls; raises OutputError where it is gone."""
    layer = QgsVectorLayer(source, "", "ogr")
    if not layer.isValid() or (subset and not layer.setSubsetString(subset)):
        raise OutputError(tr("The layer's file cannot be read: {source}").format(source=source.split("|", 1)[0]))
    return layer


def counting(
    layer: QgsVectorLayer, area_field: str | None, smallest_m2: float | None, largest_m2: float | None
) -> Callable[[Work], Tally]:
    """Prepare, in the main thread, the work that counts a whole layer within limits of size."""
    source, crs = whole_source(layer), QgsCoordinateReferenceSystem(layer.crs())

    def count(work: Work) -> Tally:
        gaps = not_examined_source(source)
        unseen = _ground_m2(gaps, crs, work) if gaps else None
        return tally(_rows(open_whole(source), area_field, work), smallest_m2, largest_m2, unseen)

    return count


def _rows(layer: QgsVectorLayer, area_field: str | None, work: Work) -> Iterator[Row]:
    fields = layer.fields()
    places = [fields.indexFromName(name) for name in ("class", "score", area_field or "", REVIEW)]
    request = QgsFeatureRequest().setFlags(Qgis.FeatureRequestFlag.NoGeometry)
    request.setSubsetOfAttributes([place for place in places if place >= 0])
    for number, feature in enumerate(layer.getFeatures(request)):
        if number % CHECK_EVERY == 0:
            work.stop_if_cancelled()
        values = feature.attributes()
        name, score, area, state = (
            None if place < 0 or QgsVariantUtils.isNull(values[place]) else values[place] for place in places
        )
        yield str(name or ""), score, area, state


def _ground_m2(source: str, crs: QgsCoordinateReferenceSystem, work: Work) -> float | None:
    """Area of all polygons of a source on the ground; None where it cannot be known."""
    layer = QgsVectorLayer(source, "", "ogr")
    if not layer.isValid() or not crs.isValid():
        return None
    measure = ground_measure(crs)
    total = 0.0
    for feature in layer.getFeatures(QgsFeatureRequest().setNoAttributes()):
        work.stop_if_cancelled()
        total += measure.measureArea(feature.geometry())
    return total


def ground_measure(crs: QgsCoordinateReferenceSystem) -> QgsDistanceArea:
    """Measure areas on the ellipsoid, in m², of geometries in a CRS."""
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsCoordinateTransformContext())
    measure.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    return measure
