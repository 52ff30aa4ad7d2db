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
from .hardware import is_translated
from .log import Log
from .remedies import InstallError
from .running import follow, quiet
from .state import InstallOptions

VERSION = "0.13.9"
MIN_VERSION = (0, 13)  # the options and variables used here
HOST = "https://files.pythonhosted.org/packages/"
LINUX = "manylinux_2_17_{0}.manylinux2014_{0}"
WHEELS = {  # tag of the wheel: its folder on HOST, its SHA-256; from https://pypi.org/simple/uv/
    "win_amd64": (
        "dd/ef/ceeabf3631117f7354787d9fb1ffe943899e59ed4b887a696ed547e47e76",
        "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b",
    ),
    "macosx_11_0_arm64": (
        "f3/a7/a8d7b074798c7fb3b26b37584b8fe2e29df2ccdc24ce7902caab2a53edbf",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
    ),
    "macosx_10_12_x86_64": (
        "1e/db/08e9ef4879bd667e6d7b4705e594e5bd3e4585f10fc63cb16b9fa2fac63e",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
    ),
    LINUX.format("x86_64"): (
        "3d/aa/26d64642d808de4a652579ef950d7cd2d37f080a8babf9c67c6b75fc4c3f",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    f"{LINUX}.musllinux_1_1_{{0}}".format("aarch64"): (
        "57/15/94b6cd62ac3ff6550288328e8035288875197cbc183f51554b266a69877b",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
    "musllinux_1_1_x86_64": (
        "fe/fe/794884de0efd3ac77a427cab21aa72c0483e100c55a42cd5cbb02c141b84",
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    ),
}
MISLEADING = re.compile(  # of the user's variables: they choose other projects, Pythons, versions or outputs than ours
    r"VIRTUAL_ENV|CONDA_\w+|PYTHONPATH|UV_(PYTHON|PROJECT\w*|WORKING_DIR\w*|SYSTEM_PYTHON|BREAK_SYSTEM\w*|(NO_)?MANAGED_PYTHON"
    r"|PYTHON_(PREFERENCE|DOWNLOADS)|CONSTRAINT|OVERRIDE|EXCLUDE|BUILD_CONSTRAINT|REQUIRE_HASHES|NO_BINARY\w*|NO_BUILD\w*"
    r"|RESOLUTION|PRERELEASE|VENV_\w+|NO_PROGRESS|TORCH_BACKEND|ISOLATED|LOCKED|FROZEN)"
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


def wheel_name(tag: str) -> str:
    """File name of uv's wheel."""
    return f"uv-{VERSION}-py3-none-{tag}.whl"


def wheel_address(tag: str) -> str:
    """URL of uv's wheel."""
    return f"{HOST}{WHEELS[tag][0]}/{wheel_name(tag)}"


def platform_tag() -> str:
    """Tag of the wheel for this computer, that of the processor itself where QGIS runs translated (Rosetta)."""
    if sys.platform == "win32":
        return "win_amd64"
    machine = platform.machine()
    if sys.platform == "darwin":
        return "macosx_11_0_arm64" if machine == "arm64" or is_translated() else "macosx_10_12_x86_64"
    musl = not platform.libc_ver()[0]
    name = "musllinux_1_1_x86_64" if musl and machine == "x86_64" else f"manylinux_2_17_{machine}."
    tags = [tag for tag in WHEELS if tag.startswith(name)]
    if not tags:
        raise WorkerError(f"PyTorch is not made for processors of the kind '{machine}'.")
    return tags[0]


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
    tag = platform_tag()
    wheel = own.parent / wheel_name(tag)
    sha256 = WHEELS[tag][1]
    if options.offline_folder:
        fetch_checked(_copy, str(Path(options.offline_folder) / wheel.name), wheel, sha256, progressed)
    else:
        url = _mirrored(options.index_url, wheel, fetch) if options.index_url else wheel_address(tag)
        fetch_checked(fetch, url, wheel, sha256, progressed)
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
    raise OSError(f"404: {address} has no {wheel.name}")


def _copy(source: str, path: Path, _: Progressed) -> None:
    shutil.copyfile(source, path)
