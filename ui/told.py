"""What core says, in the user's language: its sentences are known as templates with numbered gaps for the values.

core speaks English alone; its sentences arrive here as errors, notices and progress. What no template knows, such as
GDAL's own words within a sentence, stays as it is.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Optional

from qgis.core import QgsApplication

from .translation import catalogue_path

GAP = re.compile(r"\{(\d+)(:told)?\}")  # `told`, in a translation: its value is a text of core's, too
BREAK = re.compile(r"(?<=[.!?])\s+|\n+")  # between sentences
MOST_SENTENCES = 6  # of one template with its values
LEAST_KNOWN = 8  # characters of a template that is a text; those with less, such as "{0} more", are values alone


class Template:
    """A sentence with gaps and what it is in another language; `weight` counts the characters that are known."""

    def __init__(self, text: str, said: str) -> None:
        self.said = said
        self.literals = GAP.sub("\0", text).split("\0")
        self.weight = sum(map(len, self.literals))
        self._longest = max(self.literals, key=len)
        self._pattern: Optional[re.Pattern[str]] = None

    def values(self, text: str) -> Optional[tuple[str, ...]]:
        """What stands in the gaps of a text; None where it is another sentence."""
        if self._longest not in text:
            return None
        if self._pattern is None:  # few of them are ever needed
            self._pattern = re.compile("(.+?)".join(map(re.escape, self.literals)), re.DOTALL)
        match = self._pattern.fullmatch(text)
        return match and match.groups()


class Sentences:
    """A language's sentences of core, by their English."""

    def __init__(self, known: dict[str, str]) -> None:
        self._whole = {text: said for text, said in known.items() if not GAP.search(text)}
        templates = (Template(text, said) for text, said in known.items() if text not in self._whole)
        self._templates = sorted(templates, key=lambda template: -template.weight)

    def translate(self, text: str) -> str:
        """Say a text of one or several sentences; of all ways to part it, that which knows the most of it."""
        breaks = [(0, 0), *(match.span() for match in BREAK.finditer(text)), (len(text), len(text))]
        best = {len(breaks) - 1: (0, "")}
        for first in range(len(breaks) - 2, -1, -1):
            ways = []
            for last in range(first + 1, min(first + MOST_SENTENCES, len(breaks) - 1) + 1):
                piece = text[breaks[first][1] : breaks[last][0]]
                weight, said = self._piece(piece, LEAST_KNOWN)
                if weight or last == first + 1:
                    between = text[slice(*breaks[last])]
                    ways.append((weight + best[last][0], said + between + best[last][1]))
            best[first] = max(reversed(ways), key=lambda way: way[0])  # a value may hold what looks like an end
        return best[0][1]

    def _piece(self, text: str, least: int = 0) -> tuple[int, str]:
        """How much of a text is known, and its translation; 0 and itself where no template fits."""
        if text in self._whole:
            return len(text), self._whole[text]
        for template in self._templates:
            values = template.values(text) if template.weight >= least else None
            if values is not None:
                return template.weight, self._filled(template.said, values)
        return 0, text

    def _filled(self, said: str, values: tuple[str, ...]) -> str:
        return GAP.sub(lambda gap: self._value(values[int(gap[1])]) if gap[2] else values[int(gap[1])], said)

    def _value(self, text: str) -> str:
        """Say a value that is itself a text of core's, or a list of such."""
        parts = [self._piece(part) for part in text.split(", ")]
        weight, said = self._piece(text)
        return ", ".join(part for _, part in parts) if not weight or all(known for known, _ in parts) else said


@lru_cache(maxsize=1)
def _sentences(locale: str) -> Optional[Sentences]:
    path = catalogue_path(locale, "core")
    return None if path is None else Sentences(json.loads(path.read_text("utf-8")))


@lru_cache(maxsize=500)
def _said(locale: str, text: str) -> str:
    sentences = _sentences(locale)
    return text if sentences is None else sentences.translate(text)


def tr_core(text: object) -> str:
    """Give a sentence of core's, or an error with one, in the language that QGIS shows."""
    return _said(QgsApplication.locale(), str(text))
