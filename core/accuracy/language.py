"""The language of a page: catalogues in resources/translations/report, English text to translated text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "resources" / "translations" / "report"

_spoken = ContextVar("language of pages", default="en")


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Let what is written meanwhile speak one of LANGUAGES, such as `de`; English needs no catalogue."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def spoken() -> str:
    """The language that pages speak now."""
    return _spoken.get()


def tr(text: str) -> str:
    """Give a text of a page, whose gaps are yet to be filled, in the language spoken; the English where it lacks."""
    return _catalogue(spoken()).get(text, text)


@lru_cache(maxsize=4)
def _catalogue(language: str) -> Mapping[str, str]:
    path = FOLDER / f"{language}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}
