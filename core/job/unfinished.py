"""Where a result is written until it is whole, and how that is taken away when it never will be."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Union


def unfinished_path(target: Union[str, Path], pid: int) -> Path:
    """Path beside `target`, on the same disk, for the file or folder that process `pid` works in until it is whole."""
    target = Path(target)
    return target.with_name(f".{target.name}.{pid}.part")


def remove_unfinished(target: Union[str, Path], pid: int) -> None:
    """Delete what process `pid` left unfinished for `target`, if anything."""
    path = unfinished_path(target, pid)
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()
