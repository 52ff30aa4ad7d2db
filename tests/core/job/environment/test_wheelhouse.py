"""Choosing packages for other computers, and fetching them; the real index where it is reachable."""

import functools
import hashlib
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

from core.job.environment.__main__ import _parser, main
from core.job.environment.downloads import fetch_url
from core.job.environment.log import Log
from core.job.environment.remedies import InstallError
from core.job.environment.selftest import REQUIREMENTS, read_requirements
from core.job.environment.state import READY, InstallOptions
from core.job.environment.uv import VERSION, WHEELS, Uv
from core.job.environment.wheelhouse import LOCK, WHEEL, fill, resolve
from core.job.errors import Cancelled, InvalidJob
from tests.core.job.environment.stand_ins import VERSIONS, make_wheel, never

ROOT = Path(__file__).resolve().parents[4]
INDEX = "https://pypi.org/simple/"
PYTORCH = "https://download.pytorch.org/whl/"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
SYSTEMS = ("windows", "macos", "linux")
SYSTEMS_OF_PYTORCH = {  # tag of its wheels, whether their version names the build
    "windows": ("win_amd64", True),
    "linux": ("manylinux_2_28_x86_64", True),
    "macos": ("macosx_14_0_arm64", False),
}


@pytest.fixture
def uv(machine, tmp_path, index):
    folder = tmp_path / "data"
    folder.mkdir()
    return Uv(str(machine / "uv"), folder, InstallOptions(index_url=index.url, torch_backend="default"), Log())


@pytest.fixture
def uv_wheel(index, monkeypatch):
    content, name = make_wheel("uv", VERSION), f"uv-{VERSION}-py3-none-win_amd64.whl"
    monkeypatch.setitem(WHEELS, "win_amd64", (f"{index.origin}/packages/{name}", hashlib.sha256(content).hexdigest()))
    index.files[f"/packages/{name}"] = content
    return name


def test_a_folder_is_filled_once_and_is_enough(uv, index, tmp_path, told, uv_wheel, environment, machine):
    folder = tmp_path / "wheels"
    count = fill(uv, folder, "windows", "3.12", fetch_url, told, never)
    names = {f"{name}-{version}-py3-none-any.whl" for name, version in VERSIONS.items()}
    assert {path.name for path in folder.iterdir()} == names | {LOCK, uv_wheel}
    assert count == len(names) + 1
    assert told[-1]["done"] == 1.0
    index.asked.clear()
    fill(uv, folder, "windows", "3.12", fetch_url, told, never)
    assert not [path for path in index.asked if path.startswith("/packages")]
    index.asked.clear()
    offline = InstallOptions(offline_folder=str(folder), python=sys.executable)
    assert environment.install(told, never, offline).kind == READY
    assert index.asked == []


def test_the_command_line_fills_a_folder(index, tmp_path, uv_wheel, machine, capsys):
    where = ["--folder", str(tmp_path / "data"), "--index-url", index.url, "--torch-backend", "default"]
    assert main([*where, "wheelhouse", str(tmp_path / "wheels")]) == 0
    assert (tmp_path / "wheels" / uv_wheel).exists()
    assert f"{len(VERSIONS) + 1} packages for windows and Python 3.12" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed here")
def test_make_asks_the_command_line_for_what_it_takes():
    chosen = ["PLATFORM=macos", "PYTHON=3.11", "TORCH=default", "FOLDER=build/some where"]
    told = subprocess.run(["make", "-n", "wheelhouse", *chosen], cwd=ROOT, capture_output=True, text=True, check=True)
    words = shlex.split(told.stdout.replace("\\\n", " "))
    arguments = _parser().parse_args(words[words.index("core.job.environment") + 1 :])
    assert (arguments.command, arguments.platform, arguments.python) == ("wheelhouse", "macos", "3.11")
    assert (arguments.torch_backend, arguments.into.name) == ("default", "some where")


def test_a_damaged_package_is_refused_and_fetched_again(uv, index, tmp_path, told, uv_wheel):
    good = index.files[f"/packages/{uv_wheel}"]
    index.files[f"/packages/{uv_wheel}"] = b"damaged"
    with pytest.raises(InstallError, match="not what its index promises"):
        fill(uv, tmp_path / "wheels", "windows", "3.12", fetch_url, told, never)
    assert not (tmp_path / "wheels" / uv_wheel).exists()
    index.files[f"/packages/{uv_wheel}"] = good
    fill(uv, tmp_path / "wheels", "windows", "3.12", fetch_url, told, never)


def test_it_can_be_cancelled(uv, tmp_path, told, uv_wheel):
    with pytest.raises(Cancelled):
        fill(uv, tmp_path / "wheels", "windows", "3.12", fetch_url, told, lambda: (tmp_path / "wheels" / LOCK).exists())


def test_an_unknown_platform_is_refused(uv, tmp_path):
    with pytest.raises(InvalidJob, match="known are windows, macos, linux"):
        resolve(uv, "amiga", "3.12", tmp_path / LOCK, never, REQUIREMENTS)


