"""The installer through QGIS's network, and QGIS's proxy for uv; the servers are the tests' own."""

import threading
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsNetworkAccessManager, QgsTask
from qgis.PyQt.QtNetwork import QNetworkProxy
from tilehawk.core.job.environment.remedies import remedy
from tilehawk.core.job.errors import Cancelled
from tilehawk.ui.environment import install_options, installer_fetch
from tilehawk.ui.network import make_fetch, proxy_for
from tilehawk.ui.settings import Settings

from tests.core.job.environment.stand_ins import Proxy, Server, make_certificates
from tests.ui.scenery import wait_until

CONTENT = bytes(range(256)) * 4000
KNOWN = ("ada", "lovelace-1815")


@pytest.fixture
def server():
    server = Server()
    server.files["/files/uv.whl"] = CONTENT
    yield server
    server.close()


@pytest.fixture
def proxy(server):
    proxy = Proxy(server, wants_user=True)
    yield proxy
    proxy.close()


@pytest.fixture
def qgis_proxy():
    """Sets QGIS's proxy as its options do."""
    manager = QgsNetworkAccessManager.instance()

    def use(*proxy, excluded=(), kind=QNetworkProxy.ProxyType.HttpProxy):
        manager.setFallbackProxyAndExcludes(QNetworkProxy(kind, *proxy), list(excluded), [])

    yield use
    manager.setFallbackProxyAndExcludes(QNetworkProxy(), [], [])


class Fetching(QgsTask):
    """Fetches as an installation does: in a task's thread."""

    def __init__(self, url: str, path: Path, progressed) -> None:
        super().__init__("fetch")
        self.problem, self.steps, self.over = None, [], threading.Event()
        self._fetch, self._url, self._path, self._progressed = make_fetch(), url, path, progressed

    def _step(self, done: int, total: int) -> None:
        self.steps.append((done, total))
        self._progressed(done, total)

    def run(self) -> bool:
        try:
            self._fetch(self._url, self._path, self._step)
        except (OSError, Cancelled) as problem:
            self.problem = problem
        self.over.set()
        return True


@pytest.fixture
def fetched(tmp_path):
    def fetched(url: str, progressed=lambda done, total: None) -> Fetching:
        task = Fetching(url, tmp_path / "file", progressed)
        QgsApplication.taskManager().addTask(task)
        wait_until(task.over.is_set, 60)
        return task

    return fetched


def test_a_file_comes_whole_and_says_how_far_it_is(server, fetched, tmp_path):
    task = fetched(f"{server.origin}/files/uv.whl")
    assert task.problem is None
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert task.steps[-1] == (len(CONTENT), len(CONTENT))


@pytest.mark.parametrize(
    ("fault", "cause"), [("refused", "blocked"), ("missing", "missing"), ("down", "server"), (None, "unreachable")]
)
def test_a_fault_has_its_remedy_and_a_second_try_succeeds(server, fetched, tmp_path, fault, cause):
    server.fault = fault
    origin = server.origin if fault else "http://127.0.0.1:9"
    problem = fetched(f"{origin}/files/uv.whl").problem
    assert remedy(str(problem), tmp_path)[0] == cause
    assert not (tmp_path / "file").exists()
    server.fault = None
    assert fetched(f"{server.origin}/files/uv.whl").problem is None


def test_a_host_that_nobody_knows(fetched, tmp_path):
    assert remedy(str(fetched("http://nowhere.invalid/uv.whl").problem), tmp_path)[0] == "no network"


def test_a_certificate_nobody_knows(server, fetched, tmp_path):
    server.use_tls(make_certificates(tmp_path)[1])
    problem = fetched(f"{server.origin}/files/uv.whl").problem
    assert remedy(str(problem), tmp_path)[0] == "certificate"


def test_cancel_is_noticed_even_while_nothing_comes(server, fetched, tmp_path):
    server.fault, server.held = "slow", "uv.whl"

    def cancel(done: int, total: int) -> None:
        if server.reached.is_set():
            raise Cancelled

    assert isinstance(fetched(f"{server.origin}/files/uv.whl", cancel).problem, Cancelled)
    assert not (tmp_path / "file").exists()


def test_qgis_s_proxy_is_taken_with_user_and_password(server, proxy, fetched, qgis_proxy, tmp_path):
    port = proxy.server.server_port
    qgis_proxy("127.0.0.1", port)
    asked = len(server.asked)
    problem = fetched("http://mirror.invalid/files/uv.whl").problem
    assert remedy(str(problem), tmp_path)[0] == "proxy"
    assert len(server.asked) == asked
    qgis_proxy("127.0.0.1", port, *KNOWN)
    assert fetched("http://mirror.invalid/files/uv.whl").problem is None
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_user_in_the_address_is_sent_as_one(server, fetched, monkeypatch):
    heads = []
    handler = server.server.RequestHandlerClass
    real = handler.do_GET
    monkeypatch.setattr(handler, "do_GET", lambda self: (heads.append(self.headers["Authorization"]), real(self)))
    assert fetched(f"{server.origin}/files/uv.whl".replace("//", "//ada:l%40ve@", 1)).problem is None
    assert heads == ["Basic YWRhOmxAdmU="]


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        (QNetworkProxy.ProxyType.HttpProxy, "http"),
        (QNetworkProxy.ProxyType.HttpCachingProxy, "http"),
        (QNetworkProxy.ProxyType.Socks5Proxy, "socks5h"),
        (QNetworkProxy.ProxyType.NoProxy, None),
    ],
)
def test_qgis_s_proxy_becomes_uv_s(qgis_proxy, kind, scheme):
    url = f"{scheme}://proxy:3128".replace("//", "//ada:l%40ve%3A@") if scheme else None
    qgis_proxy("proxy", 3128, "ada", "l@ve:", excluded=["https://mirror"], kind=kind)
    assert proxy_for("https://pypi.org/simple") == url
    assert proxy_for("https://mirror/simple") is None
    assert install_options(Settings()).proxy == url
    assert install_options(Settings(index_url="https://mirror/simple")).proxy is None
    install_options(Settings()).validate()


def test_a_proxy_in_the_options_goes_before_qgis_s(qgis_proxy, server, proxy, tmp_path):
    qgis_proxy("elsewhere", 3128)
    address = proxy.url.replace("//", "//{}:{}@".format(*KNOWN))
    settings = Settings(proxy=address)
    assert install_options(settings).proxy == address
    installer_fetch(settings)("http://mirror.invalid/files/uv.whl", tmp_path / "file", lambda *_: None)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_without_a_proxy_there_is_none():
    assert proxy_for("https://pypi.org/simple") is None
    assert install_options(Settings()).proxy is None
