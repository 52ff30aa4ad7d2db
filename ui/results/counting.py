"""Counting a layer: one pass over its attributes, in a thread, with a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsFeatureIterator,
    QgsFeatureRequest,
    QgsFields,
    QgsProviderRegistry,
    QgsRectangle,
    QgsVariantUtils,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
)

from ...core.job.errors import OutputError
from ..background import Work
from ..wording import tr
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


@dataclass(frozen=True)
class Rows:
    """A layer's features as they may be read in any thread, whole or filtered, with what was asked of it before.

    Layers are opened in the main thread only: two threads that open one file lock each other for good in QGIS 3.40
    (QgsOgrProviderUtils: `getLayer` and `release` take their two locks in opposite order).
    """

    source: QgsVectorLayerFeatureSource
    fields: QgsFields
    count: int
    extent: QgsRectangle
    crs: QgsCoordinateReferenceSystem

    def features(self, request: QgsFeatureRequest | None = None) -> QgsFeatureIterator:
        """Read; in any thread."""
        return self.source.getFeatures(request or QgsFeatureRequest())


def open_rows(source: str, subset: str = "") -> Rows:
    """Open a source in the main thread; raises OutputError where it is gone."""
    layer = QgsVectorLayer(source, "", "ogr")
    if not layer.isValid() or (subset and not layer.setSubsetString(subset)):
        raise OutputError(tr("The layer's file cannot be read: {source}").format(source=source.split("|", 1)[0]))
    fields, extent, crs = QgsFields(layer.fields()), QgsRectangle(layer.extent()), layer.crs()
    return Rows(QgsVectorLayerFeatureSource(layer), fields, layer.featureCount(), extent, crs)


def counting(
    layer: QgsVectorLayer, area_field: str | None, smallest_m2: float | None, largest_m2: float | None
) -> Callable[[Work], Tally]:
    """Prepare, in the main thread, the work that counts a whole layer within limits of size."""
    source = whole_source(layer)
    rows, crs = open_rows(source), QgsCoordinateReferenceSystem(layer.crs())
    gaps = open_gaps(source)

    def count(work: Work) -> Tally:
        unseen = _ground_m2(gaps, crs, work) if gaps is not None else None
        return tally(_values(rows, area_field, work), smallest_m2, largest_m2, unseen)

    return count


def open_gaps(source: str) -> Rows | None:
    """Open, in the main thread, the ground that was not examined beside a source of detections; None where none is."""
    gaps = not_examined_source(source)
    try:
        return open_rows(gaps) if gaps else None
    except OutputError:
        return None


def _values(rows: Rows, area_field: str | None, work: Work) -> Iterator[Row]:
    fields = rows.fields
    places = [fields.indexFromName(name) for name in ("class", "score", area_field or "", REVIEW)]
    request = QgsFeatureRequest().setFlags(Qgis.FeatureRequestFlag.NoGeometry)
    request.setSubsetOfAttributes([place for place in places if place >= 0])
    for number, feature in enumerate(rows.features(request)):
        if number % CHECK_EVERY == 0:
            work.stop_if_cancelled()
        values = feature.attributes()
        name, score, area, state = (
            None if place < 0 or QgsVariantUtils.isNull(values[place]) else values[place] for place in places
        )
        yield str(name or ""), score, area, state


def _ground_m2(gaps: Rows, crs: QgsCoordinateReferenceSystem, work: Work) -> float | None:
    """Area of polygons on the ground; None where it cannot be known."""
    if not crs.isValid():
        return None
    measure = ground_measure(crs)
    total = 0.0
    for feature in gaps.features(QgsFeatureRequest().setNoAttributes()):
        work.stop_if_cancelled()
        total += measure.measureArea(feature.geometry())
    return total


def ground_measure(crs: QgsCoordinateReferenceSystem) -> QgsDistanceArea:
    """Measure areas on the ellipsoid, in m², of geometries in a CRS."""
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, QgsCoordinateTransformContext())
    measure.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    return measure
