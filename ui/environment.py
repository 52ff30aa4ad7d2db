"""The Python that the worker runs in: which one it is, whether it is complete, and how it is made."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QStandardPaths

from ..core.job.errors import Cancelled, WorkerError
from ..core.job.process import clean_environment
from ..core.job.worker import Worker
from .settings import Settings
from .wording import tr

ROOT = Path(__file__).parent.parent
VARIABLE = "TILEHAWK_PYTHON"
CHECK_SECONDS = 180.0  # a first import of torch from a slow disk takes more than a minute
SET_UP_SECONDS = 7200.0  # 3 GB over a slow line
CHECK_CODE = """
import json, platform, torch, torchvision, rasterio, shapely, safetensors, pyogrio, pyproj
device = "CPU"
if torch.backends.mps.is_available():
    device = "Apple GPU"
if torch.cuda.is_available():
    device = torch.cuda.get_device_name(0)
found = {module.__name__: module.__version__ for module in (torch, torchvision, rasterio)}
print(json.dumps({"python": platform.python_version(), "device": device, **found}))
"""


def own_environment() -> Path:
    """Folder of the environment that 'Set up' makes: in the user's data folder, shared by all QGIS profiles."""
    data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
    return Path(data) / "tilehawk" / "python"


def python_of(environment: Path) -> Path:
    """Interpreter of a virtual environment; it need not exist."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def find_python(settings: Settings) -> str:
    """Choose the worker's interpreter.

    The one in the settings, else of the variable TILEHAWK_PYTHON, else `.venv` beside the plugin's code (a developer's
    checkout), else the environment that 'Set up' has made. Raises WorkerError that says where to set it.
    """
    chosen = settings.python or os.environ.get(VARIABLE, "")
    if chosen:
        if not Path(chosen).is_file():
            where = tr("Tilehawk's options") if settings.python else tr("the variable {name}").format(name=VARIABLE)
            raise WorkerError(
                tr("The Python interpreter '{path}' set in {where} does not exist.").format(path=chosen, where=where)
            )
        return chosen
    for environment in (ROOT / ".venv", own_environment()):
        if python_of(environment).is_file():
            return str(python_of(environment))
    raise WorkerError(
        tr(
            "Tilehawk needs its own Python environment with PyTorch. "
            "Set it up in Settings > Options > Tilehawk, or choose an interpreter there."
        )
    )


def open_worker(python: str) -> Worker:
    """Start the worker; its log lies in the QGIS profile."""
    log = Path(QgsApplication.qgisSettingsDirPath()) / "tilehawk" / "worker.log"
    return Worker(python, root=str(ROOT), log_path=str(log))


def check_python(python: str, cancelled: Callable[[], bool] = lambda: False) -> dict[str, str]:
    """Ask an interpreter for its versions and its device: 'python', 'torch', 'torchvision', 'rasterio', 'device'.

    Slow: it imports torch. Raises WorkerError that says what is missing, Cancelled where asked to stop.
    """
    code, lines = _run([python, "-c", CHECK_CODE], {}, lambda line: None, cancelled, CHECK_SECONDS)
    if code == 0:
        for line in reversed(lines):
            with contextlib.suppress(ValueError):
                return json.loads(line)
    said = lines[-1] if lines else tr("it said nothing")
    raise WorkerError(tr("This Python cannot run Tilehawk: {said}").format(said=said))


def set_up(said: Callable[[str], None], cancelled: Callable[[], bool]) -> str:
    """Make the worker's environment with uv, from the locked list of packages; give its interpreter. Takes minutes.

    `said` gets uv's lines from another thread. Raises WorkerError that says what failed, Cancelled where asked to stop.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise WorkerError(
            tr(
                "The installer 'uv' was not found. Install it (https://docs.astral.sh/uv), start QGIS again and "
                "repeat, or choose a Python that has PyTorch."
            )
        )
    own_environment().parent.mkdir(parents=True, exist_ok=True)
    command = [uv, "sync", "--frozen", "--no-default-groups", "--no-progress", "--project", str(ROOT)]
    where = {"UV_PROJECT_ENVIRONMENT": str(own_environment())}
    code, lines = _run(command, where, said, cancelled, SET_UP_SECONDS)
    if code:
        raise WorkerError(tr("The set-up failed: {said}").format(said=lines[-1] if lines else code))
    return str(python_of(own_environment()))


def _run(
    command: list[str],
    variables: dict[str, str],
    said: Callable[[str], None],
    cancelled: Callable[[], bool],
    seconds: float,
) -> tuple[int, list[str]]:
    """Run a program, give its exit code and its lines; raises WorkerError where it cannot start or takes too long."""
    lines: list[str] = []

    def follow() -> None:
        for line in process.stdout:
            if line.strip():
                lines.append(line.strip())
                said(line.strip())

    options = {"creationflags": subprocess.CREATE_NO_WINDOW} if sys.platform == "win32" else {}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    environment = {**clean_environment(str(ROOT)), **variables}
    deadline = time.monotonic() + seconds
    try:
        process = subprocess.Popen(command, env=environment, text=True, errors="replace", **pipes, **options)
    except OSError as problem:
        why = problem.strerror or problem
        raise WorkerError(tr("'{path}' cannot be started: {why}.").format(path=command[0], why=why)) from problem
    with process:
        reader = threading.Thread(target=follow, daemon=True)
        reader.start()
        while process.poll() is None and not cancelled() and time.monotonic() < deadline:
            time.sleep(0.1)
        ended = process.poll() is not None
        process.kill()
        reader.join(1)
    if not ended and cancelled():
        raise Cancelled
    if not ended:
        raise WorkerError(tr("'{path}' did not end within {n} s.").format(path=command[0], n=round(seconds)))
    return process.returncode, lines
