"""A package index, a proxy, certificates and packages of the tests' own, misbehaving as they are told."""

import base64
import hashlib
import io
import socketserver
import ssl
import subprocess
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from core.job.environment.selftest import read_requirements
from core.job.environment.state import READY, State

VERSIONS = {
    "affine": "3.0.1",
    "numpy": "2.4.0",
    "pyogrio": "0.13.0",
    "pyproj": "3.7.2",
    "rasterio": "1.4.4",
    "safetensors": "0.8.0",
    "shapely": "2.2.0",
    "distributed": "2026.8.0",
    "torch": "2.15.0",
    "torchvision": "0.29.0",
}
NEEDS = {"torchvision": ("torch==2.15.0", "numpy"), "rasterio": ("affine", "numpy")}
PYTORCH = "download.pytorch.org"
USER = "Basic " + base64.b64encode(b"ada:lovelace-1815").decode()


def import_all(python, cancelled=lambda: False, *, requirements, log=None) -> State:
    """The self-test's stand-in: the packages' stand-ins can be imported, and say their versions."""
    names = list(read_requirements(requirements))
    code = f"for name in {names!r}: print(name, __import__(name).__version__)"
    run = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return State(READY, "Ready.", python, "a processor", dict(line.split() for line in run.stdout.splitlines()))


def never() -> bool:
    return False


def make_wheel(
    name: str,
    version: str,
    needs: tuple[str, ...] = (),
    more: dict[str, bytes] | None = None,
    tag: str = "py3-none-any",
) -> bytes:
    """A package with one module of its own name, that says its version."""
    about = f"{name}-{version}.dist-info"
    metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    files = {
        f"{name}/__init__.py": f"__version__ = '{version}'\n".encode(),
        f"{about}/METADATA": "\n".join(["Metadata-Version: 2.1", *metadata, ""]).encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: %s\n" % tag.encode(),
        **(more or {}),
    }
    lines = [f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items()]
    files[f"{about}/RECORD"] = ("".join(lines) + f"{about}/RECORD,,\n").encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


class Server:
    """An HTTP server in a thread; `fault` makes it misbehave until it is None again.

    refused   403 on everything              missing   no such package        down       500 on every file
    hash      a wrong hash on the page       cut       half of each file      slow       holds `held` back till `go`
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # path: content
        self.pages: dict[str, list[str]] = {}  # path of a page: paths of its files
        self.fault: str | None = None
        self.held = ""
        self.reached, self.go = threading.Event(), threading.Event()
        self.asked: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # those who hang up on a bad certificate
        self.scheme = "http"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/simple"

    def offer(self, name: str, version: str, content: bytes, index: str = "/simple", tag: str = "py3-none-any") -> None:
        path = f"/files{index}/{name}-{version}-{tag}.whl"
        self.files[path] = content
        self.pages.setdefault(f"{index}/{name}/", []).append(path)

    def use_tls(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.scheme = "https"

    def close(self) -> None:
        self.go.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and content for a path."""
        self.asked.append(path)
        if self.fault == "refused":
            return 403, b""
        if path in self.pages and self.fault != "missing":
            links = []
            for file in self.pages[path]:
                known = hashlib.sha256(self.files[file]).hexdigest() if self.fault != "hash" else "0" * 64
                links.append(f'<a href="{file}#sha256={known}">{file.rpartition("/")[2]}</a>')
            return 200, "\n".join(links).encode()
        if path not in self.files or self.fault == "missing":
            return 404, b""
        if self.fault == "down":
            return 500, b""
        if self.fault == "slow" and self.held in path:
            self.reached.set()
            self.go.wait(120)
        content = self.files[path]
        return 200, content[: len(content) // 2] if self.fault == "cut" else content

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content = server.answer(urlsplit(self.path).path.replace("%2B", "+"))
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
                self.send_header("Content-Length", str(len(content)))
                if "/files" in self.path and server.fault in (None, "slow"):  # as PyPI's files say
                    self.send_header("Cache-Control", "max-age=86400, immutable, public")
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Proxy:
    """A proxy before `index`: may ask for user and password, and plays PyTorch's index behind TLS.

    `open_hosts` are the hosts that it lets through encrypted; any other is refused.
    """

    def __init__(self, index: Server, certificate: Path | None = None, wants_user: bool = False) -> None:
        self.index = index
        self.wants_user = wants_user
        self.open_hosts = {PYTORCH}
        self.tls = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        proxy, plain = self, self.index._handler()

        class Handler(plain):
            def do_GET(self) -> None:
                if self._welcome():
                    super().do_GET()

            def do_CONNECT(self) -> None:
                if not self._welcome():
                    return
                if self.path.partition(":")[0] not in proxy.open_hosts:
                    self.send_error(403)
                    return
                self.send_response(200)
                self.end_headers()
                try:
                    self.connection = proxy.tls.wrap_socket(self.connection, server_side=True)
                except OSError:
                    return
                self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
                self.close_connection = False
                self.headers_seen = True
                while not self.close_connection:
                    self.handle_one_request()

            def _welcome(self) -> bool:
                if not proxy.wants_user or hasattr(self, "headers_seen"):
                    return True
                if self.headers.get("Proxy-Authorization") == USER:
                    return True
                self.send_response(407)
                self.send_header("Proxy-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return False

        return Handler


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """An authority (PEM) and a certificate with key (PEM) that it signed, for 127.0.0.1 and PyTorch's index."""
    authority, key, request, leaf = (folder / name for name in ("ca.pem", "ca.key", "leaf.csr", "leaf.crt"))
    names = folder / "names.cnf"
    names.write_text(f"subjectAltName=DNS:{PYTORCH},IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj"]
    sign = ["openssl", "x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial"]
    for command in (
        [*new, "/CN=Tests", "-x509", "-days", "2", "-keyout", key, "-out", authority],
        [*new, "/CN=127.0.0.1", "-keyout", folder / "leaf.key", "-out", request],
        [*sign, "-days", "2", "-out", leaf, "-extfile", names],
    ):
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
    both = folder / "leaf.pem"
    both.write_bytes(leaf.read_bytes() + (folder / "leaf.key").read_bytes())
    return authority, both
