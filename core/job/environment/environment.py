"""The worker's environment, whole: what it is, and how it comes to be, is repaired and explained."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Callable

from ..codec import decode, encode
from ..errors import Cancelled, TilehawkError
from ..events import Report
from .downloads import Fetch, fetch_url
from .hardware import expected_build, index_build, require_space, size_of, sizes_mb, system
from .installation import Installation, discard, write_whole
from .lock import Busy, exclusive, holder
from .log import Log, scrub
from .progress import Progress
from .remedies import InstallError
from .selftest import REQUIREMENTS, check_python, lists_of, read_requirements
from .state import BROKEN, DEFAULTS, INSTALLING, NOT_INSTALLED, OUTDATED, READY, InstallOptions, Plan, State
from .uv import VERSION, find_uv

WINDOWS_PATH_LENGTH = 260 - 150  # what torch's deepest file leaves of a path where long ones are not allowed
LOG_LINES = 60
OLDER = "The environment was made for another version of Tilehawk. It serves until the new one is installed."


def default_folder() -> Path:
    """Folder for environments in the user's data, outside QGIS's profiles and the plugin's folder."""
    home = Path.home()
    data = {
        "win32": os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local",
        "darwin": home / "Library" / "Application Support",
    }.get(sys.platform, os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return Path(data) / "tilehawk" / "python"


class Environment:
    """The environment for `requirements` within `folder`, which several QGIS may share.

    Each version of the requirements has a home of its own in there, named by their hash; an older one serves until the
    new one is ready. `fetch` gets the one file that uv itself does not: uv. Nothing is downloaded but by `install` and
    `repair`. Methods may be called in any thread; `state` is quick, the others are not.
    """

    def __init__(
        self,
        folder: Path,
        requirements: Path = REQUIREMENTS,
        fetch: Fetch = fetch_url,
        check: Callable[..., State] = check_python,
    ) -> None:
        self.folder = Path(folder)
        self.requirements = requirements
        listed = b"".join(path.read_bytes() for path in lists_of(requirements))
        self.home = self.folder / hashlib.sha256(listed.replace(b"\r", b"")).hexdigest()[:8]
        self.log = Log(self.folder / "install.log")
        self._fetch = fetch
        self._check = check

    def state(self) -> State:
        """What the environment is now, from what lies on the disk; starts nothing."""
        own = self._read(self.home)
        ready = (state for state in (own, *map(self._read, self._homes())) if state.kind == READY)
        serving = next(ready, None)
        process = holder(self.folder / "lock")
        if process is not None:
            whose = "" if process == os.getpid() else f" by another QGIS (process {process})"
            return State(INSTALLING, f"The environment is being installed{whose}.", serving and serving.python)
        if serving is None or serving is own:
            return own
        why = f" {own.sentence}" if own.kind == BROKEN else ""
        return replace(serving, kind=OUTDATED, sentence=f"{OLDER}{why}")

    def plan(self, options: InstallOptions = DEFAULTS) -> Plan:
        """What `install` would do; raises InvalidJob."""
        options.validate()
        build = expected_build(options)
        sources = ("pypi.org", "download.pytorch.org", "github.com (Python)")
        if options.index_url:
            sources = (scrub(options.index_url, options.secrets), *sources[1:])
        if options.offline_folder:
            sources = (options.offline_folder,)
        packages = ("Python", *chain.from_iterable(map(read_requirements, lists_of(self.requirements)[::-1])))
        free = round(shutil.disk_usage(_existing(self.folder)).free / 1e6)
        download, disk = sizes_mb(options, build)
        fallback = sizes_mb(options, index_build())[0] if options.torch_backend == "auto" else 0
        fallback = fallback if fallback > download else 0
        return Plan(packages, sources, build, str(self.folder), download, disk, free, fallback)

    def install(self, report: Report, cancelled: Callable[[], bool], options: InstallOptions = DEFAULTS) -> State:
        """Make the environment, or go on where an earlier attempt ended; give the state it ends in.

        `report` gets progress and notices, `cancelled` is asked every 0.1 s. Raises InvalidJob for impossible options.
        """
        return self._exclusively(report, cancelled, options, lambda: None)

    def repair(self, report: Report, cancelled: Callable[[], bool], options: InstallOptions = DEFAULTS) -> State:
        """Make the environment anew, whatever is there; as `install` otherwise."""
        return self._exclusively(report, cancelled, options, (self.home / "steps.json").unlink)

    def tidy(self) -> None:
        """Delete older environments once this one is ready: when no worker runs in them, as at QGIS's start."""
        state = self.state()
        if state.kind == READY:
            with contextlib.suppress(Busy, OSError), exclusive(self.folder / "lock"):
                attempts = [
                    path for path in self.home.iterdir() if path.is_dir() and path not in Path(state.python).parents
                ]
                for path in [*self._homes(), *attempts]:
                    discard(path)

    def diagnostics(self) -> str:
        """All that helps to find out what went wrong, as text to copy, without passwords."""
        state = self.state()
        names = sorted(name for name in os.environ if name.upper().startswith(("UV_", "SSL_", "PIP_", "CONDA")))
        names += sorted(name for name in os.environ if name.upper().endswith("_PROXY"))
        lines = [
            f"system: {system()}",
            f"folder: {self.folder} ({shutil.disk_usage(_existing(self.folder)).free / 1e6:,.0f} MB free)",
            f"state: {state.kind}: {state.sentence}",
            f"python: {state.python}, device: {state.device}, {state.size_bytes / 1e6:,.0f} MB, uv {VERSION}",
            f"versions: {', '.join(f'{name} {version}' for name, version in state.versions.items())}",
            *(f"{name}={os.environ[name]}" for name in names),
            f"log: {self.log.path}",
            *self.log.tail(LOG_LINES),
        ]
        return scrub("\n".join(lines))

    def _exclusively(
        self, report: Report, cancelled: Callable[[], bool], options: InstallOptions, first: Callable[[], None]
    ) -> State:
        options.validate()
        log = Log(self.log.path, options.secrets)
        try:
            with exclusive(self.folder / "lock"):
                for path in (first, (self.home / "state.json").unlink):
                    with contextlib.suppress(FileNotFoundError):
                        path()
                try:
                    state = self._install(report, cancelled, options, log)
                except Cancelled:
                    return State(NOT_INSTALLED, "Cancelled. What was downloaded is kept for the next time.")
                except (TilehawkError, OSError) as problem:
                    told = problem if isinstance(problem, TilehawkError) else InstallError(str(problem), self.folder)
                    state = State(BROKEN, scrub(str(told), options.secrets))
                log.write(f"{state.kind}: {state.sentence}")
                with contextlib.suppress(OSError):  # a full disk
                    write_whole(self.home / "state.json", json.dumps(encode(state)))
                return state
        except Busy:
            return self.state()
        except OSError as problem:
            return State(BROKEN, str(InstallError(str(problem), self.folder)))

    def _install(self, report: Report, cancelled: Callable[[], bool], options: InstallOptions, log: Log) -> State:
        self.home.mkdir(parents=True, exist_ok=True)
        log.write(f"--- {system()}; {options.torch_backend}, for {self.requirements}")
        if sys.platform == "win32" and len(str(self.home)) > WINDOWS_PATH_LENGTH:
            raise InstallError("path is too long", self.folder)
        cache = self.folder / "cache"
        require_space(self.folder, sizes_mb(options, expected_build(options))[1] - size_of(cache, self.home) / 1e6)
        progress = Progress(report, self.folder)

        def progressed(done: int, total: int) -> None:
            progress.downloaded(done, total)
            if cancelled():
                raise Cancelled

        uv = find_uv(self.folder, options, self._fetch, progressed, log)
        installation = Installation(self.home, self.requirements, uv, progress, report, cancelled)
        python = installation.run()
        progress.begin("check")
        state = self._check(python, cancelled, requirements=self.requirements, log=log)
        if state.kind == READY:
            discard(cache)
            state = replace(state, size_bytes=size_of(installation.environment, self.folder / "python"))
        return state

    def _read(self, home: Path) -> State:
        """State that an installation ended in, if what it left is still there."""
        try:
            state = decode(State, json.loads((home / "state.json").read_text("utf-8")))
        except (OSError, ValueError):
            return State(NOT_INSTALLED, "Tilehawk's Python environment is not installed.")
        missing = _missing(state) if state.kind == READY else ""
        return State(BROKEN, f"The environment is damaged: {missing} is gone. Repair it.") if missing else state

    def _homes(self) -> list[Path]:
        """Homes of other versions of the requirements."""
        found = [path.parent for path in self.folder.glob("*/state.json")]
        return sorted(home for home in found if home != self.home)


def _missing(state: State) -> str:
    """What has gone of a ready environment, as far as a look at the disk shows; "" if nothing."""
    python = Path(state.python or "")
    if not python.is_file() or not (python.parent.parent / "pyvenv.cfg").is_file():
        return f"'{python}'"
    environment = python.parent.parent
    base = re.search(r"^home = (.*)", (environment / "pyvenv.cfg").read_text("utf-8"), re.MULTILINE)
    if base and not Path(base[1].strip()).exists():
        return f"the Python that it was built on ('{base[1].strip()}')"
    packages = next(iter([*environment.glob("lib/python*/site-packages"), environment / "Lib" / "site-packages"]))
    names = [name for name in state.versions if name != "python"]
    return next((name for name in names if not (packages / name).exists()), "")


def _existing(folder: Path) -> Path:
    return next(path for path in [folder, *folder.parents] if path.exists())
