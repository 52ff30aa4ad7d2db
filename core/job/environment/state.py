"""What there is to say about an environment, and what can be chosen for one: values alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional
from urllib.parse import unquote, urlsplit

from ..errors import InvalidJob

NOT_INSTALLED, INSTALLING, READY, BROKEN, OUTDATED = "not_installed", "installing", "ready", "broken", "outdated"
BACKEND = re.compile(r"auto|default|cpu|xpu|cu\d{2,3}|rocm\d[\d.]*")


@dataclass(frozen=True)
class State:
    """What an environment is, as `kind` and as a sentence for people.

    `python` is the interpreter to run the worker with, None where there is none; while OUTDATED that of the older
    environment, which serves until the new one is ready. `device` is where the network runs, `versions` those of
    Python and of the required packages. `size_bytes` is the size on disk, 0 where it is not known.
    """

    kind: str
    sentence: str
    python: Optional[str] = None
    device: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    size_bytes: int = 0


@dataclass(frozen=True)
class InstallOptions:
    """Where an environment comes from.

    `index_url` is a mirror of the package index (PEP 503), `offline_folder` one that `wheelhouse` has filled, `proxy`
    a URL; both URLs may hold a user and a password. `python` is an interpreter to build on. `torch_backend` is "auto",
    "cpu", "cu128" and so on for a build of PyTorch's own index, "default" for the package index's.
    """

    index_url: Optional[str] = None
    offline_folder: Optional[str] = None
    proxy: Optional[str] = None
    python: Optional[str] = None
    torch_backend: str = "auto"

    def validate(self) -> None:
        """Raise InvalidJob with a sentence where an option cannot be meant so."""
        for what, url in (("mirror", self.index_url), ("proxy", self.proxy)):
            if url and not re.match(r"(https?|file|socks5h?)://[^/\s]*\S", url):
                raise InvalidJob(f"The address of the {what} must begin with http:// or https://.")
        if self.offline_folder and not any(Path(self.offline_folder).glob("*.whl")):
            raise InvalidJob(f"The folder '{self.offline_folder}' holds no Python packages (.whl).")
        if self.python and not Path(self.python).is_file():
            raise InvalidJob(f"The Python interpreter '{self.python}' does not exist.")
        if not BACKEND.fullmatch(self.torch_backend):
            raise InvalidJob(f"'{self.torch_backend}' is no build of PyTorch: choose auto, default, cpu, or cu128 etc.")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Passwords within the URLs, as written and decoded."""
        found = [urlsplit(url).password for url in (self.index_url, self.proxy) if url]
        return tuple({form for password in found if password for form in (password, unquote(password))})


DEFAULTS = InstallOptions()


@dataclass(frozen=True)
class Plan:
    """What an installation will do, said before it begins; sizes are estimates in megabytes.

    `fallback_mb` is to download where PyTorch's own index is out of reach, 0 where that is not more.
    """

    packages: tuple[str, ...]
    sources: tuple[str, ...]
    build: str
    folder: str
    download_mb: int
    disk_mb: int
    free_mb: int
    fallback_mb: int = 0

    @property
    def minutes(self) -> int:
        """How long the download takes at 50 Mbit/s."""
        return max(1, round(self.download_mb * 8 / 50 / 60))

    @property
    def sentence(self) -> str:
        """All of it for people."""
        size = f"about {self.download_mb:,} MB to download ({self.minutes} min at 50 Mbit/s), "
        size = size if self.download_mb else ""
        return (
            f"{', '.join(self.packages)} ({self.build}) will be installed from {', '.join(self.sources)} into "
            f"'{self.folder}': {size}{self.disk_mb:,} MB on disk, where {self.free_mb:,} MB are free."
        )
