"""What a run would be like, on a card beside the form: device, tiles, time, the raster against the model, warnings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QColor, QPalette
from qgis.PyQt.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from .wording import duration, tr

WAITING = "…"
SAME = 1.1  # pixel sizes within 10 % are not resampled
MEGABYTE = 1_000_000


class PreflightCard(QFrame):
    """Shows the facts of a pre-flight as they come; never waits for them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("preflight")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setToolTip(tr("What this run would be like; nothing has been started"))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.Base)
        title = QLabel(tr("Before you run"))
        font = title.font()
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * 1.1)
        title.setFont(font)
        self.headline = _wrapped()
        large = self.headline.font()
        large.setPointSizeF(large.pointSizeF() * 1.25)
        self.headline.setFont(large)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(12)
        self._grid.setColumnStretch(1, 1)
        self._values: dict[str, QLabel] = {}
        for row, (key, text) in enumerate(
            (
                ("device", tr("Device")),
                ("pixels", tr("Pixels")),
                ("values", tr("Values")),
                ("bands", tr("Bands")),
                ("disk", tr("Free disk")),
            )
        ):
            name, value = QLabel(text), _wrapped()
            name.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
            _faint(name)
            self._grid.addWidget(name, row, 0)
            self._grid.addWidget(value, row, 1)
            self._values[key] = value
        self._warnings = QVBoxLayout()
        self._warnings.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 12, 14, 12)
        layout.setSpacing(10)
        layout.addWidget(title)
        layout.addWidget(self.headline)
        layout.addLayout(self._grid)
        layout.addLayout(self._warnings)
        layout.addStretch()
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
            self._values[key].setText(say(facts))
        cautions = [(each["text"], each["remedy"]) for each in facts.get("warnings", ())]
        if "fetch" in facts:
            cautions.append(_licence(facts["fetch"]))
        self._show_cautions(cautions, "/mIconWarning.svg")

    def show_problem(self, sentence: str) -> None:
        """Show why a run could not be started as the form stands."""
        self.show_facts({})
        self.headline.setText(tr("Not ready yet"))
        for value in self._values.values():
            value.setText("–")
        self._show_cautions([(sentence, "")], "/mIconWarning.svg")

    def sentences(self) -> list[str]:
        """All warnings shown, each with its remedy."""
        rows = (self._warnings.itemAt(place).widget() for place in range(self._warnings.count()))
        return [row.findChild(QLabel, "text").text() for row in rows]

    def _show_cautions(self, cautions: Sequence[tuple[str, str]], icon: str) -> None:
        while self._warnings.count():
            widget = self._warnings.takeAt(0).widget()
            widget.hide()
            widget.deleteLater()
        for text, remedy in cautions:
            self._warnings.addWidget(_caution(text, remedy, icon))


def _caution(text: str, remedy: str, icon: str) -> QWidget:
    row = QWidget()
    picture = QLabel()
    side = row.fontMetrics().height()
    picture.setPixmap(QgsApplication.getThemeIcon(icon).pixmap(side, side))
    words = _wrapped()
    words.setObjectName("text")
    words.setTextFormat(Qt.TextFormat.RichText)
    words.setText(f"{escape(text)}<br><i>{escape(remedy)}</i>" if remedy else escape(text))
    words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(picture, 0, Qt.AlignmentFlag.AlignTop)
    layout.addWidget(words, 1)
    return row


def _headline(facts: dict[str, Any]) -> str:
    if "tiles" not in facts:
        return tr("Looking at the raster…")
    tiles = tr("1 tile") if facts["tiles"] == 1 else tr("{n} tiles").format(n=f"{facts['tiles']:,}")
    if "seconds" not in facts:
        return tiles
    return tr("{tiles}, about {duration}").format(tiles=tiles, duration=duration(facts["seconds"]))


def _device(facts: dict[str, Any]) -> str:
    if "device" in facts:
        return f"{facts['device']} ({facts['backend']})"
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
        return tr("as the layer is drawn")
    nodata = facts["nodata"]
    return facts["dtype"] + (tr(", {value:g} is no data").format(value=nodata) if nodata is not None else "")


def _bands(facts: dict[str, Any]) -> str:
    if "bands" not in facts:
        return WAITING
    return ", ".join(tr("{role} {band}").format(role=role, band=band) for role, band in facts["bands"].items())


def _disk(facts: dict[str, Any]) -> str:
    if "free_bytes" not in facts:
        return WAITING
    return tr("{n} GB").format(n=f"{facts['free_bytes'] / 1e9:,.0f}")


def _licence(fetch: dict[str, Any]) -> tuple[str, str]:
    size = tr("{width} × {height} pixels").format(width=f"{fetch['width']:,}", height=f"{fetch['height']:,}")
    if not fetch["online"]:
        return (
            tr("The layer is no file: {size} of it are copied to one first.").format(size=size),
            "",
        )
    return (
        tr("The picture comes from a server: {size}, about {n} MB.").format(
            size=size, n=f"{max(1, round(fetch['bytes'] / MEGABYTE)):,}"
        ),
        tr("Make sure that its terms of use allow this."),
    )


def _metres(length: float) -> str:
    return f"{length:.2g} m" if length < 1000 else f"{length / 1000:.2g} km"


def _wrapped() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def _faint(label: QLabel) -> None:
    palette = label.palette()
    color = QColor(palette.color(QPalette.ColorRole.WindowText))
    color.setAlpha(160)
    palette.setColor(QPalette.ColorRole.WindowText, color)
    label.setPalette(palette)
