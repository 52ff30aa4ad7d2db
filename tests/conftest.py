"""The root folder as the package `tilehawk`, as QGIS loads it, whatever the folder's name; and what cannot run here.

The worker's environment has no QGIS and QGIS's Python no torch: each collects its own half of the tests.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MISSING = {"ui": "qgis", "core": "torch", "qt6": "PyQt6"}

left_out = {folder: module for folder, module in MISSING.items() if importlib.util.find_spec(module) is None}
collect_ignore = sorted(left_out)


def pytest_report_header() -> list[str]:
    return [f"tests/{folder}: not collected, as '{module}' is missing here" for folder, module in left_out.items()]


def register_plugin() -> None:
    spec = importlib.util.spec_from_file_location(
        "tilehawk", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["tilehawk"] = module
    spec.loader.exec_module(module)


register_plugin()
