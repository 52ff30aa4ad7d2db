"""Why a map server did not deliver, in a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from qgis.core import (
    QgsBlockingNetworkRequest,
    QgsDataSourceUri,
    QgsNetworkAccessManager,
    QgsNetworkReplyContent,
)
from qgis.PyQt.QtCore import QByteArray, QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest
from qgis.PyQt.QtXml import QDomDocument

from ..wording import tr

SERVERS = ("wms", "wcs", "arcgismapserver")  # names of QGIS's providers
NO_PICTURE, SLOW_DOWN = 404, 429
NO_PIXELS = ("text/", "xml", "json")  # in the kind of an answer: words where pixels were asked for
STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
LONGEST = 200  # characters of a server's own words
_own_requests: set[int] = set()  # numbers of those that QGIS did not make: their answers may be heard late


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
    number: int
    status: int | None
    kind: str
    request: QNetworkRequest


class Answers:
    """Listens to what servers answer to QGIS's requests in the thread that it is made in."""

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
        return bool(self._to_qgis())

    def complaint(self) -> Complaint | None:
        """Say what is wrong with an answer; None where all are in order, or none was heard."""
        for answer in self._to_qgis():
            if answer.status is None or answer.status >= 400:
                return Complaint(answer.status, _sentence(answer.status, answer.request.url()))
            if any(words in answer.kind for words in NO_PIXELS):
                return Complaint(answer.status, _exception(answer.request))
        return None

    def _to_qgis(self) -> list[_Answer]:
        return [answer for answer in tuple(self._answers.values()) if answer.number not in _own_requests]

    def _hear(self, reply: QgsNetworkReplyContent) -> None:
        request = QNetworkRequest(reply.request())  # a copy, as the reply goes
        self._answers[request.url().toString()] = _Answer(
            reply.requestId(), reply.attribute(STATUS), _kind(reply), request
        )


def parameters(source: str) -> dict[str, str]:
    """Take the source of a map server's layer apart; of a parameter that is given twice the last."""
    pairs = (part.partition("=") for part in source.split("&"))
    return {name: unquote(value) for name, _, value in pairs}


def is_server(name: str, source: str) -> bool:
    """Whether a provider of this name asks a server, or reads files of tiles here."""
    return name in SERVERS and not parameters(source).get("url", "").startswith("file:")


def ask(url: QUrl, source: str) -> QgsNetworkReplyContent:
    """Ask for an address as the layer of this source would, with its login and headers."""
    given, uri = parameters(source), QgsDataSourceUri()
    uri.setEncodedUri(source)
    plain = QNetworkRequest(url)
    uri.httpHeaders().updateNetworkRequest(plain)
    if given.get("username") and not given.get("authcfg"):
        login = QByteArray(f"{given['username']}:{given.get('password', '')}".encode()).toBase64()
        plain.setRawHeader(QByteArray(b"Authorization"), QByteArray(b"Basic ") + login)
    return _get(plain, given.get("authcfg", ""))


def refusal_of(reply: QgsNetworkReplyContent) -> Complaint | None:
    """Say why a server gave nothing; None where it gave something."""
    status = reply.attribute(STATUS)
    return Complaint(status, _sentence(status, reply.request().url())) if status is None or status >= 400 else None


def why_missing(url: QUrl | None, source: str) -> Complaint:
    """Ask for a tile that is missing, as QGIS does not pass on what the server answered.

    Without its address nothing is known: then, as where the tile comes, there is no `why`.
    """
    if url is None:
        return Complaint(200)
    reply = ask(url, source)
    refusal = refusal_of(reply)
    if refusal is not None:
        return refusal
    return Complaint(200, _words_of(reply) if any(words in _kind(reply) for words in NO_PIXELS) else "")


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
    return _words_of(_get(request, ""))


def _get(plain: QNetworkRequest, login: str) -> QgsNetworkReplyContent:
    request = QgsBlockingNetworkRequest()
    request.setAuthCfg(login)
    request.get(plain, True)
    _own_requests.add(request.reply().requestId())
    return request.reply()


def _words_of(reply: QgsNetworkReplyContent) -> str:
    """Say what a server answers in words."""
    document, host = QDomDocument(), reply.request().url().host()
    words = ""
    if document.setContent(reply.content())[0] and document.documentElement().tagName().lower() != "html":
        words = " ".join(document.documentElement().text().split())
    if not words:
        return tr("The server {host} answered with a page of text in place of the picture.").format(host=host)
    words = words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
    return tr("The server {host} answered with an error in place of the picture: {words}").format(
        host=host, words=words
    )


def _kind(reply: QgsNetworkReplyContent) -> str:
    return bytes(reply.rawHeader(b"Content-Type")).decode("latin-1").lower()
