"""Where a result is written until it is whole, how that is taken away when it never will be, and what may be kept."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any, Optional, Union

RECORD = "job.json"  # of a partial folder: the process that writes it, `pid`, and what it does, `job`


def unfinished_path(target: Union[str, Path], pid: int) -> Path:
    """Path beside `target`, on the same disk, for the file or folder that process `pid` works in until it is whole."""
    target = Path(target)
    return target.with_name(f".{target.name}.{pid}.part")


def remove_unfinished(target: Union[str, Path], pid: int) -> None:
    """Delete what process `pid` left unfinished for `target`, if anything; parts that a job can resume from stay.

    A job without a target, "", leaves nothing.
    """
    if not str(target):
        return
    path = unfinished_path(target, pid)
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()


def partial_path(target: Union[str, Path]) -> Path:
    """Folder beside `target` that holds what a running job has found so far, and that a job can resume from."""
    target = Path(target)
    return target.with_name(f"{target.name}.partial")


def partial_record(target: Union[str, Path]) -> Optional[dict[str, Any]]:
    """Read who wrote the parts for `target`, and for which job; None where there are none, or no target."""
    if not str(target):
        return None
    try:
        record = json.loads((partial_path(target) / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def remove_partial(target: Union[str, Path], pid: int) -> None:
    """Delete the parts that process `pid` wrote for `target`, if any; those of another process stay."""
    record = partial_record(target)
    if record is not None and record.get("pid") == pid:
        shutil.rmtree(partial_path(target), ignore_errors=True)
