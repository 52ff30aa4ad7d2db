"""The rules on rooms and imports, read from the source: arrows point one way, and no foreign library enters QGIS.

plugin → ui → core/job ⇢ verbs → training, accuracy → retinanet → detections, imagery → job; the scene maker stands
beside imagery. Each rule is also tried on a small tree that breaks it.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

GROUND = {"job"}
SEEING = GROUND | {"detections", "imagery"}
ARROWS = {  # room: rooms of ours that it may import, besides itself
    "plugin": {"ui"},
    "ui": {"job"},
    "verbs": SEEING | {"retinanet", "accuracy", "training"},  # the package leaves the scene maker out
    "training": SEEING | {"retinanet", "accuracy"},
    "accuracy": SEEING,
    "retinanet": SEEING,
    "detections": GROUND,
    "imagery": GROUND,
    "scene": GROUND,
    "job": set(),
}
QGIS = {"qgis", "processing"}
VECTORS = {"numpy", "shapely", "pyogrio", "pyproj"}
RASTERS = {"numpy", "rasterio", "affine", "pyproj"}
NETWORK = {"numpy", "openvino", "torch", "torchvision", "safetensors"}
CLUSTER = {"dask", "distributed"}
FOREIGN = {  # room: libraries that it may import, besides the standard library
    "plugin": QGIS,
    "ui": QGIS,
    "verbs": VECTORS | RASTERS | NETWORK | CLUSTER,
    "training": VECTORS | RASTERS | NETWORK,
    "accuracy": {"numpy"},
    "retinanet": NETWORK,
    "detections": VECTORS,
    "imagery": VECTORS | RASTERS,
    "scene": VECTORS | RASTERS,
    "job": set(),
}
IN_QGIS = {"plugin", "ui", "job"}  # what QGIS's own Python runs, which is 3.9 on macOS
WORKER_ONLY = sorted(VECTORS | RASTERS | NETWORK | CLUSTER)
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}


@dataclass(frozen=True)
class Import:
    """One imported module: its dotted path in the tree where it is ours (`core.job.errors`), else its name."""

    path: str
    line: int
    level: int


def sources(root: Path) -> list[Path]:
    """Python files of the product, relative to the root."""
    found = [*root.glob("*.py"), *root.glob("ui/**/*.py"), *root.glob("core/**/*.py")]
    return sorted(path.relative_to(root) for path in found)


def room_of(path: Path) -> str:
    """Room of a file of ours: `plugin`, `ui`, `verbs` for core's own files, else the folder within core."""
    if path.parts[0] != "core":
        return "ui" if path.parts[0] == "ui" else "plugin"
    return path.parts[1] if len(path.parts) > 2 else "verbs"


