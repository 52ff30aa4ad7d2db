import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.job.process import clean_environment, death_sentence


def test_the_environment_drops_what_qgis_set_and_keeps_the_rest(monkeypatch):
    dropped = {
        "PYTHONHOME": "/usr",
        "LD_LIBRARY_PATH": "/opt/qgis/lib",
        "PROJ_LIB": "/x",
        "PROJ_DATA": "/x",
        "GDAL_DATA": "/x",
        "GDAL_DRIVER_PATH": "/x",
        "DYLD_LIBRARY_PATH": "/x",
        "QGIS_PREFIX_PATH": "/x",
    }
    for name, value in {**dropped, "PYTHONPATH": "/qgis/python", "HTTPS_PROXY": "http://proxy"}.items():
        monkeypatch.setenv(name, value)
    environment = clean_environment("/plugins/tilehawk")
    assert not set(dropped) & set(environment)
    assert environment["HTTPS_PROXY"] == "http://proxy"
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["PYTHONPATH"] == "/plugins/tilehawk"
    assert [environment[name] for name in ("PYTHONSAFEPATH", "PYTHONUTF8", "PYTHONNOUSERSITE")] == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("returncode", "tail", "sentence"),
    [
        (-9, "", "most likely the memory ran out"),
        (-11, "chatter\n", "a library crashed in native code"),
        (0xC0000005, "", "a library crashed in native code"),
        (0xC0000005 - 2**32, "", "a library crashed in native code"),
        (0xC0000135, "", "a system library is missing"),
        (-4, "", "does not suit this processor"),
        (1, "Traceback\nModuleNotFoundError: No module named 'torch'\n\n", "environment is incomplete (ModuleNotFound"),
        (1, "/usr/bin/python3: No module named core", "environment is incomplete"),
        (3, "last words\n", "exit code 3, 'last words'"),
        (0, "", "exit code 0."),
        (None, "", "exit code None."),
    ],
)
def test_a_death_is_explained(returncode, tail, sentence):
    assert sentence in death_sentence(returncode, tail)


def test_blocked_libraries_are_not_needed():
    modules = "card codec errors events jobs process unfinished worker"
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'rasterio', 'shapely', 'numpy', 'pyproj', 'pyogrio', 'safetensors'):\n"
        "    sys.modules[name] = None\n"
        f"for name in {modules.split()!r}:\n"
        "    __import__('core.job.' + name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path.cwd())
