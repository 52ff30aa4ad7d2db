"""Why a tile server did not deliver, in a sentence."""

from __future__ import annotations

import math
from urllib.parse import parse_qs, unquote

from qgis.core import QgsBlockingNetworkRequest, QgsRasterDataProvider, QgsRectangle
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from ..wording import tr

TILE_PX = 256
NO_PICTURE, SLOW_DOWN = 404, 429


def why_missing(provider: QgsRasterDataProvider, block: QgsRectangle, pixel: float) -> tuple[int | None, str]:
    """Ask a server for the tile in the middle of a block; gives the status of its answer and a sentence.

    The status is None where there was no answer at all. (200, "") where there is nothing to complain of, and for
    servers of another kind than XYZ.
    """
    url = tile_url(provider, block, pixel)
    if url is None:
        return 200, ""
    request = QgsBlockingNetworkRequest()
    request.get(QNetworkRequest(url), True)
    status = request.reply().attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    if status is None:
        sentence = tr("The server {host} cannot be reached: check the connection and the layer's address.")
    elif status < 400:
        return status, ""
    else:
        sentence = {
            401: tr("The server {host} asks for a login (401)."),
            403: tr("The server {host} refuses access (403): its key or login may have expired."),
            NO_PICTURE: tr("The server {host} has no picture here, or not at this zoom (404)."),
            SLOW_DOWN: tr(
                "The server {host} asks for a pause after too many requests (429): go on later, or with a smaller area."
            ),
        }.get(status, tr("The server {host} fails at the moment ({status})."))
    return status, sentence.format(host=url.host(), status=status)


def tile_url(provider: QgsRasterDataProvider, block: QgsRectangle, pixel: float) -> QUrl | None:
    """Address of the tile in the middle of a block; None for a layer that is no XYZ."""
    source = parse_qs(provider.dataSourceUri())
    template = unquote(source.get("url", [""])[0])
    if source.get("type") != ["xyz"] or "{z}" not in template:
        return None
    world = provider.extent()
    zoom = round(math.log2(world.width() / TILE_PX / pixel))
    side = world.width() / 2**zoom
    column = int((block.center().x() - world.xMinimum()) / side)
    row = int((world.yMaximum() - block.center().y()) / side)
    parts = {"{z}": zoom, "{x}": column, "{y}": row, "{-y}": 2**zoom - 1 - row}
    for part, number in parts.items():
        template = template.replace(part, str(number))
    return QUrl(template)
