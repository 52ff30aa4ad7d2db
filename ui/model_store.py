"""The user's folder of models, and how models get there: from files, folders, and web addresses with a hash."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from qgis.core import QgsApplication

from ..core.job.card import read_card
from ..core.job.environment.downloads import Fetch, Progressed, fetch_checked
from ..core.job.errors import ModelError
from .settings import read_settings
from .wording import tr

SUFFIX = ".safetensors"
SCHEMES = ("https", "http")  # what comes is known by its hash, whoever hands it over
SHA256 = re.compile(r"[0-9a-f]{64}")


def user_folder() -> Path:
    """Folder of the user's own models: that of the settings, else one in the QGIS profile."""
    chosen = read_settings().model_folder
    return Path(chosen) if chosen else Path(QgsApplication.qgisSettingsDirPath()) / "tilehawk" / "models"


def add_models(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Copy model files, and those of folders, into a folder; gives where they are now.

    A model that is there already stays as it is; another one of its name gets a number. Raises ModelError with a
    sentence where one of the files is no model of Tilehawk's, or nothing is found.
    """
    files = [file for path in paths for file in (sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path])]
    if not files:
        raise ModelError(tr("There is no model file (.safetensors) there."))
    for file in files:
        read_card(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_add(file, folder) for file in files]
    except OSError as problem:
        raise ModelError(
            tr("The model cannot be copied to '{folder}': {why}").format(folder=folder, why=problem)
        ) from (problem)


def fetch_model(fetch: Fetch, url: str, sha256: str, folder: Path, progressed: Progressed) -> Path:
    """Fetch a model from a web address into a folder; gives where it is. For any thread.

    `sha256`: of the file, 64 hexadecimal digits, so that nobody can put another one in its place. Raises ModelError
    with a sentence, and what `progressed` raises.
    """
    url, sha256 = check_address(url, sha256)
    name = Path(unquote(urlsplit(url).path)).name
    with tempfile.TemporaryDirectory(prefix="tilehawk-") as scratch:
        path = Path(scratch) / (name if name.endswith(SUFFIX) else f"{Path(name).stem or 'model'}{SUFFIX}")
        try:
            fetch_checked(fetch, url, path, sha256, progressed)
        except OSError as problem:
            if "hash mismatch" in str(problem):
                raise ModelError(
                    tr("What came from '{url}' is not the file that the hash belongs to. It was not kept.").format(
                        url=url
                    )
                ) from problem
            raise ModelError(tr("The model cannot be fetched: {why}").format(why=problem)) from problem
        return add_models([path], folder)[0]


def check_address(url: str, sha256: str) -> tuple[str, str]:
    """Tidy a web address and a hash; raises ModelError with a sentence where one of them is none."""
    url, sha256 = url.strip(), sha256.strip().lower().removeprefix("sha256:")
    if urlsplit(url).scheme not in SCHEMES or not urlsplit(url).netloc:
        raise ModelError(tr("'{url}' is no web address: it begins with https://.").format(url=url))
    if not SHA256.fullmatch(sha256):
        raise ModelError(tr("Give the file's SHA-256, 64 letters and digits, as its publisher states it."))
    return url, sha256


def _add(file: Path, folder: Path) -> Path:
    target, number = folder / file.name, 1
    while target.exists() and target.read_bytes() != file.read_bytes():
        number += 1
        target = folder / f"{file.stem}-{number}{SUFFIX}"
    if not target.exists():
        part = target.with_suffix(".part")
        shutil.copyfile(file, part)
        part.replace(target)
    return target
