import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.job.environment import hardware
from core.job.environment.environment import Environment
from core.job.environment.state import InstallOptions
from tests.core.job.environment.stand_ins import (
    NEEDS,
    VERSIONS,
    Proxy,
    Server,
    import_all,
    make_certificates,
    make_wheel,
)

ROOT = Path(__file__).resolve().parents[4]
FOREIGN = ("UV_", "SSL_", "PIP_", "VIRTUAL_ENV", "CONDA")


@pytest.fixture(scope="session")
def uv_program():
    """uv itself: on the PATH, or where `make env` puts it; not a script that looks for it."""
    for known in (shutil.which("uv"), ROOT / "build" / "tools" / "uv" / "bin" / "uv"):
        if known and Path(known).is_file():
            asked = [known, "run", "--no-project", "--no-config", "--python", sys.executable, "python", "-c"]
            code = "import os; print(os.environ['UV'])"
            run = subprocess.run([*asked, code], capture_output=True, text=True, check=False, cwd=ROOT / "tests")
            return Path(run.stdout.strip() or known)
    pytest.skip("uv is not installed here: make env")


@pytest.fixture(scope="session")
def wheels():
    return {name: make_wheel(name, version, NEEDS.get(name, ())) for name, version in VERSIONS.items()}


@pytest.fixture
def index(wheels):
    """A package index with stand-ins for all that is required."""
    server = Server()
    for name, content in wheels.items():
        server.offer(name, VERSIONS[name], content)
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed here")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def make_proxy(index):
    made = []

    def make(certificate=None, wants_user=False) -> Proxy:
        made.append(Proxy(index, certificate, wants_user))
        return made[-1]

    yield make
    for proxy in made:
        proxy.close()


@pytest.fixture
def machine(tmp_path, monkeypatch, uv_program):
    """A computer with uv and without an NVIDIA card, a user's own settings, or patience."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "uv").symlink_to(uv_program)
    for name in list(os.environ):
        if name.upper().startswith(FOREIGN) or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setattr(hardware, "DRIVER_FILES", ())
    monkeypatch.setattr(hardware, "SYSTEM_DRIVER", "")
    monkeypatch.setattr(hardware, "SIZES_MB", dict.fromkeys(hardware.SIZES_MB, (3, 5)))
    return programs


@pytest.fixture
def environment(tmp_path, machine):
    return Environment(tmp_path / "data", check=import_all)


@pytest.fixture
def options(index):
    """From the tests' index, on this Python, without PyTorch's own index."""
    return InstallOptions(index_url=index.url, python=sys.executable, torch_backend="default")


class Told(list):
    """Keeps events; `.texts` are those of one kind."""

    def __call__(self, event) -> None:
        self.append(event)

    def texts(self, kind: str) -> list[str]:
        return [event["text"] for event in self if event["event"] == kind]


@pytest.fixture
def told():
    return Told()
