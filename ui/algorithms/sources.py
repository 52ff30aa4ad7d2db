"""What a job needs of QGIS's layers: the raster's file, and the area as a file of polygons."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFeatureSink,
    QgsFields,
    QgsGeometry,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
)

from ...core.job.errors import OutputError, RasterError
from ..wording import tr


@dataclass(frozen=True)
class RasterSource:
    """What a run needs to know of a raster layer, free of the layer's thread.

    `path`: absolute, or a GDAL name. `crs`: as the user sees the layer; `own_crs`: as the file says. `extent` in `crs`.
    """

    name: str
    path: str
    crs: QgsCoordinateReferenceSystem
    own_crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle


def raster_source(layer: QgsRasterLayer) -> RasterSource:
    """Take what a run needs from a raster layer; raises RasterError where the worker cannot open it."""
    return RasterSource(layer.name(), _path(layer), layer.crs(), layer.dataProvider().crs(), layer.extent())


def export_area(
    source: QgsProcessingFeatureSource,
    raster: RasterSource,
    transforms: QgsCoordinateTransformContext,
    feedback: QgsProcessingFeedback,
) -> str:
    """Write the polygons that lie on the raster to a temporary GeoPackage in the raster's coordinates; give its path.

    Selection, filter and unsaved edits of the layer count, as does the project's choice of datum transformations.
    Raises RasterError where no polygon lies on the raster, OutputError where the file cannot be written.
    """
    request = QgsFeatureRequest().setNoAttributes().setFilterRect(raster.extent)
    if raster.crs.isValid() and source.sourceCrs().isValid():
        request.setDestinationCrs(raster.crs, transforms)
    path = QgsProcessingUtils.generateTempFilename("area.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = "area"
    options.datasourceOptions = ["VERSION=1.2"]
    writer = QgsVectorFileWriter.create(
        path, QgsFields(), Qgis.WkbType.MultiPolygon, raster.own_crs, transforms, options
    )
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise OutputError(tr("The area cannot be written: {why}").format(why=writer.errorMessage()))
    written = 0
    try:
        features = source.getFeatures(request, Qgis.ProcessingFeatureSourceFlag.SkipGeometryValidityChecks)
        for feature in features:
            if feedback.isCanceled():
                break
            polygon = _polygon(feature.geometry())
            if not polygon.isEmpty():
                area = QgsFeature()
                area.setGeometry(polygon)
                if not writer.addFeature(area, QgsFeatureSink.Flag.FastInsert):
                    raise OutputError(tr("The area cannot be written: {why}").format(why=writer.errorMessage()))
                written += 1
    except QgsCsException as problem:
        raise RasterError(
            tr("The area layer '{name}' cannot be brought into the raster's coordinate system: {why}").format(
                name=source.sourceName(), why=problem
            )
        ) from problem
    finally:
        del writer  # closes the file
    if not written and not feedback.isCanceled():
        raise RasterError(
            tr("No polygon of '{name}' lies on the raster '{raster}'.").format(
                name=source.sourceName(), raster=raster.name
            )
        )
    return path


def _path(layer: QgsRasterLayer) -> str:
    if layer.providerType() != "gdal":
        raise RasterError(
            tr(
                "The layer '{name}' is no file but an online map, a database or a computed layer. Save the part you "
                "need as GeoTIFF (right-click the layer > Export > Save As…) and detect on that file."
            ).format(name=layer.name())
        )
    name, *options = layer.source().split("|")
    if name.startswith("/vsimem/"):
        raise RasterError(
            tr("The layer '{name}' lives in QGIS's memory. Save it as GeoTIFF and detect on that file.").format(
                name=layer.name()
            )
        )
    if any(option.startswith("authcfg=") for option in options) or "authcfg=" in name:
        raise RasterError(
            tr("The layer '{name}' needs a login that only QGIS knows. Save it as GeoTIFF first.").format(
                name=layer.name()
            )
        )
    return str(Path(name).absolute()) if Path(name).exists() else name


def _polygon(geometry: QgsGeometry) -> QgsGeometry:
    """Valid multi-polygon with straight edges; empty where a geometry has no area."""
    if geometry.isNull() or geometry.type() != Qgis.GeometryType.Polygon:
        return QgsGeometry()
    straight = QgsGeometry(geometry.constGet().segmentize())
    valid = straight if straight.isGeosValid() else straight.makeValid()
    valid.convertGeometryCollectionToSubclass(Qgis.GeometryType.Polygon)
    if not valid.isEmpty():
        valid.get().dropZValue()
        valid.get().dropMValue()
        valid.convertToMultiType()
    return valid
