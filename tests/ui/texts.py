"""The texts of ui and of core's reports that are translated, and what a catalogue lacks or no longer needs.

texts.py de     prints what de.json in resources/translations, core/ and report/ there lack, and what is obsolete
"""

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CATALOGUES = ROOT / "resources" / "translations"
SOURCES = [ROOT / "plugin.py", *sorted((ROOT / "ui").rglob("*.py"))]
REPORTS = [*sorted((ROOT / "core" / "accuracy").glob("*.py")), ROOT / "core" / "evaluate.py"]
LANGUAGES = ("de", "es", "fr", "ja", "pt")


def calls_of_tr(path: Path) -> Iterator[ast.Call]:
    """Find the calls of `tr` in a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "tr":
            yield node


def texts(sources: Iterable[Path] = tuple(SOURCES)) -> list[str]:
    """List every text once, in the order of the files."""
    found = (call.args[0].value for path in sources for call in calls_of_tr(path))
    return list(dict.fromkeys(found))


def marks(text: str) -> list[str]:
    """List placeholders and tags of a text, which a translation keeps."""
    return sorted(re.findall(r"\{[^}]*\}|</?\w+[^>]*>|&\w+;", text))


def catalogue(language: str, part: str = "") -> dict[str, str]:
    """Read a language's catalogue, or that of a part (`core`, `report`); empty where there is none."""
    path = CATALOGUES / part / f"{language}.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def difference(known: dict[str, str], wanted: list[str]) -> dict[str, object]:
    """What a catalogue lacks, to be filled in, and what in it is obsolete."""
    lacking = {text: "" for text in wanted if not known.get(text)}
    return {"lacking": lacking, "obsolete": [text for text in known if text not in set(wanted)]}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.ui.core_texts import core

    language = sys.argv[1]
    found = {
        f"{language}.json": difference(catalogue(language), texts()),
        f"core/{language}.json": difference(catalogue(language, "core"), list(core().templates)),
        f"report/{language}.json": difference(catalogue(language, "report"), texts(REPORTS)),
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))
