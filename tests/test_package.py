"""The ZIP for 'Install from ZIP': only what the plugin needs, the same bytes each time, and QGIS takes it."""

import importlib.util
import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.ui.installed import make_profile, qgis_environment, qgis_process

ROOT = Path(__file__).resolve().parents[1]
BINARY = re.compile(r"tilehawk/resources/(models/[\w-]+\.safetensors|[\w/-]+\.(png|qm))")

specification = importlib.util.spec_from_file_location("package", ROOT / ".ci" / "package.py")
package = importlib.util.module_from_spec(specification)
specification.loader.exec_module(package)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    if not (ROOT / ".git").exists():
        pytest.skip("a package is made of a git checkout's files")
    return package.build(ROOT, tmp_path_factory.mktemp("package"))


def test_it_holds_one_folder_with_what_the_plugin_needs(archive):
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    assert archive.name == f"tilehawk-{package.version(ROOT)}.zip"
    assert {name.partition("/")[0] for name in names} == {"tilehawk"}
    top = {name.split("/")[1] for name in names}
    needed = {
        "metadata.txt",
        "__init__.py",
        "plugin.py",
        "LICENSE",
        "pyproject.toml",
        "uv.lock",
        "core",
        "ui",
        "resources",
    }
    assert needed <= top <= needed | {"README.md", "CHANGELOG.md"}
    assert not [name for name in names if re.search(r"/\.|__pycache__|\.pyc$|/tests?/|/core/scene/", name)]


def test_all_but_models_and_pictures_is_text(archive):
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist() if not BINARY.fullmatch(name)}
    assert [name for name, content in contents.items() if b"\0" in content] == []


def test_the_same_files_give_the_same_bytes(archive, tmp_path):
    assert package.build(ROOT, tmp_path).read_bytes() == archive.read_bytes()


def test_a_package_too_large_is_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"at most 0\.001 MB"):
        package.build(ROOT, tmp_path, limit_mb=0.001)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(shutil.which("qgis_process") is None, reason="QGIS is not installed here")
def test_qgis_takes_it(archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path)
    environment = qgis_environment(make_profile(tmp_path / "profile", tmp_path / "tilehawk"))
    assert "tilehawk:detect" in qgis_process(["list"], environment).split()
