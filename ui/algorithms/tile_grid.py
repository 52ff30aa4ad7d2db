"""Where the tiles of a map server lie, and their addresses: of XYZ layers, of WMTS, and of files of such tiles."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsPointXY,
    QgsRasterDataProvider,
    QgsRectangle,
    QgsUnitTypes,
)
from qgis.PyQt.QtCore import QUrl, QUrlQuery
from qgis.PyQt.QtXml import QDomDocument, QDomElement

from ...core.job.errors import RasterError
from .drawn_layers import DrawnLayers
from .map_server import ask, parameters, refusal_of

TILE_PX = 256  # of XYZ
HALF = 20037508.342789244  # of the world in EPSG:3857
STANDARD_PIXEL_M = 0.00028  # to which scales refer: OGC 07-057r7 (WMTS 1.0.0), section 6.1


@dataclass(frozen=True)
class TileGrid:
    """Tiles of one zoom, in the layer's coordinates: columns to the right and rows down from `origin`.

    `pixel`: in map units. `template`: address with `{column}` and `{row}`, or `{-row}` counted from the last of `rows`;
    empty where a tile cannot be asked for.
    """

    origin: QgsPointXY
    pixel: float
    width_px: int
    height_px: int
    template: str = ""
    rows: int = 0

    def url(self, place: QgsPointXY) -> QUrl | None:
        """Address of the tile at a place; None where it is not known."""
        column = math.floor((place.x() - self.origin.x()) / (self.width_px * self.pixel))
        row = math.floor((self.origin.y() - place.y()) / (self.height_px * self.pixel))
        address = self.template
        for part, number in (("{column}", column), ("{row}", row), ("{-row}", self.rows - 1 - row)):
            address = address.replace(part, str(number))
        return QUrl(address) if address and "{" not in address else None


def tile_grid(provider: QgsRasterDataProvider | DrawnLayers, pixel: float) -> TileGrid | None:
    """Find the tiles of the zoom that has pixels of this size, in map units; None where a provider has no tiles.

    A WMTS is asked once what it offers. Raises RasterError with the server's failure where it does not say.
    """
    source = parameters(provider.dataSourceUri())
    if source.get("type") == "xyz":
        return _xyz(provider.extent(), pixel, source)
    if source.get("type") == "mbtiles":
        return TileGrid(QgsPointXY(-HALF, HALF), pixel, TILE_PX, TILE_PX)
    if not source.get("tileMatrixSet"):
        return None
    offered = _offered(provider.dataSourceUri())
    return next((grid for grid in offered if math.isclose(grid.pixel, pixel, rel_tol=1e-6)), None)


def _xyz(world: QgsRectangle, pixel: float, source: dict[str, str]) -> TileGrid:
    side = TILE_PX * max(1, int(source.get("tilePixelRatio") or 1))
    zoom = round(math.log2(world.width() / side / pixel))
    template = source.get("url", "").replace("{z}", str(zoom)).replace("{x}", "{column}")
    template = template.replace("{y}", "{row}").replace("{-y}", "{-row}")
    return TileGrid(QgsPointXY(world.xMinimum(), world.yMaximum()), pixel, side, side, template, 2**zoom)


@lru_cache(maxsize=8)  # a capabilities document may have megabytes
def _offered(address: str) -> tuple[TileGrid, ...]:
    """Ask a WMTS for the zooms of the layer's tile matrix set; there are none where it is a service of another kind."""
    source = parameters(address)
    reply = ask(QUrl(source.get("url", "")), address)
    refusal = refusal_of(reply)
    if refusal is not None:
        raise RasterError(refusal.why)
    document = QDomDocument()
    document.setContent(reply.content(), True)
    root = document.documentElement()
    contents = _child(root, "Contents")
    for matrices in _children(contents, "TileMatrixSet"):
        if _text(matrices, "Identifier") == source["tileMatrixSet"]:
            template = _template(root, source)
            return tuple(_grids(matrices, source, template))
    return ()


def _grids(matrices: QDomElement, source: dict[str, str], template: str) -> Iterator[TileGrid]:
    crs = QgsCoordinateReferenceSystem.fromOgcWmsCrs(_text(matrices, "SupportedCRS"))
    metres = QgsUnitTypes.fromUnitToUnitFactor(crs.mapUnits(), Qgis.DistanceUnit.Meters)
    inverted = crs.hasAxisInverted() and "IgnoreAxisOrientation" not in source
    if "InvertAxisOrientation" in source:
        inverted = not inverted
    for matrix in _children(matrices, "TileMatrix"):
        x, y = (float(number) for number in _text(matrix, "TopLeftCorner").split())
        yield TileGrid(
            QgsPointXY(y, x) if inverted else QgsPointXY(x, y),
            float(_text(matrix, "ScaleDenominator")) * STANDARD_PIXEL_M / metres,
            int(_text(matrix, "TileWidth")),
            int(_text(matrix, "TileHeight")),
            template.replace("{TileMatrix}", QUrl.toPercentEncoding(_text(matrix, "Identifier")).data().decode()),
        )


def _template(root: QDomElement, source: dict[str, str]) -> str:
    """Address of a tile, with `{TileMatrix}`, `{column}` and `{row}`: the server's query, else its own template."""
    style = source.get("styles", "")
    names = {"TileMatrixSet": source["tileMatrixSet"], "Style": style, "style": style}
    name, _, value = source.get("tileDimensions", "").partition("=")
    if name:
        names[name] = value
    for operation in _children(_child(root, "OperationsMetadata"), "Operation"):
        get = _child(_child(_child(operation, "DCP"), "HTTP"), "Get")
        encodings = [value.text() for value in _children(_child(_child(get, "Constraint"), "AllowedValues"), "Value")]
        if operation.attribute("name") == "GetTile" and not get.isNull() and (not encodings or "KVP" in encodings):
            url = QUrl(get.attribute("href"))
            query = QUrlQuery(url)
            known = {
                "SERVICE": "WMTS", "REQUEST": "GetTile", "VERSION": root.attribute("version"),
                "LAYER": source.get("layers", ""), "FORMAT": source.get("format", ""),
                **{name.upper(): value for name, value in names.items()},
            }  # fmt: skip
            for name, value in known.items():
                query.addQueryItem(name, value)
            url.setQuery(query)
            return f"{url.toString()}&TILEMATRIX={{TileMatrix}}&TILECOL={{column}}&TILEROW={{row}}"
    for layer in _children(_child(root, "Contents"), "Layer"):
        if _text(layer, "Identifier") == source.get("layers"):
            for resource in _children(layer, "ResourceURL"):
                if resource.attribute("resourceType") == "tile":
                    template = resource.attribute("template")
                    for name, value in names.items():
                        template = template.replace(f"{{{name}}}", value)
                    return template.replace("{TileCol}", "{column}").replace("{TileRow}", "{row}")
    return ""


def _children(element: QDomElement, name: str) -> Iterator[QDomElement]:
    child = element.firstChildElement()
    while not child.isNull():
        if child.localName() == name:
            yield child
        child = child.nextSiblingElement()


def _child(element: QDomElement, name: str) -> QDomElement:
    return next(_children(element, name), QDomElement())


def _text(element: QDomElement, name: str) -> str:
    return _child(element, name).text().strip()
