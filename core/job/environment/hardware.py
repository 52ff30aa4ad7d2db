"""What this computer is, as far as the choice of packages goes; and how large they are."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from ..errors import WorkerError
from .state import InstallOptions

CPU, CUDA = "for the processor", "for NVIDIA graphics cards (CUDA)"
APPLE = "for Apple processors and their graphics"
SIZES_MB = {CPU: (320, 1_300), CUDA: (3_100, 5_800), APPLE: (220, 900)}  # to download, on disk: torch 2.15 and the rest
DISK_PER_DOWNLOAD = 1.85  # unpacked bytes a downloaded one: 5.7 GB of 3.08 GB with CUDA 13
DRIVER_FILES = (Path("/sys/module/nvidia/version"), Path("/proc/driver/nvidia/version"))
SYSTEM_DRIVER = str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvidia-smi.exe")
PYTHONS = ((3, 10), (3, 13))


def expected_build(options: InstallOptions) -> str:
    """Which build of PyTorch an installation will most likely take."""
    if sys.platform == "darwin":
        return APPLE
    if options.torch_backend == "auto":
        return CUDA if has_nvidia_driver() else CPU
    if options.torch_backend == "default":
        return index_build()
    return CPU if options.torch_backend == "cpu" else CUDA


def index_build() -> str:
    """Which build the package index itself has for this computer: with CUDA on Linux, without on Windows."""
    if sys.platform == "darwin":
        return APPLE
    return CUDA if sys.platform == "linux" else CPU


def sizes_mb(options: InstallOptions, build: str) -> tuple[int, int]:
    """Megabytes to download and on disk: estimates, exact only for the packages in an offline folder."""
    if options.offline_folder:
        packed = sum(path.stat().st_size for path in Path(options.offline_folder).glob("*.whl"))
        return 0, round(packed * DISK_PER_DOWNLOAD / 1e6)
    return SIZES_MB[build]


def require_space(folder: Path, megabytes: float) -> None:
    """Raise WorkerError where a folder's disk has less free space."""
    free = shutil.disk_usage(folder).free / 1e6
    if free < megabytes:
        raise WorkerError(
            f"The disk with '{folder}' has {free:,.0f} MB free, and {megabytes:,.0f} MB are needed. Make room on it, "
            "or choose another folder in Tilehawk's options."
        )


def torch_backend(options: InstallOptions) -> str:
    """What to ask of uv: its own choice of CUDA, but not of the builds for Intel's graphics, which lie idle here.

    uv's "auto" takes those, gigabytes of them, wherever there is an Intel display adapter: on most laptops.
    """
    return "cpu" if options.torch_backend == "auto" and not has_nvidia_driver() else options.torch_backend


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver runs, looked for where uv looks."""
    if "UV_CUDA_DRIVER_VERSION" in os.environ or any(path.is_file() for path in DRIVER_FILES):
        return True
    asked = [shutil.which("nvidia-smi") or SYSTEM_DRIVER, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(asked, capture_output=True, check=False, timeout=10, **quiet()).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def is_translated() -> bool:
    """Whether this process was made for Intel and runs on an Apple processor."""
    if sys.platform != "darwin":
        return False
    asked = ["/usr/sbin/sysctl", "-n", "sysctl.proc_translated"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "1"


def own_python() -> Optional[str]:
    """Interpreter of this process, QGIS's own within QGIS, if the worker could run on it.

    sys.executable is QGIS itself on Windows and macOS, so the interpreter is looked for where Python is installed.
    """
    if not PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1] or is_translated():
        return None
    base, minor = Path(sys.base_exec_prefix), f"python3.{sys.version_info[1]}"
    beside = Path(sys.executable or base).parent / "bin"
    known = [base / "python.exe", base / "python3.exe", base / "bin" / minor, base / "bin" / "python3"]
    known += [beside / minor, beside / "python3"]  # QGIS.app/Contents/MacOS/bin
    return next((str(path) for path in known if path.is_file()), None)


def size_of(*folders: Path) -> int:
    """Bytes on disk of folders; files with several names count once."""
    sizes = {}
    for top, _, names in (step for folder in folders for step in os.walk(folder)):
        for name in names:
            status = Path(top, name).lstat()
            sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def quiet() -> dict[str, Any]:
    """Options of a process that shows no console window on Windows."""
    return {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}


def system() -> str:
    """System, processor and Python of this process, in a line."""
    return f"{platform.platform()}, {platform.machine()}, Python {platform.python_version()}"
