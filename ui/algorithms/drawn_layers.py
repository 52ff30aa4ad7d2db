"""Raster layers as the map shows them, one or several above each other, as pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsLayerTree,
    QgsLayerTreeGroup,
    QgsProject,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRasterProjector,
    QgsRectangle,
)
from qgis.PyQt.QtGui import QImage, QPainter

from ...core.job.errors import RasterError
from ..wording import tr
from .map_server import is_server


@dataclass(frozen=True)
class _Drawn:
    pipe: QgsRasterPipe
    extent: QgsRectangle


class DrawnLayers:
    """Copies of raster layers with their styles, drawn into one picture; asked like a QgsRasterDataProvider.

    Made in the thread of the layers, asked in any one thread. A single layer keeps its own coordinates, pixels or
    zooms; several have the finest pixels among their files.
    """

    def __init__(
        self,
        layers: list[QgsRasterLayer],
        crs: QgsCoordinateReferenceSystem,
        transforms: QgsCoordinateTransformContext,
    ) -> None:
        """`layers`: from bottom to top. `crs`: of the picture, where they are several. Raises RasterError."""
        first, alone = layers[0], len(layers) == 1
        self.several = not alone
        self._crs = first.dataProvider().crs() if alone else crs
        self.online = any(is_server(layer.providerType(), layer.source()) for layer in layers)
        self._drawn = [_copy(layer, self._crs, alone, transforms) for layer in layers]
        if alone:
            provider = first.dataProvider()
            self._extent, self._columns = provider.extent(), provider.xSize()
            self._zooms, self._source = provider.nativeResolutions(), provider.dataSourceUri()
        else:
            self._extent, self._columns = _common_grid(layers, self._drawn)
            self._zooms, self._source = [], ""

    def crs(self) -> QgsCoordinateReferenceSystem:
        """Coordinates of the picture."""
        return self._crs

    def extent(self) -> QgsRectangle:
        """All that the layers cover."""
        return self._extent

    def xSize(self) -> int:
        """Number of columns, 0 where there are no pixels of its own."""
        return self._columns

    def nativeResolutions(self) -> list[float]:
        """Pixel sizes of a tile server's zooms."""
        return self._zooms

    def dataSourceUri(self) -> str:
        """Source of a single layer."""
        return self._source

    def bandCount(self) -> int:
        """Give 1: a picture."""
        return 1

    def dataType(self, band: int) -> Qgis.DataType:
        """Give the type of a picture with transparency."""
        return Qgis.DataType.ARGB32

    def block(
        self, band: int, extent: QgsRectangle, width: int, height: int, feedback: QgsRasterBlockFeedback
    ) -> QgsRasterBlock:
        """Draw a part of the layers, transparent where none of them has anything."""
        image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(0)
        painter = QPainter(image)
        for each in self._drawn:
            if each.extent.intersects(extent):
                block = each.pipe.last().block(1, extent, width, height, feedback)
                if block.isValid() and not block.isEmpty():
                    painter.drawImage(0, 0, block.image())
        painter.end()
        drawn = QgsRasterBlock(Qgis.DataType.ARGB32, width, height)
        drawn.setImage(image.convertToFormat(QImage.Format.Format_ARGB32))
        return drawn


def group_rasters(layer: QgsRasterLayer, project: QgsProject | None) -> tuple[str, list[QgsRasterLayer]]:
    """Find the name of a layer's group and the raster layers in it that are shown, from bottom to top.

    Raises RasterError where the layer is in no group, or nothing of it is shown.
    """
    root = project.layerTreeRoot() if project is not None else QgsLayerTree()
    group = _group_of(layer, root)
    if group is None:
        raise RasterError(
            tr(
                "The layer '{name}' is in no group. Put the rasters to look at together into a group in the Layers "
                "panel."
            ).format(name=layer.name())
        )
    shown = {node.layerId() for node in group.findLayers() if node.itemVisibilityChecked() and _is_checked(node, group)}
    order = [each for each in root.layerOrder() if each.id() in shown]
    rasters = [each for each in reversed(order) if isinstance(each, QgsRasterLayer) and each.isValid()]
    if not rasters:
        raise RasterError(tr("No raster of the group '{name}' is switched on.").format(name=group.name()))
    return group.name(), rasters


def _group_of(layer: QgsRasterLayer, root: QgsLayerTree) -> QgsLayerTreeGroup | None:
    node = root.findLayer(layer.id())
    parent = node.parent() if node is not None else None
    return parent if isinstance(parent, QgsLayerTreeGroup) and parent.parent() is not None else None


def _is_checked(node, group: QgsLayerTreeGroup) -> bool:
    """Whether a layer's groups are switched on, up to but without `group`: that may be switched off."""
    parent = node.parent()
    while parent is not None and parent is not group:
        if not parent.itemVisibilityChecked():
            return False
        parent = parent.parent()
    return True


def _copy(
    layer: QgsRasterLayer, crs: QgsCoordinateReferenceSystem, alone: bool, transforms: QgsCoordinateTransformContext
) -> _Drawn:
    """Copy what draws a layer, in QGIS's own order."""
    pipe = QgsRasterPipe()
    parts = (
        layer.dataProvider(),
        layer.renderer(),
        layer.brightnessFilter(),
        layer.hueSaturationFilter(),
        layer.resampleFilter(),
    )
    for part in parts:
        copy = part.clone() if part is not None else None
        if copy is not None and not pipe.set(copy):
            raise RasterError(tr("The layer '{name}' cannot be drawn.").format(name=layer.name()))
    if alone:
        return _Drawn(pipe, layer.dataProvider().extent())
    projector = QgsRasterProjector()
    projector.setCrs(layer.crs(), crs, transforms)
    pipe.set(projector)
    try:
        extent = QgsCoordinateTransform(layer.crs(), crs, transforms).transformBoundingBox(layer.extent())
    except QgsCsException as problem:
        raise RasterError(
            tr("The layer '{name}' cannot be brought into the coordinates of the others of its group.").format(
                name=layer.name()
            )
        ) from problem
    return _Drawn(pipe, extent)


def _common_grid(layers: list[QgsRasterLayer], drawn: list[_Drawn]) -> tuple[QgsRectangle, int]:
    """Find the extent of all layers, in whole pixels from the first one's corner, and how many it is wide."""
    sizes = [
        each.extent.width() / layer.dataProvider().xSize()
        for layer, each in zip(layers, drawn)
        if layer.dataProvider().xSize() > 0
    ]
    corner = drawn[0].extent
    extent = QgsRectangle(corner)
    for each in drawn[1:]:
        extent.combineExtentWith(each.extent)
    if not sizes:
        return extent, 0
    pixel = min(sizes)
    left = math.ceil((corner.xMinimum() - extent.xMinimum()) / pixel - 1e-6)
    above = math.ceil((extent.yMaximum() - corner.yMaximum()) / pixel - 1e-6)
    columns = left + math.ceil((extent.xMaximum() - corner.xMinimum()) / pixel - 1e-6)
    rows = above + math.ceil((corner.yMaximum() - extent.yMinimum()) / pixel - 1e-6)
    x, y = corner.xMinimum() - left * pixel, corner.yMaximum() + above * pixel
    return QgsRectangle(x, y - rows * pixel, x + columns * pixel, y), columns
