"""What a job needs of QGIS's layers: the raster's file or who gives its pixels, and the area as a file of polygons."""

from __future__ import annotations

import hashlib
import re
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
    QgsProject,
    QgsProviderRegistry,
    QgsRasterDataProvider,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorFileWriter,
)

from ...core.job.errors import OutputError, RasterError
from ..wording import tr
from .drawn_layers import DrawnLayers, group_rasters

TO_FETCH = "/vsimem/tilehawk-to-fetch.tif"
NOT_FOR_THE_WORKER = ("/vsimem/", "PG:")  # what is in QGIS's memory, and in a database, for which it has no driver
LOGIN = re.compile(r"\b(password|user|username|authcfg)=('(\\.|[^'\\])*'|[^\s&|]*)")


@dataclass(frozen=True)
class RasterSource:
    """What a run needs to know of a raster layer, free of the layer's thread.

    `path`: absolute, or a GDAL name. `crs`: as the user sees the layer; `own_crs`: as the file says. `extent` and the
    side of a `pixel` in `crs`. `provider`: a copy of the layer's, where only QGIS can read it; `path` then stands for a
    file still to be fetched, and `place` stands for what the layer shows, the same for each run on it: it is written
    into the project and says nothing, as the layer's source may hold a login.
    """

    name: str
    path: str
    crs: QgsCoordinateReferenceSystem
    own_crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle
    pixel: float
    provider: QgsRasterDataProvider | DrawnLayers | None = None
    place: str = ""


def raster_source(layer: QgsRasterLayer) -> RasterSource:
    """Take what a run needs from a raster layer's own pixels; call it in the layer's thread."""
    own = layer.dataProvider()
    path = _path(layer)
    pixel = layer.rasterUnitsPerPixelX()
    if path is not None:
        return RasterSource(layer.name(), path, layer.crs(), own.crs(), layer.extent(), pixel)
    place = _place("own", [layer])
    return RasterSource(layer.name(), TO_FETCH, layer.crs(), own.crs(), layer.extent(), pixel, own.clone(), place)


def drawn_source(layer: QgsRasterLayer, transforms: QgsCoordinateTransformContext) -> RasterSource:
    """Take what a run needs of a raster layer as the map shows it; call it in the layer's thread."""
    drawn = DrawnLayers([layer], layer.crs(), transforms)
    place = _place("drawn", [layer])
    pixel = layer.rasterUnitsPerPixelX()
    return RasterSource(layer.name(), TO_FETCH, layer.crs(), drawn.crs(), layer.extent(), pixel, drawn, place)


def group_source(
    layer: QgsRasterLayer, project: QgsProject | None, transforms: QgsCoordinateTransformContext
) -> RasterSource:
    """Take what a run needs of the rasters in a layer's group, as the map shows them; call it in the layers' thread.

    Coordinates are the layer's. Raises RasterError where it is in no group, or nothing of the group is shown.
    """
    name, layers = group_rasters(layer, project)
    drawn = DrawnLayers(layers, layer.crs(), transforms)
    place = _place("drawn", layers)
    pixel = drawn.extent().width() / drawn.xSize() if drawn.xSize() else layers[0].rasterUnitsPerPixelX()
    return RasterSource(name, TO_FETCH, drawn.crs(), drawn.crs(), drawn.extent(), pixel, drawn, place)


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


def _place(view: str, layers: list[QgsRasterLayer]) -> str:
    """Stand for layers that are looked at in a certain way."""
    sources = (f"{layer.providerType()}:{LOGIN.sub('', layer.source())}" for layer in layers)
    return hashlib.sha256(" ".join([view, *sources]).encode()).hexdigest()


def _path(layer: QgsRasterLayer) -> str | None:
    """Path of a layer's file, or the name GDAL knows it by; None where only QGIS can read it."""
    if layer.providerType() == "wms":
        tiles = QgsProviderRegistry.instance().decodeUri("wms", layer.source())
        return tiles.get("path") if tiles.get("type") == "mbtiles" else None
    name, *options = layer.source().split("|")
    needs_login = "authcfg=" in name or any(option.startswith("authcfg=") for option in options)
    if layer.providerType() != "gdal" or name.startswith(NOT_FOR_THE_WORKER) or needs_login:
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
