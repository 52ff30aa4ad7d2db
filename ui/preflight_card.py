"""What a run would be like, on a card beside the form: device, tiles, time, the raster against the model, warnings."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from .fact_card import FactCard
from .told import tr_core
from .wording import duration, tr

WAITING = "…"
SAME = 1.1  # pixel sizes within 10 % are not resampled
MEGABYTE = 1_000_000


class PreflightCard(FactCard):
    """Shows the facts of a pre-flight as they come; never waits for them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        names = (
            ("device", tr("Device")),
            ("pixels", tr("Pixels")),
            ("values", tr("Values")),
            ("bands", tr("Bands")),
            ("disk", tr("Free disk")),
        )
        super().__init__(tr("Before you run"), names, parent)
        self.setObjectName("preflight")
        self.setToolTip(tr("What this run would be like; nothing has been started"))
        self.facts: dict[str, Any] = {}
        self.show_facts({})

    def show_facts(self, facts: dict[str, Any]) -> None:
        """Show what is known; what is missing is still on its way."""
        self.facts = facts
        self.headline.setText(_headline(facts))
        for key, say in (
            ("device", _device),
            ("pixels", _pixels),
            ("values", _values),
            ("bands", _bands),
            ("disk", _disk),
        ):
            self.set_fact(key, say(facts))
        cautions = [(tr_core(each["text"]), tr_core(each["remedy"])) for each in facts.get("warnings", ())]
        if "fetch" in facts:
            cautions.append(_licence(facts["fetch"]))
        self.show_cautions(cautions)

    def show_problem(self, sentence: str) -> None:
        """Show why a run could not be started as the form stands."""
        self.show_facts({})
        self.headline.setText(tr("Not ready yet"))
        self.clear_facts()
        self.show_cautions([(sentence, "")])


def _headline(facts: dict[str, Any]) -> str:
    if "tiles" not in facts:
        return tr("Looking at the raster…")
    tiles = tr("1 tile") if facts["tiles"] == 1 else tr("{n} tiles").format(n=f"{facts['tiles']:,}")
    if "seconds" not in facts:
        return tiles
    return tr("{tiles}, about {duration}").format(tiles=tiles, duration=duration(facts["seconds"]))


def _device(facts: dict[str, Any]) -> str:
    if "device" in facts:
        return f"{tr_core(facts['device'])} ({facts['backend']})"
    return tr("Loading the model…") if "tiles" in facts else WAITING


def _pixels(facts: dict[str, Any]) -> str:
    if "tiles" not in facts:
        return WAITING
    own, model = facts["source_resolution_m"], facts["model_resolution_m"]
    if own is None:
        return tr("size on the ground unknown")
    if model is None:
        return tr("{own} raster, a model for any").format(own=_metres(own))
    words = tr("{own} raster, {model} model").format(own=_metres(own), model=_metres(model))
    if max(own / model, model / own) <= SAME:
        return words
    return f"{words}: {tr('it will be resampled') if facts['resampled'] else tr('it is left as it is')}"


def _values(facts: dict[str, Any]) -> str:
    if "dtype" not in facts:
        return WAITING
    if "fetch" in facts:
        return tr("as the layer is drawn") if facts["fetch"]["drawn"] else tr("as the layer gives them")
    nodata = facts["nodata"]
    return facts["dtype"] + (tr(", {value:g} is no data").format(value=nodata) if nodata is not None else "")


def _bands(facts: dict[str, Any]) -> str:
    if "bands" not in facts:
        return WAITING
    return ", ".join(tr("{role} {band}").format(role=tr_core(role), band=band) for role, band in facts["bands"].items())


def _disk(facts: dict[str, Any]) -> str:
    if "free_bytes" not in facts:
        return WAITING
    return tr("{n} GB").format(n=f"{facts['free_bytes'] / 1e9:,.0f}")


def _licence(fetch: dict[str, Any]) -> tuple[str, str]:
    size = tr("{width} × {height} pixels").format(width=f"{fetch['width']:,}", height=f"{fetch['height']:,}")
    if not fetch["online"]:
        return (
            tr("What is needed of the layer, {size}, is written to a file first.").format(size=size),
            "",
        )
    return (
        tr("The picture comes from a server: {size}, about {n} MB.").format(
            size=size, n=f"{max(1, round(fetch['bytes'] / MEGABYTE)):,}"
        ),
        tr("It is kept beside the result. Make sure that its terms of use allow this."),
    )


def _metres(length: float) -> str:
    return f"{length:.2g} m" if length < 1000 else f"{length / 1000:.2g} km"
