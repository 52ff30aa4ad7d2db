"""Running a program to its end: its lines as they come, its death when the user cancels."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

from ..errors import Cancelled
from .hardware import quiet
from .log import Log
from .remedies import InstallError

POLL_SECONDS = 0.1


def follow(
    command: Sequence[str],
    environment: dict[str, str],
    folder: str,
    cancelled: Callable[[], bool],
    log: Log,
    heard: Callable[[str], None] = lambda line: None,
    tick: Callable[[], None] = lambda: None,
) -> tuple[str, int]:
    """Run a program; give its output and exit code. `heard` gets its lines, `tick` is called every 0.1 s.

    Raises Cancelled after killing it, InstallError where it cannot be started.
    """
    lines: list[str] = []
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(list(command), env=environment, cwd=folder, **pipes, **quiet())
    except OSError as problem:
        log.write(str(problem))
        raise InstallError(str(problem), Path(folder)) from problem

    def read() -> None:
        for line in process.stdout:
            lines.append(line.decode("utf-8", "replace").rstrip())
            log.write(lines[-1])
            heard(lines[-1])

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(POLL_SECONDS)
            tick()
            if cancelled():
                raise Cancelled
    finally:
        if reader.is_alive():
            process.kill()
        process.wait()
    reader.join(1)
    return "\n".join(lines), process.returncode
