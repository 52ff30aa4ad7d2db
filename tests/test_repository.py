"""What every checkout keeps, whatever is added: complete metadata, one version, text, and no trace of a machine."""

import configparser
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TOP = {
    ".ci",
    ".gitignore",
    ".secrets.baseline",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "__init__.py",
    "core",
    "metadata.txt",
    "plugin.py",
    "pyproject.toml",
    "resources",
    "tests",
    "ui",
    "uv.lock",
}
METADATA = (  # what plugins.qgis.org asks for, and what QGIS needs to find the algorithms and to show the plugin well
    *("name", "description", "about", "version", "author", "email", "repository", "tracker", "homepage", "license"),
    *("qgisMinimumVersion", "tags", "category", "icon", "changelog", "hasProcessingProvider"),
)
GPL2_SHA256 = "8177f97513213526df2cf6184d8ff986c675afb514d4e68a404010521b880643"  # pragma: allowlist secret
BINARY = re.compile(r"resources/(models/[\w-]+\.safetensors|[\w/-]+\.(png|qm))")
HOMES = ("home", "Users", "root", "work")
PLACEHOLDERS = r"(?!you/|user/|me/|\.\.\.|…)"
MACHINE_PATH = re.compile(rf"(?<![\w.~$}}\])])/(?:{'|'.join(HOMES)})/{PLACEHOLDERS}[\w.-]+|\b[A-Z]:\\Users\\\w+")


def tracked(root: Path) -> list[str]:
    if not (root / ".git").exists() or shutil.which("git") is None:
        pytest.skip("only a git checkout knows which files belong to the project")
    run = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    return [name for name in run.stdout.split("\0") if name and (root / name).exists()]


def project(name: str) -> str:
    """Value of a text in the section [project] of pyproject.toml."""
    found = re.search(rf'^{name} = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found.group(1)


def metadata(root: Path) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(root / "metadata.txt", encoding="utf-8")
    return dict(parser["general"])


def machine_paths(text: str) -> list[str]:
    return MACHINE_PATH.findall(text)


def is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False


def test_the_top_holds_what_it_should():
    assert {name.partition("/")[0] for name in tracked(ROOT)} == TOP


def test_metadata_is_complete():
    given = metadata(ROOT)
    assert [name for name in METADATA if not given.get(name, "").strip()] == []
    assert (ROOT / given["icon"]).is_file()
    assert given["hasProcessingProvider"] == "yes"
    assert tuple(map(int, given["qgisMinimumVersion"].split("."))) >= (3, 40)
    assert given["license"] == "GPL-2.0-or-later"


def test_there_is_one_version():
    latest = re.search(r"^## \[?([\d.]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert latest is not None
    assert metadata(ROOT)["version"] == project("version") == latest.group(1)


def test_the_licence_is_the_gpl_2():
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == GPL2_SHA256
    assert project("license") == "GPL-2.0-or-later"


def test_every_file_is_text_or_an_allowed_binary():
    strange = [name for name in tracked(ROOT) if not BINARY.fullmatch(name) and not is_text((ROOT / name).read_bytes())]
    assert strange == []


def test_no_file_names_a_machine():
    texts = {name: (ROOT / name).read_bytes() for name in tracked(ROOT) if not BINARY.fullmatch(name)}
    own = Path(__file__).relative_to(ROOT).as_posix()
    found = {
        name: paths
        for name, content in texts.items()
        if name != own and (paths := machine_paths(content.decode("utf-8", "replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("open('/home/ada/pools.tif')", 1),
        ("see /work/main/core", 1),
        ("cache in /root/.cache", 1),
        (r"C:\Users\Ada\pools.tif", 1),
        ("/Users/ada/x and /home/ada/y", 2),
        ("https://example.org/home/page", 0),
        ("~/work/pools.tif, $HOME/tmp/x, ../work/x", 0),
        ("/usr/bin/python3", 0),
        ("/home/you/pools.tif", 0),
        ("/home", 0),
    ],
)
def test_paths_of_a_machine_are_seen(text, count):
    assert len(machine_paths(text)) == count


def test_bytes_and_other_encodings_are_no_text():
    assert is_text("Größe 0.6 m²".encode())
    assert not is_text(b"PK\x03\x04\x00\x00")
    assert not is_text("Größe".encode("latin-1"))
