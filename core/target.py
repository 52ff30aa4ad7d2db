"""The place of a result, looked at before the work: an hour later is too late to learn that it cannot be written."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from .job.errors import OutputError


def require_target(path: str | Path) -> None:
    """Check that a result can be written to `path`, and that what stands there may be replaced; raises OutputError."""
    path = Path(path)
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise OutputError(f"The folder '{path.parent}' is write-protected. Choose another place for the result.")
    if not path.exists():
        return
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder. Choose another name for the result.")
    if not os.access(path, os.W_OK):
        raise OutputError(f"The file '{path}' is write-protected. Choose another name for the result.")
    if _is_open_elsewhere(path):
        raise OutputError(
            f"The file '{path}' is open in another program, maybe as a layer of a QGIS project. Remove the layer, or "
            "choose another name for the result."
        )


def _is_open_elsewhere(path: Path) -> bool:
    """Tell whether another program holds the file: on Windows any, elsewhere one that has a GeoPackage open to edit."""
    try:
        path.rename(path)  # Windows refuses to rename what is open
    except PermissionError:
        return True
    if path.suffix.lower() != ".gpkg":
        return False
    try:
        with closing(
            sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None)
        ) as database:
            # A connection in write-ahead mode holds a shared lock as long as it lives; this asks for an exclusive one.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
    except sqlite3.Error as problem:
        return "locked" in str(problem)
    return False