def imports_of(root: Path, path: Path) -> Iterator[Import]:
    """All imports of a file, also those within functions, and `import_module` with a fixed name."""
    package = list(path.parts[:-1])
    for node in ast.walk(ast.parse((root / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield Import(name.name, node.lineno, 0)
        elif isinstance(node, ast.ImportFrom):
            climbed = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*climbed, *filter(None, [node.module])])
            if node.level > len(package) + 1:
                yield Import("(outside)", node.lineno, node.level)
            for name in node.names:
                yield Import(f"{stem}.{name.name}" if stem else name.name, node.lineno, node.level)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            fixed = [argument for argument in node.args[:1] if isinstance(argument, ast.Constant)]
            yield from (Import(str(argument.value), node.lineno, 0) for argument in fixed)


def broken_arrows(root: Path) -> list[str]:
    """Imports of ours from a room that a file may not know, or written otherwise than relatively."""
    found = []
    for path in sources(root):
        room = room_of(path)
        for imported in imports_of(root, path):
            place = f"{path}:{imported.line}"
            first = imported.path.partition(".")[0]
            if not imported.level:
                if first in ("core", "ui", "plugin", "tilehawk"):
                    found.append(f"{place}: our own modules are imported relatively, not as {imported.path}")
                continue
            if path.parts[0] == "core" and first != "core":
                found.append(f"{place}: climbs out of core")
                continue
            target = target_room(root, imported.path)
            if target != room and target not in ARROWS[room]:
                found.append(f"{place}: {room} may not know {target} ({imported.path})")
    return found


def target_room(root: Path, path: str) -> str:
    """Room of a dotted path of ours; `core.job` itself is the room job."""
    first, _, rest = path.partition(".")
    inner = rest.partition(".")[0]
    if first == "core":
        return inner if inner and (root / "core" / inner).is_dir() else "verbs"
    return "ui" if first == "ui" else "plugin"


def foreign_libraries(root: Path) -> list[str]:
    """Imports of libraries that a room may not use."""
    found = []
    for path in sources(root):
        allowed = FOREIGN[room_of(path)] | sys.stdlib_module_names
        for imported in imports_of(root, path):
            name = imported.path.partition(".")[0]
            if not imported.level and name not in allowed | {"core", "ui", "plugin", "tilehawk"}:
                found.append(f"{path}:{imported.line}: {room_of(path)} may not import {name}")
    return found


def too_new_syntax(root: Path) -> list[str]:
    """Files that QGIS's Python runs and that Python 3.9 could not parse."""
    found = []
    for path in sources(root):
        if room_of(path) in IN_QGIS:
            try:
                ast.parse((root / path).read_text("utf-8"), feature_version=(3, 9))
            except SyntaxError as problem:
                found.append(f"{path}:{problem.lineno}: not valid in Python 3.9: {problem.msg}")
    return found


def vague_names(root: Path) -> list[str]:
    """Files and folders named after no job."""
    return [
        str(path)
        for path in sources(root)
        if VAGUE_NAMES & {word for part in path.with_suffix("").parts for word in part.lower().split("_")}
    ]


def unimportable_job_modules(root: Path) -> list[str]:
    """Modules of core/job that do not import where the worker's libraries and QGIS are absent."""
    script = f"""
import importlib, pkgutil, sys
for name in {[*WORKER_ONLY, *QGIS]!r}:
    sys.modules[name] = None
import core.job
for module in pkgutil.walk_packages(core.job.__path__, "core.job."):
    try:
        importlib.import_module(module.name)
    except ImportError as problem:
        print(module.name, problem)
"""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return [*run.stdout.splitlines(), *run.stderr.splitlines()]


RULES = [
    broken_arrows,
    foreign_libraries,
    too_new_syntax,
    vague_names,
    unimportable_job_modules,
]


@pytest.mark.parametrize("rule", RULES)
def test_the_code_keeps_the_rule(rule):
    assert rule(ROOT) == []


def test_every_room_is_known():
    assert {room_of(path) for path in sources(ROOT)} <= set(ARROWS)


def test_arrows_form_no_circle():
    rank = {}
    while len(rank) < len(ARROWS):
        ready = {room for room, known in ARROWS.items() if room not in rank and known <= rank.keys()}
        assert ready, f"a circle among {ARROWS.keys() - rank.keys()}"
        rank.update(dict.fromkeys(ready, len(rank)))


@pytest.fixture
def tree(tmp_path):
    """A tree with all rooms that keeps every rule."""
    good = {
        "__init__.py": "def classFactory(iface):\n    from .plugin import Plugin\n    return Plugin(iface)\n",
        "plugin.py": "from qgis.PyQt.QtCore import Qt\nfrom .ui.provider import Provider\n",
        "ui/__init__.py": "",
        "ui/provider.py": "import processing\nfrom qgis.core import Qgis\nfrom ..core.job.jobs import Job\n",
        "ui/algorithms/detect.py": "from ...core.job import jobs\nfrom ..provider import Provider\n",
        "core/__init__.py": "",
        "core/detect.py": "from . import session\nfrom .job.jobs import Job\nfrom .retinanet import detector\n",
        "core/session.py": "import json\n",
        "core/job/__init__.py": "",
        "core/job/jobs.py": "import json\nfrom .errors import InvalidJob\n",
        "core/job/errors.py": "class InvalidJob(Exception): ...\n",
        "core/imagery/raster.py": "import rasterio\nfrom ..job.errors import InvalidJob\n",
        "core/detections/detections.py": "import numpy as np\n",
        "core/retinanet/detector.py": "import torch\nfrom ..detections.detections import Detections\n",
        "core/accuracy/metrics.py": "from ..detections.detections import Detections\n",
        "core/training/loop.py": "from ..accuracy import metrics\nfrom ..retinanet.detector import Detector\n",
        "core/scene/scene.py": "import numpy\nfrom ..job.errors import InvalidJob\n",
    }
    for name, text in good.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_good_tree_keeps_all_rules(tree):
    assert {rule.__name__: rule(tree) for rule in RULES} == {rule.__name__: [] for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "file", "line"),
    [
        (broken_arrows, "core/detections/detections.py", "from ..retinanet.detector import Detector"),
        (broken_arrows, "core/detections/detections.py", "from .. import retinanet"),
        (broken_arrows, "core/detections/detections.py", "from ..detect import detect"),
        (broken_arrows, "core/imagery/raster.py", "from ..detections import detections"),
        (broken_arrows, "core/accuracy/metrics.py", "from ..training.loop import fit"),
        (broken_arrows, "core/retinanet/detector.py", "from ..scene.scene import draw"),
        (broken_arrows, "core/scene/scene.py", "from ..imagery.raster import open_raster"),
        (broken_arrows, "core/job/jobs.py", "from ..detect import detect"),
        (broken_arrows, "core/job/jobs.py", "from .. import detect"),
        (broken_arrows, "core/job/jobs.py", "from core.job.errors import InvalidJob"),
        (broken_arrows, "core/detect.py", "def f():\n    from ..ui.provider import Provider"),
        (broken_arrows, "core/detect.py", "from .. import plugin"),
        (broken_arrows, "core/detect.py", "from .scene.scene import draw"),
        (broken_arrows, "core/detect.py", "import tilehawk.core.job"),
        (broken_arrows, "ui/provider.py", "from ..core.detect import detect"),
        (broken_arrows, "ui/provider.py", "from ..core import detect"),
        (broken_arrows, "ui/provider.py", "from .. import core"),
        (broken_arrows, "ui/provider.py", "from ..core.imagery.raster import open_raster"),
        (broken_arrows, "ui/algorithms/detect.py", "from ...plugin import Plugin"),
        (broken_arrows, "plugin.py", "from .core.job.jobs import Job"),
        (foreign_libraries, "ui/provider.py", "import numpy as np"),
        (foreign_libraries, "ui/provider.py", "import importlib\nimportlib.import_module('torch.nn')"),
        (foreign_libraries, "ui/provider.py", "from PyQt5.QtCore import Qt"),
        (foreign_libraries, "ui/provider.py", "def f():\n    from shapely import box"),
        (foreign_libraries, "plugin.py", "from PyQt6 import QtWidgets"),
        (foreign_libraries, "core/detect.py", "from qgis.core import QgsRasterLayer"),
        (foreign_libraries, "core/retinanet/detector.py", "import PyQt5"),
        (foreign_libraries, "core/retinanet/detector.py", "import rasterio.io"),
        (foreign_libraries, "core/imagery/raster.py", "import torch"),
        (foreign_libraries, "core/job/jobs.py", "import yaml"),
        (foreign_libraries, "core/job/jobs.py", "from qgis.PyQt.QtCore import QObject"),
        (too_new_syntax, "core/job/jobs.py", "match 1:\n    case _: pass"),
        (too_new_syntax, "ui/provider.py", "try: pass\nexcept* OSError: pass"),
        (vague_names, "core/utils.py", ""),
        (vague_names, "ui/helpers/boxes.py", ""),
        (vague_names, "core/job/job_manager.py", ""),
        (vague_names, "core/common/__init__.py", ""),
        (unimportable_job_modules, "core/job/jobs.py", "import numpy"),
        (unimportable_job_modules, "core/job/jobs.py", "import torch"),
        (unimportable_job_modules, "core/job/__init__.py", "from qgis.PyQt.QtCore import QObject"),
    ],
)
def test_a_violation_is_found(tree, rule, file, line):
    path = tree / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + line + "\n")
    assert rule(tree)
