"""What a job needs of QGIS's layers: the raster's file or who gives its pixels, and the area as a file of polygons."""

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
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
)

from ...core.job.errors import OutputError, RasterError
from ..wording import tr

TO_FETCH = "/vsimem/tilehawk-to-fetch.tif"


@dataclass(frozen=True)
class RasterSource:
    """What a run needs to know of a raster layer, free of the layer's thread.

    `path`: absolute, or a GDAL name. `crs`: as the user sees the layer; `own_crs`: as the file says. `extent` and the
    side of a `pixel` in `crs`. `provider`: a copy of the layer's, where only QGIS can read it; `path` then stands for a
    file still to be fetched.
    """

    name: str
    path: str
    crs: QgsCoordinateReferenceSystem
    own_crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    pixel: float
    provider: QgsRasterDataProvider | None = None


def raster_source(layer: QgsRasterLayer) -> RasterSource:
    """Take what a run needs from a raster layer; call it in the layer's thread."""
    own = layer.dataProvider()
    path = _path(layer)
    provider = own.clone() if path is None else None
    return RasterSource(
        layer.name(), path or TO_FETCH, layer.crs(), own.crs(), layer.extent(), layer.rasterUnitsPerPixelX(), provider
    )


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


def _path(layer: QgsRasterLayer) -> str | None:
    """Path of a layer's file, or the name GDAL knows it by; None where only QGIS can read it."""
    name, *options = layer.source().split("|")
    needs_login = "authcfg=" in name or any(option.startswith("authcfg=") for option in options)
    if layer.providerType() != "gdal" or name.startswith("/vsimem/") or needs_login:
        return None
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
