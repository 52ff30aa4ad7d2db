"""Words the user reads: translation, counts and durations."""

from __future__ import annotations

from collections.abc import Mapping

from .translation import speaks_english, translate


def tr(text: str) -> str:
    """Translate a text of the plugin, given in English as it stands in the catalogues."""
    return translate(text)


def counted(objects: Mapping[str, int]) -> str:
    """Say how many objects of each class there are: '312 swimming pools', or '312 objects (car 300, bus 12)'.

    Only in English are plurals known: elsewhere '312 × Pool'.
    """
    total = sum(objects.values())
    if not total:
        return tr("no objects")
    if len(objects) == 1:
        (name,) = objects
        if speaks_english():
            return f"{total:,} {name if total == 1 else _plural(name)}"
        return tr("{total} × {name}").format(total=f"{total:,}", name=class_name(name))
    classes = ", ".join(f"{class_name(name)} {count:,}" for name, count in objects.items() if count)
    if total == 1:
        return tr("1 object ({classes})").format(classes=classes)
    return tr("{total} objects ({classes})").format(total=f"{total:,}", classes=classes)


def class_name(name: str) -> str:
    """Name of a class as the user reads it: translated for what bundled models find; in the data it stays as it is."""
    known = {
        "building": tr("building"),
        "car": tr("car"),
        "pool": tr("pool"),
        "roof": tr("roof"),
        "swimming pool": tr("swimming pool"),
        "tree": tr("tree"),
    }
    return known.get(name, name)


def duration(seconds: float) -> str:
    """Say a time span as people do: '14 s', '3 min', '2 h 10 min'."""
    if seconds < 100:
        return tr("{n} s").format(n=max(1, round(seconds)))
    minutes = round(seconds / 60)
    if minutes < 100:
        return tr("{n} min").format(n=minutes)
    return tr("{h} h {n} min").format(h=minutes // 60, n=minutes % 60)


def _plural(name: str) -> str:
    if name.endswith(("s", "x", "z", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"
