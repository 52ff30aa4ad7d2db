"""The installation's log: what was done and answered, without passwords."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

BYTES_KEPT = 1_000_000  # a log larger than this is started anew
HIDDEN = "****"
SECRETS = (
    (re.compile(r"(?<=://)[^/\s]+@"), f"{HIDDEN}@"),
    (re.compile(r"(?i)((?:authorization|cookie)['\"]?\s*[:=]\s*).*"), rf"\1{HIDDEN}"),
    (
        re.compile(r"(?i)(\w*(?:token|password|passwd|secret|api[_-]?key|signature)\w*['\"]?\s*[=:]\s*)[^\s&,;]+"),
        rf"\1{HIDDEN}",
    ),
)


def scrub(text: str, known: tuple[str, ...] = ()) -> str:
    """Hide `known` passwords, users and passwords in URLs, and values that are named as secrets."""
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, hidden in SECRETS:
        text = pattern.sub(hidden, text)
    return text


class Log:
    """Appends lines to a file, scrubbed; a log that cannot be written, or has no path, is done without."""

    def __init__(self, path: Optional[Path] = None, secrets: tuple[str, ...] = ()) -> None:
        self.path = path
        self.secrets = secrets

    def write(self, line: str) -> None:
        """Append a line."""
        if self.path is None:
            return
        try:
            large = self.path.exists() and self.path.stat().st_size > BYTES_KEPT
            with self.path.open("w" if large else "a", encoding="utf-8") as file:
                file.write(scrub(line.rstrip(), self.secrets) + "\n")
        except OSError:
            return

    def tail(self, lines: int) -> list[str]:
        """Last lines of the log."""
        if self.path is None:
            return []
        try:
            return self.path.read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []
