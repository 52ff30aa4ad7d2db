"""uv, which does the installing: a pinned wheel of it, or one that is there already; and running it."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional
from urllib.parse import urljoin, urlsplit

from ..errors import WorkerError
from ..process import clean_environment
from .downloads import Fetch, Progressed, fetch_checked
from .hardware import is_translated, quiet
from .log import Log
from .remedies import InstallError
from .running import follow
from .state import InstallOptions

PINNED = Path(__file__).with_name("uv.txt")  # from https://pypi.org/simple/uv/
WHEEL = re.compile(r"(\S+/uv-([\d.]+)-py3-none-(\S+)\.whl)#sha256=([0-9a-f]{64})")
WHEELS = {tag: (url, sha256) for url, _, tag, sha256 in WHEEL.findall(PINNED.read_text("utf-8"))}
VERSION = WHEEL.findall(PINNED.read_text("utf-8"))[0][1]
MIN_VERSION = (0, 13)  # the options and variables used here
MISLEADING = re.compile(  # of the user's variables: they choose other projects, Pythons, versions or outputs than ours
    r"VIRTUAL_ENV|CONDA_\w+|PYTHONPATH|UV_(PYTHON|PYTHON_(PREFERENCE|DOWNLOADS)|(NO_)?MANAGED_PYTHON|SYSTEM_PYTHON"
    r"|BREAK_SYSTEM\w*|PROJECT\w*|WORKING_DIR\w*|VENV_\w+|CONSTRAINT|OVERRIDE|EXCLUDE|REQUIRE_HASHES|NO_BINARY\w*"
    r"|RESOLUTION|PRERELEASE|NO_PROGRESS|TORCH_BACKEND|ISOLATED|LOCKED|FROZEN)"
)
CERTIFICATES: tuple[dict[str, str], ...] = (  # one after the other: whose certificates to trust
    {"UV_SYSTEM_CERTS": "1"},
    {"UV_SYSTEM_CERTS": "1", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},  # QGIS's launchers set them to their own
    {"UV_SYSTEM_CERTS": "0", "SSL_CERT_FILE": "", "SSL_CERT_DIR": ""},
)


@dataclass(frozen=True)
class Uv:
    """uv at `path`, working in `folder`: cache and Pythons of its own lie there."""

    path: str
    folder: Path
    options: InstallOptions
    log: Log
    more: dict[str, str] = field(default_factory=dict)  # further variables

    def run(
        self,
        arguments: Sequence[str],
        cancelled: Callable[[], bool],
        heard: Callable[[str], None] = lambda line: None,
        tick: Callable[[], None] = lambda: None,
    ) -> str:
        """Run a command of uv and give what it said.

        `heard` gets its lines (in another thread), `tick` is called every 0.1 s. Raises InstallError, and Cancelled
        after killing it.
        """
        for certificates in CERTIFICATES:
            environment = {**self.environment(), **certificates}
            environment = {name: value for name, value in environment.items() if value}
            self.log.write(f"$ uv {' '.join(arguments)}")
            said, code = follow(
                [self.path, *arguments], environment, str(self.folder), cancelled, self.log, heard, tick
            )
            if code == 0:
                return said
            failure = InstallError(said, self.folder, code, self.source)
            if failure.cause != "certificate":
                break
        raise failure

    @property
    def source(self) -> str:
        """Where packages come from, for people."""
        return self.options.offline_folder or urlsplit(self.options.index_url or "//pypi.org").hostname or ""

    def environment(self) -> dict[str, str]:
        """Variables for uv: the user's own, without what would lead it astray, with the options'."""
        options = self.options
        kept = {
            name: value
            for name, value in clean_environment(str(self.folder)).items()
            if not MISLEADING.fullmatch(name.upper()) and not (options.proxy and name.upper().endswith("_PROXY"))
        }
        kept.setdefault("UV_CACHE_DIR", str(self.folder / "cache"))
        kept.update(NO_COLOR="1", UV_PYTHON_INSTALL_DIR=str(self.folder / "python"), UV_PYTHON_INSTALL_BIN="0")
        kept.update(UV_PYTHON_INSTALL_REGISTRY="0")
        if options.proxy:
            kept.update(HTTP_PROXY=options.proxy, HTTPS_PROXY=options.proxy, ALL_PROXY=options.proxy)
        if options.index_url:
            kept.update(UV_DEFAULT_INDEX=options.index_url)
        return {**kept, **self.more}


def find_uv(folder: Path, options: InstallOptions, fetch: Fetch, progressed: Progressed, log: Log) -> Uv:
    """Find uv in `folder` or on the PATH, else unpack its pinned wheel there, from the offline folder or fetched.

    Raises InstallError with what to do where that fails, and whatever `progressed` raises to cancel.
    """
    own = folder / f"uv-{VERSION}" / ("uv.exe" if sys.platform == "win32" else "uv")
    found = str(own) if own.is_file() else _recent(shutil.which("uv"))
    if found is None:
        try:
            _unpack(own, options, fetch, progressed)
        except (OSError, zipfile.BadZipFile) as problem:
            log.write(f"uv: {problem}")
            raise InstallError(str(problem), folder) from problem
        found = str(own)
    return Uv(found, folder, options, log)


def platform_tag() -> str:
    """Tag of the wheel for this computer, that of the processor itself where QGIS runs translated (Rosetta)."""
    if sys.platform == "win32":
        return "win_amd64"
    machine = platform.machine()
    if sys.platform == "darwin":
        return "macosx_11_0_arm64" if machine == "arm64" or is_translated() else "macosx_10_12_x86_64"
    return f"{'manylinux_2_17' if platform.libc_ver()[0] else 'musllinux_1_1'}_{machine}"


def wheel_for(tag: str) -> tuple[str, str]:
    """URL and SHA-256 of uv's wheel for a platform's tag; raises WorkerError where there is none."""
    found = [wheel for tags, wheel in WHEELS.items() if tag in tags.split(".")]
    if not found:
        raise WorkerError(f"PyTorch is not made for this kind of computer ({tag}).")
    return found[0]


def _recent(path: Optional[str]) -> Optional[str]:
    """The uv at `path` if it runs and is recent enough."""
    if path is None:
        return None
    pipes: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 10, **quiet()}
    try:
        said = subprocess.run([path, "--version"], env=clean_environment(os.curdir), check=False, **pipes).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.match(r"uv (\d+)\.(\d+)", said)
    return path if version and tuple(map(int, version.groups())) >= MIN_VERSION else None


def _unpack(own: Path, options: InstallOptions, fetch: Fetch, progressed: Progressed) -> None:
    own.parent.mkdir(parents=True, exist_ok=True)
    for left in own.parent.glob("*.part"):  # of an attempt that was killed
        left.unlink()
    url, sha256 = wheel_for(platform_tag())
    wheel = own.parent / url.rpartition("/")[2]
    if options.offline_folder:
        fetch_checked(_copy, str(Path(options.offline_folder) / wheel.name), wheel, sha256, progressed)
    else:
        address = _mirrored(options.index_url, wheel, fetch) if options.index_url else url
        fetch_checked(fetch, address, wheel, sha256, progressed)
    part = own.with_name(f"{own.name}.{os.getpid()}.part")
    with zipfile.ZipFile(wheel) as archive, part.open("wb") as program:
        shutil.copyfileobj(archive.open(f"uv-{VERSION}.data/scripts/{own.name}"), program)
    part.chmod(0o755)
    part.replace(own)
    wheel.unlink()


def _mirrored(index_url: str, wheel: Path, fetch: Fetch) -> str:
    """Find the wheel's address in a mirror's page of uv (PEP 503)."""
    address, page = f"{index_url.rstrip('/')}/uv/", wheel.with_suffix(".html")
    try:
        fetch(address, page, lambda done, total: None)
        links = re.findall(r"""href=["']([^"'#]+)""", page.read_text("utf-8", "replace"))
    except OSError as problem:
        raise OSError(f"{problem} ({address})") from problem
    finally:
        page.unlink(missing_ok=True)
    for link in links:
        if link.endswith(wheel.name):
            return urljoin(address, link)
    raise OSError(f"404 Not Found: {address} has no {wheel.name}")


def _copy(source: str, path: Path, _: Progressed) -> None:
    shutil.copyfile(source, path)
