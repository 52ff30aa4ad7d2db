"""A person's whole way through QGIS, by clicks and keys, in English and in French; paths have spaces and accents."""

import json
import shutil
import subprocess

import pytest

from tests.ui.installed import ROOT, WORKER_PYTHON, make_profile, qgis_environment, run_program

DISPLAY = ["xvfb-run", "-a", "-s", "-screen 0 1400x1000x24"]
missing = [program for program in ("qgis", "xvfb-run") if shutil.which(program) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not on the PATH: {', '.join(missing)}"),
    pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv"),
]
LOCALE = "\n[locale]\noverrideFlag=true\nuserLocale={locale}\n"
TITLES = {"en_US": "Detect objects", "fr": "Détecter des objets"}


@pytest.mark.parametrize("locale", ["en_US", "fr"])
def test_from_a_raster_to_a_reviewed_shapefile(tmp_path, locale):
    folder = tmp_path / "Été à la mer"
    folder.mkdir()
    drawn = [str(WORKER_PYTHON), "-m", "core.scene", "demo", str(folder / "vue aérienne.tif"), "--size", "1024"]
    subprocess.run(drawn, cwd=ROOT, check=True, capture_output=True)
    profile = make_profile(tmp_path / "profile")
    with (profile / "profiles/default/QGIS/QGIS3.ini").open("a") as settings:
        settings.write(LOCALE.format(locale=locale))
    environment = qgis_environment(
        profile,
        QT_QPA_PLATFORM="xcb",
        TILEHAWK_ROOT=str(ROOT),
        TILEHAWK_TEST_FOLDER=str(folder),
        TILEHAWK_PYTHON=str(WORKER_PYTHON),
    )
    script = str(ROOT / "tests/ui/scripted_user.py")
    _, log = run_program([*DISPLAY, "qgis", "--nologo", "--noversioncheck", "--code", script], environment, 400)
    assert (folder / "said.json").exists(), log
    said = json.loads((folder / "said.json").read_text("utf-8"))
    assert "error" not in said, said["error"]
    assert said["title"] == TITLES[locale]
    assert said["layers while trying"] == 0
    assert 10 < said["shown"] <= said["found"]
    assert '"score" >= 0.6' in said["filter"]
    assert said["reviewed"] == ["accepted"] * 6 + ["doubtful"] * 2 + ["rejected"] * 2
    assert said["exported"] > 10
    assert all(len(name) <= 10 for name in said["fields"])
    assert said["crs"]
