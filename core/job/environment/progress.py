"""How far an installation is: steps, megabytes and the time left, told as events."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from ..events import Report, progress
from .hardware import DISK_PER_DOWNLOAD

STEPS = {  # share of the whole, what people read
    "uv": (0.03, "Getting the installer uv"),
    "python": (0.05, "Getting Python ready"),
    "torch": (0.75, "Installing PyTorch"),
    "libraries": (0.12, "Installing the other libraries"),
    "check": (0.05, "Checking the installation"),
}
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


class Progress:
    """Reports the progress of the steps of one installation; downloads are read off uv's lines and the disk's space.

    uv names the size of each download but not how far it is. It unpacks while it downloads, so the room that goes on
    the disk of `folder` tells.
    """

    def __init__(self, report: Report, folder: Path) -> None:
        self._report = report
        self._folder = folder
        self._told = ("", -1.0)
        self.begin("uv")

    def begin(self, step: str) -> None:
        """Go on to a step."""
        self._step = step
        self._start, self._free = time.monotonic(), self._free_bytes()
        self._done = self._total = 0.0
        self._tell()

    def heard(self, line: str) -> None:
        """Take a line of uv: `Downloading torch (514.2MiB)`."""
        size = re.match(r"Downloading .*\(([\d.]+) ?([KMG]?i?B)\)", line)
        if size:
            self._total += float(size[1]) * UNITS.get(size[2], 1)

    def tick(self) -> None:
        """Look how much has come."""
        if self._total:
            self.downloaded((self._free - self._free_bytes()) / DISK_PER_DOWNLOAD, self._total)

    def downloaded(self, done: float, total: float) -> None:
        """Tell bytes; the total is 0 where it is not known."""
        self._done, self._total = max(self._done, min(done, total or done)), total
        self._tell()

    def _tell(self) -> None:
        steps = list(STEPS)
        number = steps.index(self._step)
        share, text = STEPS[self._step]
        part = self._done / self._total if self._total else 0.0
        text = f"Step {number + 1} of {len(steps)}: {text}"
        if self._done or self._total:
            of = f" of {self._total / 1e6:,.0f}" if self._total else ""
            text += f", {self._done / 1e6:,.0f}{of} MB"
        done = sum(STEPS[step][0] for step in steps[:number]) + share * part
        if (text, done) != self._told and (text != self._told[0] or done - self._told[1] > 0.001):
            self._told = (text, done)
            gone = time.monotonic() - self._start
            self._report(progress(done, text, gone * (1 / part - 1) if part > 0.01 else None))

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._folder).free
