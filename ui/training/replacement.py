"""A new model takes the place of the old one that was kept, because the user says so."""

from __future__ import annotations

from pathlib import Path

from ...core.job.errors import OutputError
from ..wording import tr

BESIDE = (".html", ".blocks.gpkg")  # what lies beside a model, under its name


def replace_model(new: Path, old: Path) -> None:
    """Move a model, its report and its blocks to where the old ones are; raises OutputError."""
    try:
        new.replace(old)
        for suffix in BESIDE:
            if new.with_suffix(suffix).exists():
                new.with_suffix(suffix).replace(old.with_suffix(suffix))
            else:
                old.with_suffix(suffix).unlink(missing_ok=True)  # it tells of a model that is gone
    except OSError as problem:
        raise OutputError(
            tr("'{path}' cannot be written: {why}").format(path=old, why=problem.strerror or problem)
        ) from problem
