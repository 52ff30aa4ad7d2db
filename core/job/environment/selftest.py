"""The proof that a Python can be the worker's: it imports, loads a model and detects on a generated tile."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Callable, Optional

from ..errors import Cancelled
from ..process import clean_environment
from .hardware import has_nvidia_driver
from .log import Log
from .remedies import InstallError, remedy
from .running import follow
from .state import BROKEN, READY, State

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
SECONDS = 600  # the first import of torch from a slow disk, watched by a virus scanner, takes minutes
MARK = "tilehawk self-test: "
SELF_TEST = """
import importlib, importlib.metadata, json, platform, sys, warnings
_, mark, model, *names = sys.argv
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(f"This is Python {platform.python_version()}; Tilehawk's worker needs 3.10 to 3.13.")
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    for name in names:
        importlib.import_module(name)
    import numpy, pyproj, rasterio.crs
    from core.job.card import Architecture, Band, ModelCard, ObjectClass
    from core.retinanet.detector import Detector
    from core.retinanet.network import build_network
    from core.retinanet.weights import load_model
    rasterio.crs.CRS.from_epsg(32632), pyproj.CRS.from_epsg(32632)
    if model:
        card, network = load_model(model)
    else:
        bands = tuple(map(Band, ("red", "green", "blue")))
        card = ModelCard("self-test", (ObjectClass("object"),), bands, None, Architecture("resnet18"))
        network = build_network(card.architecture, 1)
    shape = (1, len(card.bands), 256, 256)
    detector = Detector(card, network)
    detector(numpy.random.default_rng(0).integers(0, 256, shape, dtype=numpy.uint8), 0.05, 0.5)
versions = {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
told = [str(warning.message) for warning in heard]
device = detector.backend
print(mark + json.dumps({
    "device": device.name, "cuda": device.device.type == "cuda", "versions": versions, "warnings": told
}))
"""


def check_python(
    python: str,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    root: Path = ROOT,
    requirements: Path = REQUIREMENTS,
    log: Optional[Log] = None,
) -> State:
    """Find out whether an interpreter can be the worker's, READY or BROKEN; installs nothing. Slow.

    It runs in the worker's clean environment, with what `requirements` names and the code in `root`. Raises Cancelled.
    """
    log = log or Log()
    wanted = read_requirements(requirements)
    model = next((str(path) for path in sorted((root / "resources" / "models").glob("*.safetensors"))), "")
    command = [python, "-c", SELF_TEST, MARK, model, *wanted]
    deadline = time.monotonic() + SECONDS
    late = False

    def stop() -> bool:
        nonlocal late
        late = time.monotonic() > deadline
        return late or cancelled()

    log.write(f"$ {python} -c (self-test)")
    where = Path(python).parent
    try:
        said, code = follow(command, clean_environment(str(root)), str(root), stop, log)
        found = _answer(said)
    except Cancelled:
        if not late:
            raise
        return State(BROKEN, f"'{python}' did not answer within {SECONDS} s. Try again, or repair the environment.")
    except InstallError as problem:
        return State(BROKEN, f"This Python cannot run Tilehawk ('{python}'). {problem}")
    if code or found is None:
        _, sentence = remedy(said, where, code, otherwise="It ended with: {last}.")
        return State(BROKEN, f"This Python cannot run Tilehawk ('{python}'). {sentence}")
    versions = found["versions"]
    unfit = [f"{name} {versions[name]}" for name, bounds in wanted.items() if not _within(versions[name], bounds)]
    if unfit:
        needed = ", ".join(f"{name}{bounds}" for name, bounds in wanted.items())
        return State(BROKEN, f"'{python}' has {', '.join(unfit)}; Tilehawk needs {needed}.", versions=versions)
    sentence = (
        f"Ready: Python {versions['python']}, PyTorch {versions.get('torch', '')}, on {found['device']}."
        f"{_about_graphics(found)}"
    )
    return State(READY, sentence, python, found["device"], versions)


def python_of(environment: Path) -> Path:
    """Interpreter of a virtual environment; it need not exist."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def lists_of(requirements: Path) -> list[Path]:
    """Lists of packages to install: the requirements, and beside them what is of use but not asked of other Pythons."""
    return [path for path in (requirements, requirements.with_name("optional.txt")) if path.exists()]


def read_requirements(path: Path) -> dict[str, str]:
    """Names and bounds of the required packages: {"numpy": ">=2.0,<3", …}. Each is imported by its own name."""
    lines = path.read_text("utf-8").splitlines()
    return dict(re.fullmatch(r"([\w-]+)(.*)", line.strip()).groups() for line in lines if line.strip())


def _answer(said: str) -> Optional[dict[str, Any]]:
    lines = [line for line in said.splitlines() if line.startswith(MARK)]
    return json.loads(lines[-1][len(MARK) :]) if lines else None


def _about_graphics(found: dict[str, Any]) -> str:
    """What to say about an NVIDIA card that stands idle, "" where there is none or it is used."""
    cause, sentence = remedy("\n".join(found["warnings"]), ROOT)
    if cause == "driver":
        return f" {sentence}"
    if has_nvidia_driver() and not found["cuda"]:
        return " The NVIDIA graphics card is not used: this build of PyTorch is for the processor, or finds no card."
    return ""


def _within(version: str, bounds: str) -> bool:
    """Whether a version lies within `>=a,<b`; suffixes such as +cpu and rc1 do not count."""
    low, high = (_numbers(bound) for bound in re.fullmatch(r">=([\d.]+),<([\d.]+)", bounds).groups())
    return low <= _numbers(version) < high


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.match(r"\d+(\.\d+)*", version).group().split(".")))
