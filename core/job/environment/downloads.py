"""Fetching one file: the shape of what QGIS's network does for us, and the standard library's way."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import Callable, Optional

Progressed = Callable[[int, int], None]  # bytes so far, bytes in all (0 where unknown); may raise, to cancel
Fetch = Callable[[str, Path, Progressed], None]  # a URL into a file; raises OSError with the reason

BLOCK_BYTES = 1 << 18
TIMEOUT_SECONDS = 30


def fetch_url(url: str, path: Path, progressed: Progressed, proxy: Optional[str] = None) -> None:
    """Fetch with the standard library, through `proxy` or the one of the system; raises OSError."""
    handlers = [urllib.request.ProxyHandler({"http": proxy, "https": proxy})] if proxy else []
    request = urllib.request.Request(url, headers={"User-Agent": "Tilehawk"})
    with (
        urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS) as answer,
        path.open("wb") as file,
    ):
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        while block := answer.read(BLOCK_BYTES):
            file.write(block)
            done += len(block)
            progressed(done, total)
    if done < total:
        raise OSError(f"got only {done} out of {total} bytes of {url}")


def fetch_checked(fetch: Fetch, url: str, path: Path, sha256: str, progressed: Progressed) -> None:
    """Fetch a file whose SHA-256 is known; `path` comes into being only when all of it is right. Raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        try:
            fetch(url, part, progressed)
        except OSError as problem:
            raise OSError(f"{problem} ({url})") from problem
        if _sha256(part) != sha256:
            raise OSError(f"hash mismatch of {url}")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
