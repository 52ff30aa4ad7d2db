"""One installation at a time, however many QGIS run: a lock that the operating system drops with its process."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Optional

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
ATTEMPTS, PAUSE_SECONDS = 10, 0.05  # `holder` of another process may have the lock for an instant
LOCKED_BYTE = 1 << 30  # far behind the text: Windows keeps others from reading a locked byte


class Busy(Exception):
    """Another process, or another thread of this one, holds the lock."""


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which names its holder's process; raises Busy."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        for attempt in range(ATTEMPTS):
            if _take(file):
                break
            if attempt == ATTEMPTS - 1:
                raise Busy
            time.sleep(PAUSE_SECONDS)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        try:
            yield
        finally:
            _release(file)


def holder(path: Path) -> Optional[int]:
    """Process that holds the lock, None where nobody does; 0 where it has not yet said which it is."""
    try:
        with path.open("rb+", buffering=0) as file:
            if _take(file):
                _release(file)
                return None
            return int(file.read(20) or 0)
    except (OSError, ValueError):
        return None


def _take(file: BinaryIO) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
    except OSError as problem:
        file.seek(0)
        return problem.errno not in BUSY  # a network disk without locks: better none than no installation
    return True


def _release(file: BinaryIO) -> None:
    with contextlib.suppress(OSError):
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_UN)
        else:
            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
