"""The models there are: those that come with the plugin, and those of the user's folder."""

from __future__ import annotations

from html import escape
from pathlib import Path

from ..core.job.card import ModelCard, read_card
from ..core.job.errors import ModelError
from .model_store import SUFFIX, user_folder
from .told import tr_core
from .wording import class_name, tr

BUNDLED = Path(__file__).parent.parent / "resources" / "models"
DEFAULT = "swimming-pools"


def model_files() -> list[Path]:
    """List the bundled models and those of the user's folder, the default first, then by name."""
    found = [path for each in (BUNDLED, user_folder()) for path in sorted(each.glob(f"*{SUFFIX}"))]
    return sorted(found, key=lambda path: path.stem != DEFAULT)


def default_model() -> str | None:
    """Path of the bundled default model, None where it is not there."""
    path = BUNDLED / f"{DEFAULT}{SUFFIX}"
    return str(path) if path.exists() else None


def find_model(text: str) -> str:
    """Path of a model given by its path or by its file's name without suffix; raises ModelError."""
    text = text.strip()
    if not text:
        raise ModelError(tr("Choose a model."))
    if Path(text).suffix.lower() == SUFFIX or Path(text).is_file():
        return str(Path(text).absolute())
    for path in model_files():
        if path.stem.casefold() == text.casefold():
            return str(path)
    known = ", ".join(path.stem for path in model_files())
    raise ModelError(
        tr("There is no model '{name}'. Known are: {known}.").format(name=text, known=known or tr("none yet"))
    )


def model_title(path: Path) -> str:
    """Title of a model for a list: from its card, or its file's name where the card cannot be read."""
    try:
        card = read_card(path)
    except ModelError:
        return path.stem
    return card.title or card.name


def origin(path: Path) -> str:
    """Say where a model comes from: with Tilehawk, or a folder."""
    return tr("comes with Tilehawk") if path.parent == BUNDLED else path.parent.name


def summary(card: ModelCard) -> str:
    """Describe a model in a few lines of HTML: what it finds, on what, how well, and whose data it learnt from."""
    classes = ", ".join(
        f'<span style="color:{known.color}">&#9632;</span>&nbsp;{escape(class_name(known.name))}'
        for known in card.classes
    )
    bands = ", ".join(escape(tr_core(band.role)) for band in card.bands)
    resolution = tr("any") if card.resolution_m is None else f"{card.resolution_m:.3g} m"
    rows = [
        (tr("Finds"), classes),
        (tr("Pixel size"), tr("{resolution} on the ground; bands {bands}").format(resolution=resolution, bands=bands)),
        (tr("Measured"), measured(card)),
        (tr("Credits"), escape("; ".join(card.credits))),
        (tr("Licence"), escape(card.license)),
    ]
    lines = [f"<tr><td><b>{name}&nbsp;&nbsp;</b></td><td>{text}</td></tr>" for name, text in rows if text]
    return f"<table cellspacing=0>{''.join(lines)}</table>"


def measured(card: ModelCard) -> str:
    """Say in words how well a model did on pictures that it had not learnt from."""
    values = {name.casefold(): value for name, value in card.metrics.items() if isinstance(value, (int, float))}
    sentences = []
    if "recall" in values:
        sentences.append(tr("finds {n} of 100 objects").format(n=round(100 * values["recall"])))
    if "precision" in values:
        sentences.append(tr("{n} of 100 boxes are right").format(n=round(100 * values["precision"])))
    names = {"ap30": "AP30", "ap50": "AP50"}
    sentences += [f"{shown}&nbsp;{values[name]:.2f}" for name, shown in names.items() if name in values]
    text = ", ".join(sentences)
    if text and "iou" in values:
        text += tr(" (right: overlaps its object by {iou:.0%} or more)").format(iou=values["iou"])
    return text