@functools.cache
def reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def remembered():
    """The real package index, each page asked for once, so that a dozen resolutions take seconds."""
    if not reachable(INDEX + "affine/"):
        pytest.skip(f"{INDEX} cannot be reached from here")
    pages: dict[str, bytes] = {}
    asking = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/simple/")
            try:
                if name not in pages:
                    with urllib.request.urlopen(INDEX + name, timeout=30) as answer:
                        pages[name] = answer.read()
            except OSError:
                self.send_error(404)
                return
            self.send_response(200)
            for header, value in (("Content-Type", "text/html"), ("Cache-Control", "max-age=86400, public")):
                self.send_header(header, value)
            self.send_header("Content-Length", str(len(pages[name])))
            self.end_headers()
            self.wfile.write(pages[name])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    with asking:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_requirements_can_be_met(machine, remembered, shared_cache, tmp_path, monkeypatch, system, python):
    monkeypatch.setenv("UV_CACHE_DIR", str(shared_cache))
    uv = Uv(str(machine / "uv"), tmp_path, InstallOptions(index_url=remembered, torch_backend="default"), Log())
    resolve(uv, system, python, tmp_path / LOCK, never, REQUIREMENTS)
    names = [url.rpartition("/")[2] for url, _ in WHEEL.findall((tmp_path / LOCK).read_text("utf-8"))]
    assert set(read_requirements(REQUIREMENTS)) <= {name.partition("-")[0] for name in names}
    tag = {"windows": "win_amd64", "macos": "arm64", "linux": "x86_64"}[system]
    assert next(name for name in names if name.startswith("torch-")).endswith(f"{tag}.whl")


@pytest.fixture
def pytorch(index, make_proxy, certificates, monkeypatch):
    """PyTorch's index by way of a proxy, with a build for each system and Python as it names them."""
    authority, leaf = certificates
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    for build in ("cpu", "cu128"):
        for system, (tag, _) in SYSTEMS_OF_PYTORCH.items():
            local = "2.15.0" if system == "macos" else f"2.15.0+{build}"
            if system == "macos" and build != "cpu":
                continue
            for python in PYTHONS:
                short = f"cp{python.replace('.', '')}"
                wheel = make_wheel("torch", local, (), tag=f"{short}-{short}-{tag}")
                index.offer("torch", local, wheel, f"/whl/{build}", f"{short}-{short}-{tag}")
        vision = "0.29.0" if build == "cpu" else f"0.29.0+{build}"
        index.offer("torchvision", vision, make_wheel("torchvision", vision, ("numpy",)), f"/whl/{build}")
    return make_proxy(leaf).url


@pytest.mark.parametrize("python", (PYTHONS[0], PYTHONS[-1]))
@pytest.mark.parametrize(
    ("system", "build"),
    [("windows", "cpu"), ("windows", "cu128"), ("linux", "cpu"), ("linux", "cu128"), ("macos", "cpu")],
)
def test_pytorch_s_builds_are_chosen_by_name(machine, index, pytorch, tmp_path, system, build, python):
    """Against a stand-in: which wheel is taken for whom; whether PyTorch has it, the next test asks PyTorch itself."""
    options = InstallOptions(index_url=index.url, proxy=pytorch, torch_backend=build)
    resolve(Uv(str(machine / "uv"), tmp_path, options, Log()), system, python, tmp_path / LOCK, never, REQUIREMENTS)
    tag, suffix = SYSTEMS_OF_PYTORCH[system]
    short = f"cp{python.replace('.', '')}"
    names = [unquote(url.rpartition("/")[2]) for url, _ in WHEEL.findall((tmp_path / LOCK).read_text("utf-8"))]
    local = f"+{build}" if suffix else ""
    assert f"torch-2.15.0{local}-{short}-{short}-{tag}.whl" in names
    assert len([name for name in names if name.startswith("torch-")]) == 1
    assert {name.partition("-")[0] for name in names} == set(VERSIONS)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("build", ["cpu", "cu128"])
@pytest.mark.parametrize("system", ["windows", "linux"])
def test_pytorch_s_own_builds_can_be_had(machine, shared_cache, tmp_path, monkeypatch, system, build, python):
    if not reachable(f"{PYTORCH}{build}/torch/"):
        pytest.skip(f"{PYTORCH} cannot be reached from here")
    monkeypatch.setenv("UV_CACHE_DIR", str(shared_cache))
    uv = Uv(str(machine / "uv"), tmp_path, InstallOptions(torch_backend=build), Log())
    resolve(uv, system, python, tmp_path / LOCK, never, REQUIREMENTS)
    assert f"%2B{build}-cp{python.replace('.', '')}" in (tmp_path / LOCK).read_text("utf-8")


def test_wheels_are_read_off_a_lock_file():
    text = (
        'sdist = { url = "https://x/a-1.tar.gz", size = 1, hashes = { sha256 = "' + "0" * 64 + '" } }\n'
        'wheels = [{ url = "https://x/a-1-py3-none-any.whl", upload-time = 2026-01-01T00:00:00Z, size = 7, '
        'hashes = { sha256 = "' + "a" * 64 + '" } }]\n'
    )
    assert WHEEL.findall(text) == [("https://x/a-1-py3-none-any.whl", "a" * 64)]
