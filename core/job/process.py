"""The worker as a process of the operating system: its environment, its pipes, its death."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any, BinaryIO, Optional

from .errors import WorkerError
from .events import Event, from_line

FOREIGN = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH")
FOREIGN_PREFIXES = ("PROJ_", "GDAL_", "DYLD_", "QGIS_")
SCRATCH_PREFIX = "tilehawk-worker-"
LOG_BYTES_KEPT = 1_000_000  # a log larger than this is started anew
TAIL_BYTES = 32_768
EXIT_SECONDS = 1.5  # a worker whose stdin has ended may take this long to end by itself

_MEMORY = "most likely the memory ran out. Choose a smaller batch size or tile, or close other programs"
_PROCESSOR = "the installed torch does not suit this processor. Set the environment up again"
_CRASH = "a library crashed in native code. If it happens again, set the environment up again"
_LIBRARY = "a system library is missing. Set the environment up again"
DEATHS = {
    -signal.SIGILL: _PROCESSOR,
    -signal.SIGSEGV: _CRASH,
    -signal.SIGABRT: _CRASH,
    -7: _CRASH,  # SIGBUS of Linux
    -9: _MEMORY,  # SIGKILL: the kernel's choice when memory runs out
    0xC0000005: _CRASH,  # access violation
    0xC0000409: _CRASH,  # abort() and damaged stacks
    0xC000001D: _PROCESSOR,
    0xC0000017: _MEMORY,
    0xC0000135: _LIBRARY,
}


def clean_environment(root: str) -> dict[str, str]:
    """Environment variables for the worker's Python: without what QGIS set for its own libraries.

    `root` is the folder that holds `core`.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() not in FOREIGN and not name.upper().startswith(FOREIGN_PREFIXES)
    }
    return {**kept, "PYTHONPATH": root, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}


class WorkerProcess:
    """One running `python -m core run`: lines in, events out, killed with all its children.

    It works in a fresh scratch folder of its own, deleted with it (by itself where its client was killed). Its stderr
    is appended to the log.
    Raises WorkerError where it cannot be started.
    """

    def __init__(self, python: str, root: str, log_path: str, low_priority: bool) -> None:
        self.log_path = log_path
        self._events: queue.Queue[Optional[Event]] = queue.Queue()
        scratch = tempfile.mkdtemp(prefix=SCRATCH_PREFIX)
        self._delete_scratch = weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        with _open_log(log_path) as log:
            self._log_start = log.tell()
            try:
                self._process = subprocess.Popen(
                    [python, "-m", "core", "run"],
                    cwd=scratch,
                    env=clean_environment(root),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    **_platform_options(low_priority),
                )
            except OSError as problem:
                self._delete_scratch()
                raise WorkerError(
                    f"The worker's Python '{python}' cannot be started: {problem.strerror or problem}. "
                    "Set up Tilehawk's environment, or choose another Python in its settings."
                ) from problem
        self.pid = self._process.pid
        if low_priority and sys.platform != "win32":
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PGRP, self.pid, 10)
        self._reader = threading.Thread(target=self._read, name="tilehawk-worker-reader", daemon=True)
        self._reader.start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def send(self, line: str) -> None:
        """Write one line to the worker; a dead one is noticed by `receive`."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line.encode("ascii") + b"\n")
            self._process.stdin.flush()

    def receive(self, seconds: float) -> Optional[Event]:
        """Wait up to `seconds` for the next event, None if there was none; raises EOFError when there are no more."""
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)
            raise EOFError
        return event

    def end(self) -> None:
        """Let the worker end by itself, shortly, then kill what is left of it."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(EXIT_SECONDS)
        self.kill()

    def kill(self) -> None:
        """Kill the worker and its children at once; take its pipes and its scratch folder away."""
        _kill_tree(self._process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._reader.join(1)
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.close()
        if not self._reader.is_alive():  # closing a pipe that is being read would wait for its next line
            self._process.stdout.close()
        self._delete_scratch()

    def death(self) -> str:
        """Say in a sentence why the process ended; call it after the last event."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        return death_sentence(self._process.returncode, self._log_tail())

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in self._process.stdout:
                event = from_line(line.decode("utf-8", "replace"))
                if event is not None:
                    self._events.put(event)
        self._events.put(None)

    def _log_tail(self) -> str:
        try:
            with Path(self.log_path).open("rb") as log:
                size = log.seek(0, os.SEEK_END)
                log.seek(max(self._log_start, size - TAIL_BYTES))
                return log.read().decode("utf-8", "replace")
        except OSError:
            return ""


def death_sentence(returncode: Optional[int], log_tail: str) -> str:
    """Say why a worker died: from its exit code (negative: a POSIX signal; 0xC0…: a Windows status) and its log."""
    last = next((line for line in reversed(log_tail.splitlines()) if line.strip()), "").strip()
    reason = None
    if last.startswith(("ModuleNotFoundError:", "ImportError:")) or "No module named" in last:
        reason = f"its Python environment is incomplete ({last}). Set the environment up again"
    elif returncode is not None:
        reason = DEATHS.get(returncode & 0xFFFFFFFF if returncode < -255 else returncode)
    if reason is None:
        reason = f"exit code {returncode}" + (f", '{last:.200}'" if last else "")
    return f"The worker ended unexpectedly: {reason}."


def _open_log(path: str) -> BinaryIO:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        log = Path(path).open("ab")  # noqa: SIM115  (the caller closes it)
        if log.tell() > LOG_BYTES_KEPT:
            log.truncate(0)
    except OSError as problem:
        raise WorkerError(f"The worker's log '{path}' cannot be written: {problem.strerror or problem}.") from problem
    log.seek(0, os.SEEK_END)
    return log


def _platform_options(low_priority: bool) -> dict[str, Any]:
    if sys.platform != "win32":
        return {"start_new_session": True}
    priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if low_priority else 0
    return {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | priority}


def _kill_tree(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return
    if process.poll() is None:
        taskkill = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "taskkill.exe"
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [str(taskkill), "/F", "/T", "/PID", str(process.pid)],
                creationflags=subprocess.CREATE_NO_WINDOW,
                capture_output=True,
                check=False,
                timeout=5,
            )
        process.kill()
