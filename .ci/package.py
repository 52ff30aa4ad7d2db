"""Builds the ZIP that QGIS's 'Install from ZIP' takes: what the plugin needs of the tracked files, and nothing else."""

from __future__ import annotations

import argparse
import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "tilehawk"
LIMIT_MB = 25  # plugins.qgis.org takes no more
CONTENT = (
    "metadata.txt",
    "__init__.py",
    "plugin.py",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "pyproject.toml",  # with uv.lock: the worker's environment, made from within QGIS
    "uv.lock",
    "core/",
    "ui/",
    "resources/",
)
LEFT_OUT = ("core/scene/",)  # draws scenes for the demo and the tests
DATE = (1980, 1, 1, 0, 0, 0)  # the same files give the same bytes
READABLE = 0o100644 << 16


def packaged_files(root: Path) -> list[str]:
    """Tracked files that belong into the package, relative to the root, sorted."""
    run = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    return sorted(
        name
        for name in run.stdout.split("\0")
        if name.startswith(CONTENT) and not name.startswith(LEFT_OUT) and "/." not in name
    )


def version(root: Path) -> str:
    """Version in metadata.txt."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(root / "metadata.txt", encoding="utf-8")
    return metadata["general"]["version"]


def build(root: Path, folder: Path, limit_mb: float = LIMIT_MB) -> Path:
    """Write `tilehawk-<version>.zip` into a folder and return its path; exits with a sentence where it is too large."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{NAME}-{version(root)}.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for name in packaged_files(root):
            entry = zipfile.ZipInfo(f"{NAME}/{name}", DATE)
            entry.external_attr = READABLE
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (root / name).read_bytes(), compresslevel=9)
    size_mb = target.stat().st_size / 1e6
    if size_mb > limit_mb:
        target.unlink()
        sys.exit(f"The package has {size_mb:.1f} MB; at most {limit_mb:g} MB are taken.")
    return target


def main() -> None:
    """Build the package and say what it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="where to write the ZIP")
    target = build(ROOT, parser.parse_args().folder)
    with zipfile.ZipFile(target) as archive:
        print(f"{target}: {len(archive.namelist())} files, {target.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
