"""One HTML page that needs nothing else: no network, no scripts; light, dark and on paper."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

from ..job.errors import OutputError
from ..job.unfinished import remove_unfinished, unfinished_path
from .language import spoken

STYLE = """
:root { color-scheme: light dark; --ink: #1c2127; --soft: #59636e; --rule: #d8dee4; --ground: #ffffff;
  --raised: #f4f6f8; --warn: #fff4d6; --warnink: #6b4e00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ec; --soft: #9aa5b1; --rule: #39424c; --ground: #15191e;
  --raised: #1f252c; --warn: #3a3010; --warnink: #ffd666; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: .7rem; border-top: 1px solid var(--rule); }
p { max-width: 46rem; margin: .4rem 0 .8rem; }
.soft, figcaption { color: var(--soft); font-size: .87rem; }
.warning { background: var(--warn); color: var(--warnink); padding: .5rem .8rem; border-radius: .4rem; }
.figures { display: flex; flex-wrap: wrap; gap: .7rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.figures li { background: var(--raised); border-radius: .5rem; padding: .6rem .9rem; min-width: 8rem; }
.figures b { display: block; font-size: 1.5rem; line-height: 1.25; font-weight: 600; }
.figures span { color: var(--soft); font-size: .82rem; }
figure { margin: 0; max-width: 100%; break-inside: avoid; }
figure svg { max-width: 100%; height: auto; border-radius: .25rem; }
figcaption { margin-top: .2rem; }
.small figcaption { max-width: 150px; line-height: 1.35; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .4rem 0; }
th, td { text-align: left; padding: .32rem .9rem .32rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { font-weight: 600; }
.numbers td:not(:first-child), .numbers th:not(:first-child) { text-align: right; padding: .32rem 0 .32rem 1.1rem; }
.numbers tr:last-child td { border-bottom: 0; }
.facts th { color: var(--soft); font-weight: 400; white-space: nowrap; }
.facts td { overflow-wrap: anywhere; }
@media print { body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; }
  figure { max-width: 47%; } .small figure { max-width: 15%; } .row { gap: .6rem !important; }
  tr, li { break-inside: avoid; } }
"""

PAGE = Template(
    '<!DOCTYPE html>\n<html lang="$language">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>$title</title>\n'
    "<style>$style</style>\n</head>\n<body>\n<h1>$title</h1>\n$body\n</body>\n</html>\n"
)


def page(title: str, parts: Iterable[str]) -> str:
    """Put HTML parts under a title."""
    body = "\n".join(part for part in parts if part)
    return PAGE.substitute(language=spoken(), title=escape(title), style=STYLE, body=body)


def section(title: str, *parts: str) -> str:
    """HTML parts under a heading; nothing where all of them are empty."""
    body = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{body}\n</section>" if body else ""


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text; `kind`: "soft" for what is said aside, "warning"."""
    mark = f' class="{kind}"' if kind else ""
    return f"<p{mark}>{escape(text)}</p>" if text else ""


def headline(figures: Mapping[str, str]) -> str:
    """Large figures, each with what it is."""
    items = (f"<li><b>{escape(value)}</b><span>{escape(name)}</span></li>" for name, value in figures.items())
    return f'<ul class="figures">{"".join(items)}</ul>'


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of numbers, whose first column names the rows."""
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table class="numbers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def facts(values: Mapping[str, str]) -> str:
    """Names and values below one another; what is empty is left out."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in values.items() if value
    )
    return f'<table class="facts">{rows}</table>' if rows else ""


def figure(svg: str, caption: str = "") -> str:
    """A picture with what it shows."""
    return f"<figure>{svg}{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"


def row(figures: Sequence[str], small: bool = False) -> str:
    """Figures side by side, as many as fit."""
    style = (
        "display:flex;flex-wrap:wrap;gap:1.1rem 1.6rem;align-items:flex-start"  # here: a notebook has no style sheet
    )
    return f'<div class="row{" small" if small else ""}" style="{style}">{"".join(figures)}</div>' if figures else ""


def keys(names: Mapping[str, str]) -> str:
    """What the colours of boxes mean."""
    style = "display:inline-block;width:1.1em;height:.75em;border-radius:2px;margin:0 .3em 0 .8em;border:2px solid"
    marks = (f'<span style="{style} {color}"></span>{escape(name)}' for name, color in names.items())
    return f'<p class="soft">{"".join(marks)}</p>'


def write_page(path: str | Path, text: str) -> None:
    """Write a page; one that was there stays until the new one is whole. Raises OutputError."""
    target = Path(path)
    scratch = unfinished_path(target, os.getpid())
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(target)
    except OSError as problem:
        raise OutputError(f"The report '{target}' cannot be written: {problem.strerror or problem}.") from problem
    finally:
        remove_unfinished(target, os.getpid())
