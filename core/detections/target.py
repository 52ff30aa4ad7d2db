"""Where a result goes: written in a scratch folder on the same disk, moved into place when it is whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

from ..job.errors import OutputError
from ..job.unfinished import remove_unfinished, unfinished_path

PROBE_BYTES = 1_000_000  # more than drivers keep to themselves until a file is closed
SPACE_BYTES = 5_000_000  # where less is left after a failure, that is what it failed for


@contextmanager
def staged(target: Path, stale: Iterable[Path] = ()) -> Iterator[Path]:
    """Give a scratch folder; move all that was written there beside `target` at the end, and delete `stale` files.

    Nothing is changed at the target, and no scratch is left, where anything fails. Raises OutputError for what the
    disk, the file system or the driver refuses.
    """
    scratch = unfinished_path(target, os.getpid())
    try:
        with refusals_told(target):
            remove_unfinished(target, os.getpid())
            scratch.mkdir()
            yield scratch
            written = sorted(scratch.iterdir(), key=lambda path: path.name != target.name)
            _settle(scratch, written)
            require_closed(target)
            for path in written:  # the target itself first: where it is locked, nothing has been changed
                path.replace(target.with_name(path.name))
            for path in stale:
                if path.name not in {new.name for new in written}:
                    path.unlink(missing_ok=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def refusals_told(target: Path) -> Iterator[None]:
    """Turn what the disk, the file system or the driver refuses into an OutputError about `target`."""
    try:
        yield
    except (OSError, sqlite3.Error, DataSourceError, DataLayerError, FeatureError) as problem:
        raise OutputError(_sentence(target, problem)) from problem


def _settle(scratch: Path, written: Iterable[Path]) -> None:
    """Have everything on the disk before it replaces what was there.

    Fails where the disk is full: GDAL does not tell when the last of a file finds no room as it is closed.
    """
    for path in written:
        with path.open("r+b") as file:
            os.fsync(file.fileno())
    probe = scratch / "probe"
    with probe.open("wb") as file:
        file.write(bytes(PROBE_BYTES))
        file.flush()
        os.fsync(file.fileno())
    probe.unlink()


def require_closed(target: Path) -> None:
    """Refuse a GeoPackage that somebody else has open: its write-ahead log would be applied to the new file."""
    log = target.with_name(target.name + "-wal")
    if target.is_dir():
        raise OutputError(f"'{target}' is a folder. Choose a file name for the result.")
    if not log.exists():
        return
    try:
        with closing(sqlite3.connect(target, timeout=0.5)) as database:
            database.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        pass  # locked, or no database: the log is still there then
    if log.exists():
        raise OutputError(_in_use(target))


def _sentence(target: Path, problem: Exception) -> str:
    text = str(problem)
    if not target.parent.is_dir():
        return f"The folder '{target.parent}' does not exist."
    if isinstance(problem, PermissionError):
        writable = os.access(target.parent, os.W_OK)
        return _in_use(target) if writable else f"The folder '{target.parent}' is read-only. Choose another one."
    if "disk is full" in text or shutil.disk_usage(target.parent).free < SPACE_BYTES:
        return f"'{target}' cannot be written: the disk is full. Free some space, or choose another disk."
    reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else text
    return f"'{target}' cannot be written: {reason.rstrip('.')}."


def _in_use(target: Path) -> str:
    return f"'{target}' is open in another program or protected. Close it there, or choose another name."
