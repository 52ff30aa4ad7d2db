"""Why a map server did not deliver, in a sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from qgis.core import (
    QgsBlockingNetworkRequest,
    QgsNetworkAccessManager,
    QgsNetworkReplyContent,
    QgsRasterDataProvider,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest
from qgis.PyQt.QtXml import QDomDocument

from ..wording import tr

TILE_PX = 256
NO_PICTURE, SLOW_DOWN = 404, 429
NO_PIXELS = ("text/", "xml", "json")  # in the kind of an answer: words where pixels were asked for
STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
LONGEST = 200  # characters of a server's own words


@dataclass(frozen=True)
class Complaint:
    """What is wrong with a server's answer. `status`: None where there was none; `why`: empty where it is not known."""

    status: int | None
    why: str = ""

    @property
    def may_pass(self) -> bool:
        """Whether it makes sense to ask once more."""
        return self.status is not None and (self.status < 400 or self.status == SLOW_DOWN or self.status >= 500)

    @property
    def is_failure(self) -> bool:
        """Whether the server failed or refused, rather than having no picture of this place."""
        return self.status != NO_PICTURE and bool(self.why)


@dataclass(frozen=True)
class _Answer:
    status: int | None
    kind: str
    request: QNetworkRequest


class Answers:
    """Listens to what servers answer to the requests of the thread that it is made in."""

    def __init__(self) -> None:
        self._answers: dict[str, _Answer] = {}  # the last of each address: QGIS may ask twice
        self._finished = QgsNetworkAccessManager.instance().finished[QgsNetworkReplyContent]
        self._finished.connect(self._hear)

    def forget(self) -> None:
        """Begin anew."""
        self._answers.clear()

    def close(self) -> None:
        """Listen no longer."""
        self._finished.disconnect(self._hear)

    @property
    def heard(self) -> bool:
        """Whether there was an answer, or a request without one, since the last `forget`."""
        return bool(self._answers)

    def complaint(self) -> Complaint | None:
        """Say what is wrong with an answer; None where all are in order, or none was heard."""
        for answer in tuple(self._answers.values()):
            if answer.status is None or answer.status >= 400:
                return Complaint(answer.status, _sentence(answer.status, answer.request.url()))
            if any(words in answer.kind for words in NO_PIXELS):
                return Complaint(answer.status, _exception(answer.request))
        return None

    def _hear(self, reply: QgsNetworkReplyContent) -> None:
        kind = bytes(reply.rawHeader(b"Content-Type")).decode("latin-1").lower()
        request = QNetworkRequest(reply.request())  # a copy, as the reply goes
        self._answers[request.url().toString()] = _Answer(reply.attribute(STATUS), kind, request)


def why_missing(provider: QgsRasterDataProvider, block: QgsRectangle, pixel: float) -> Complaint:
    """Ask a tile server for the tile in the middle of a block, as QGIS does not pass on what it answered.

    Of other servers nothing is known: then, as where the tile comes, there is no `why`.
    """
    url = tile_url(provider, block, pixel)
    if url is None:
        return Complaint(200)
    request = QgsBlockingNetworkRequest()
    request.get(QNetworkRequest(url), True)
    status = request.reply().attribute(STATUS)
    return Complaint(status, _sentence(status, url) if status is None or status >= 400 else "")


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


def _sentence(status: int | None, url: QUrl) -> str:
    if status is None:
        sentence = tr("The server {host} cannot be reached: check the connection and the layer's address.")
    else:
        sentence = {
            401: tr("The server {host} asks for a login (401)."),
            403: tr("The server {host} refuses access (403): its key or login may have expired."),
            NO_PICTURE: tr("The server {host} has no picture here, or not at this zoom (404)."),
            SLOW_DOWN: tr(
                "The server {host} asks for a pause after too many requests (429): go on later, or with a smaller area."
            ),
        }.get(status, tr("The server {host} fails at the moment ({status})."))
    return sentence.format(host=url.host(), status=status)


def _exception(request: QNetworkRequest) -> str:
    """Ask once more, as QGIS does not pass on the body of an answer, and read the exception in it."""
    asked = QgsBlockingNetworkRequest()
    asked.get(request, True)
    document, host = QDomDocument(), request.url().host()
    words = ""
    if document.setContent(asked.reply().content())[0] and document.documentElement().tagName().lower() != "html":
        words = " ".join(document.documentElement().text().split())
    if not words:
        return tr("The server {host} answered with a page of text in place of the picture.").format(host=host)
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
    return tr("The server {host} answered with an error in place of the picture: {words}").format(
        host=host, words=words
    )
