"""Filling a folder with all the packages for one platform, for computers without a network."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Callable
from urllib.parse import unquote

from ..errors import Cancelled, InvalidJob
from ..events import Report, progress
from .downloads import Fetch, fetch_checked
from .remedies import InstallError
from .selftest import REQUIREMENTS, lists_of
from .uv import Uv, wheel_for

PLATFORMS = {  # name: uv's name for it, tag of uv's own wheel
    "windows": ("x86_64-pc-windows-msvc", "win_amd64"),
    "macos": ("aarch64-apple-darwin", "macosx_11_0_arm64"),
    "linux": ("x86_64-manylinux_2_28", "manylinux_2_17_x86_64"),
    "linux-arm64": ("aarch64-manylinux_2_28", "manylinux_2_17_aarch64"),
}
LOCK = "pylock.toml"
WHEEL = re.compile(r'url = "([^"]+\.whl)"[^}]*?sha256 = "([0-9a-f]{64})"')


def resolve(uv: Uv, platform: str, python: str, lock: Path, cancelled: Callable[[], bool], requirements: Path) -> None:
    """Choose the packages for a platform (a key of PLATFORMS) and a Python ("3.12"); write them into `lock` (PEP 751).

    Raises InvalidJob for an unknown platform, InstallError where the packages do not fit together.
    """
    if platform not in PLATFORMS:
        raise InvalidJob(f"The platform '{platform}' is unknown; known are {', '.join(PLATFORMS)}.")
    backend = uv.options.torch_backend
    chosen = [] if backend == "default" else ["--torch-backend", "cpu" if backend == "auto" else backend]
    target = ["--python-platform", PLATFORMS[platform][0], "--python-version", python, "--python", sys.executable]
    with_target = replace(uv, more={"MACOSX_DEPLOYMENT_TARGET": "14.0"})  # the oldest that torch's wheels are made for
    arguments = [
        "pip",
        "compile",
        "--quiet",
        "--no-build",
        *target,
        *chosen,
        "--output-file",
        str(lock),
        *map(str, lists_of(requirements)),
    ]
    with_target.run(arguments, cancelled)


def fill(
    uv: Uv,
    folder: Path,
    platform: str,
    python: str,
    fetch: Fetch,
    report: Report,
    cancelled: Callable[[], bool],
    requirements: Path = REQUIREMENTS,
) -> int:
    """Fetch uv and all packages for a platform into a folder, those that are not there yet; give their number.

    Raises InstallError and Cancelled; what was fetched stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    resolve(uv, platform, python, folder / LOCK, cancelled, requirements)
    wheels = [*WHEEL.findall((folder / LOCK).read_text("utf-8")), wheel_for(PLATFORMS[platform][1])]
    for number, (url, sha256) in enumerate(wheels):
        path = folder / unquote(url.rpartition("/")[2])

        def progressed(done: int, total: int, number: int = number, name: str = path.name) -> None:
            if cancelled():
                raise Cancelled
            part = (number + (done / total if total else 0.0)) / len(wheels)
            report(progress(part, f"{number + 1} of {len(wheels)}: {name}, {done / 1e6:,.0f} MB"))

        if not path.exists():
            try:
                fetch_checked(fetch, url, path, sha256, progressed)
            except OSError as problem:
                raise InstallError(str(problem), folder) from problem
    return len(wheels)
