"""QGIS's network for the worker's environment: one file fetched through it, and its proxy as a URL for uv."""

from __future__ import annotations

import base64
from functools import partial
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from qgis.core import QgsBlockingNetworkRequest, QgsFeedback, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QTimer, QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery, QNetworkRequest

from ..core.job.environment.downloads import Fetch, Progressed

POLL_MS = 200
SCHEMES = {  # socks5h: names are looked up by the proxy, as Qt does
    QNetworkProxy.ProxyType.HttpProxy: "http",
    QNetworkProxy.ProxyType.HttpCachingProxy: "http",
    QNetworkProxy.ProxyType.Socks5Proxy: "socks5h",
}


def make_fetch() -> Fetch:
    """Make what fetches with QGIS's proxy, certificates and log-ins; called in the main thread, used in any other."""
    manager = QgsNetworkAccessManager.instance()
    return partial(_fetch, (manager.fallbackProxy(), manager.excludeList(), manager.noProxyList()))


def _fetch(proxies: tuple[QNetworkProxy, list[str], list[str]], url: str, path: Path, progressed: Progressed) -> None:
    """Fetch a URL into a file. A user and a password in the URL are sent along.

    Raises OSError with the reason, and what `progressed` raises, which is asked even while nothing comes.
    """
    QgsNetworkAccessManager.instance().setFallbackProxyAndExcludes(*proxies)  # a pooled thread's is as old as itself
    request, feedback = QgsBlockingNetworkRequest(), QgsFeedback()
    raised: list[BaseException] = []
    at = [0, 0]

    def look() -> None:
        try:
            if not raised:
                progressed(*at)
        except BaseException as problem:
            raised.append(problem)
            feedback.cancel()

    def came(done: int, total: int) -> None:
        at[:] = done, max(total, 0)
        look()

    request.downloadProgress.connect(came)
    timer = QTimer()
    timer.timeout.connect(look)
    timer.start(POLL_MS)
    failed = request.get(_request(url), True, feedback)
    timer.stop()
    if raised:
        raise raised[0]
    if failed != QgsBlockingNetworkRequest.ErrorCode.NoError:
        raise OSError(_reason(request))
    path.write_bytes(bytes(request.reply().content()))


def proxy_for(url: str) -> str | None:
    """Give QGIS's proxy for a URL, with user and password, None where there is none; for the main thread."""
    (proxy, *_) = QgsNetworkAccessManager.instance().proxyFactory().queryProxy(QNetworkProxyQuery(QUrl(url)))
    if proxy.type() not in SCHEMES or not proxy.hostName():
        return None
    user = f"{quote(proxy.user(), safe='')}:{quote(proxy.password(), safe='')}@" if proxy.user() else ""
    port = f":{proxy.port()}" if proxy.port() else ""
    return f"{SCHEMES[proxy.type()]}://{user}{proxy.hostName()}{port}"


def _reason(request: QgsBlockingNetworkRequest) -> str:
    """What went wrong, with the status in words that servers of HTTP/2 leave out."""
    status = request.reply().attribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute)
    if status in set(HTTPStatus):
        return f"HTTP Error {status}: {HTTPStatus(status).phrase}"
    return request.errorMessage()


def _request(url: str) -> QNetworkRequest:
    parts = urlsplit(url)
    request = QNetworkRequest(QUrl(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))))
    if parts.username:
        known = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        request.setRawHeader(b"Authorization", b"Basic " + base64.b64encode(known))
    return request
