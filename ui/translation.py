"""The words of the user's language: catalogues in resources/translations, English text to translated text.

Plain JSON, read once: a compiled Qt catalogue would be a binary file in the package, and a Python translator inside Qt
would be asked for every word of QGIS.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from qgis.core import QgsApplication

from ..core.job.checks import LANGUAGES

FOLDER = Path(__file__).parent.parent / "resources" / "translations"


def catalogue_path(locale: str, part: str = "") -> Path | None:
    """File for a locale such as `pt_BR`: that of the locale itself, else of its language; None where there is none.

    `part`: the folder of other texts than those of ui.
    """
    for name in (locale, locale.split("_", maxsplit=1)[0]):
        path = FOLDER / part / f"{name}.json"
        if path.is_file():
            return path
    return None


@lru_cache(maxsize=1)
def catalogue(locale: str) -> dict[str, str]:
    """Texts of a locale by their English; empty for English and for languages that are not there."""
    path = catalogue_path(locale)
    return {} if path is None else json.loads(path.read_text("utf-8"))


def speaks_english() -> bool:
    """Whether there is no catalogue for the language that QGIS shows."""
    return not catalogue(QgsApplication.locale())


def translate(text: str) -> str:
    """Give the text in the language that QGIS shows; the English where there is no other."""
    return catalogue(QgsApplication.locale()).get(text, text)


def language_of_reports() -> str:
    """The language that pages written by core are to speak: that of QGIS, English where there is no other."""
    language = QgsApplication.locale().split("_", maxsplit=1)[0]
    return language if language in LANGUAGES else "en"
