"""One installation: steps that can be cut off anywhere and are taken up again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Callable

from ..events import Report, notice
from .hardware import expected_build, index_build, own_python, require_space, sizes_mb, torch_backend
from .progress import Progress
from .remedies import OUT_OF_REACH, InstallError
from .selftest import lists_of, python_of, read_requirements
from .uv import Uv

MANAGED = "3.12"
ANY_PYTHON = ">=3.10,<3.14"
TORCH_HOST = re.compile(r"//download[\w.-]*\.pytorch\.org")
TORCH = ("torch", "torchvision")


class Installation:
    """Makes an environment for `requirements` in a folder within `home`; `steps.json` there says what is done.

    uv fetches all that a step needs before it installs any of it: a step that failed in that is simply done again. One
    that was killed, or failed later, may have left half a package that uv takes for a whole one: the next attempt
    begins in a fresh folder, with what was downloaded.
    """

    def __init__(
        self,
        home: Path,
        requirements: Path,
        uv: Uv,
        progress: Progress,
        report: Report,
        cancelled: Callable[[], bool],
    ) -> None:
        self.home = home
        self.requirements = requirements
        self.uv = uv
        self.options = uv.options
        self.progress = progress
        self.report = report
        self.cancelled = cancelled

    def run(self) -> str:
        """Take the steps that are left; give the interpreter. Raises InstallError and Cancelled."""
        self._resume()
        for step, work in (("python", self._python), ("torch", self._torch), ("libraries", self._libraries)):
            if step not in self.done:
                self.progress.begin(step)
                with self._doing(step):
                    work()
        return str(self.python)

    @property
    def environment(self) -> Path:
        """Folder of the environment, within home."""
        return self.home / self.name

    @property
    def python(self) -> Path:
        """Interpreter of the environment."""
        return python_of(self.environment)

    def _resume(self) -> None:
        """Go on in the last attempt's folder, if its steps ended by themselves and were those of the same options."""
        choice = [self.options.torch_backend, self.options.python, self.options.offline_folder]
        numbers = [int(path.name) for path in self.home.iterdir() if path.name.isdecimal()]
        self.name, self.done, self.choice = str(max(numbers, default=0)), [], choice
        with contextlib.suppress(OSError, ValueError, KeyError):
            last = json.loads((self.home / "steps.json").read_text("utf-8"))
            if last["choice"] == choice and not last["doing"] and python_of(self.home / last["name"]).is_file():
                self.name, self.done = last["name"], last["done"]
        if not self.done:
            self.name = str(int(self.name) + 1)

    @contextlib.contextmanager
    def _doing(self, step: str) -> Iterator[None]:
        self._note(step)
        try:
            yield
        except InstallError as problem:
            if problem.code in (1, 2) and "Failed to install" not in problem.said:
                self._note("")
            raise
        self.done.append(step)
        self._note("")

    def _note(self, doing: str) -> None:
        steps = {"name": self.name, "done": self.done, "doing": doing, "choice": self.choice}
        write_whole(self.home / "steps.json", json.dumps(steps))

    def _python(self) -> None:
        """Make the empty environment on the first Python that will do."""
        failures = []
        for arguments in self._pythons():
            try:
                return self._run("venv", "--clear", "--no-project", *arguments, str(self.environment))
            except InstallError as problem:
                failures.append(problem)
        telling = (problem for problem in failures if problem.cause in ("proxy", "certificate", "disk full", "rights"))
        raise next(telling, failures[-1])

    def _pythons(self) -> Iterator[list[str]]:
        """Arguments of uv for each Python to try: the one chosen; or uv's own, the system's, QGIS's."""
        only_there = ["--no-python-downloads", "--python"]
        if self.options.python:
            yield [*only_there, self.options.python]
            return
        if self.options.offline_folder is None:
            yield ["--managed-python", "--python", MANAGED]
        yield ["--no-managed-python", *only_there, self._offline_version() or ANY_PYTHON]
        own = own_python()
        if own:
            yield [*only_there, own]

    def _offline_version(self) -> str:
        """Python version that the offline folder's torch was made for, as 3.12; "" without such a folder."""
        names = [path.name for path in Path(self.options.offline_folder or os.devnull).glob("torch-*.whl")]
        found = re.search(r"-cp3(\d+)-", names[0]) if names else None
        return f"3.{found[1]}" if found else ""

    def _torch(self) -> None:
        """Install PyTorch for the hardware found, from its own index, which has a build for each; else the default."""
        wanted = [name for name in TORCH if name in read_requirements(self.requirements)]
        arguments = ["--constraints", str(self.requirements), *wanted]
        backend = torch_backend(self.options)
        if backend != "default" and not self.options.offline_folder:
            try:
                return self._pip_install("--torch-backend", backend, *arguments)
            except InstallError as problem:
                out_of_reach = problem.cause in OUT_OF_REACH and TORCH_HOST.search(problem.said)
                if not out_of_reach or self.options.torch_backend != "auto":
                    raise
            instead, wanted_build = index_build(), expected_build(self.options)
            download_mb, disk_mb = sizes_mb(self.options, instead)
            told = UNREACHABLE.format(build=instead, size=download_mb)
            self.report(notice(told, "info" if instead == wanted_build else "warning"))
            require_space(self.uv.folder, disk_mb)
        return self._pip_install(*arguments)

    def _libraries(self) -> None:
        """Install the rest, with PyTorch held at what it is: its build must not be exchanged for another."""
        frozen = self._run("pip", "freeze", "--python", str(self.python))
        pins = [line for line in frozen.splitlines() if line.partition("==")[0] in TORCH]
        held = self.home / "held.txt"
        held.write_text("\n".join(pins), "utf-8")
        required, *optional = lists_of(self.requirements)
        self._pip_install("--requirements", str(required), "--constraints", str(held))
        for path in optional:
            with contextlib.suppress(InstallError):  # it is in the log; a folder of packages may lack them
                self._pip_install("--requirements", str(path), "--constraints", str(held))

    def _pip_install(self, *arguments: str) -> None:
        offline = self.options.offline_folder
        source = ["--no-index", "--find-links", offline] if offline else []
        self._run("pip", "install", "--no-build", "--python", str(self.python), *source, *arguments)

    def _run(self, *arguments: str) -> str:
        return self.uv.run(arguments, self.cancelled, self.progress.heard, self.progress.tick)


UNREACHABLE = (
    "PyTorch's own index (download.pytorch.org) cannot be reached. The build of the package index is taken instead: "
    "{build}, about {size:,} MB to download in all."
)


def discard(path: Path) -> None:
    """Delete a folder whole or, where a file of it is in use, not at all."""
    doomed = path.with_name(f"{path.name}.old")
    with contextlib.suppress(OSError):
        path.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, "utf-8")
    part.replace(path)
