"""What jobs check before anything is opened; each raises InvalidJob with a sentence."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import InvalidJob

DEVICES = ("auto", "cpu", "cuda", "mps")
LANGUAGES = ("en", "de", "es", "fr", "ja", "pt")  # of reports
ADDRESS = re.compile(r"((tcp|tls|ws|wss)://)?([\w.-]+|\[[\da-fA-F:]+\]):\d+/?")
VECTOR_SUFFIXES = (".gpkg", ".shp", ".geojson", ".fgb", ".parquet")


def is_gdal_name(raster: str) -> bool:
    """Tell whether a raster's name is one only GDAL understands (`/vsicurl/…`, `WMS:…`, `GPKG:…:…`), no file path."""
    return raster.startswith("/vsi") or (":" in raster[2:] and not os.path.exists(raster))  # noqa: PTH110


def require_file(path: str, what: str) -> None:
    """Refuse a file that is not named, does not exist or is not named in full."""
    if not path:
        raise InvalidJob(f"Choose the {what}.")
    if not os.path.exists(path):  # noqa: PTH110  (takes any text, also one that is no valid path)
        raise InvalidJob(f"The {what} '{path}' does not exist.")
    if not os.path.isabs(path):  # noqa: PTH117
        raise InvalidJob(f"The {what} '{path}' needs its full path.")


def require_layer(source: str, what: str) -> None:
    """Refuse a layer, `file` or `file|layername=x`, whose file does not exist."""
    require_file(source.split("|", maxsplit=1)[0], what)


def require_folder_of(path: str, what: str) -> None:
    """Refuse a target that is not named in full or whose folder does not exist."""
    if not os.path.isabs(path):  # noqa: PTH117
        raise InvalidJob(f"The {what} '{path}' needs its full path.")
    if not Path(path).parent.is_dir():
        raise InvalidJob(f"The folder '{Path(path).parent}' for the {what} does not exist.")


def require_vector_target(path: str) -> None:
    """Refuse a result of a format that is not written, or whose folder does not exist."""
    if Path(path).suffix.lower() not in VECTOR_SUFFIXES:
        raise InvalidJob(f"Results are written as {', '.join(VECTOR_SUFFIXES)}, not as '{Path(path).name}'.")
    require_folder_of(path, "result")


def require_device(device: str) -> None:
    """Refuse a device that is unknown."""
    if device not in DEVICES:
        raise InvalidJob(f"The device '{device}' is unknown; choose one of {', '.join(DEVICES)}.")


def require_language(language: str) -> None:
    """Refuse a language that no report speaks."""
    if language not in LANGUAGES:
        raise InvalidJob(f"The language '{language}' is unknown; choose one of {', '.join(LANGUAGES)}.")


def require_address(address: str) -> None:
    """Refuse what cannot be the address of a cluster's scheduler."""
    if not ADDRESS.fullmatch(address):
        raise InvalidJob(f"The address of the cluster, '{address}', is not one such as tcp://host:8786.")
