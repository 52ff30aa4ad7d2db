"""The plugin's icon, and its pages of help."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QDesktopServices, QIcon
from qgis.PyQt.QtWidgets import QDialogButtonBox

from .wording import tr

RESOURCES = Path(__file__).parent.parent / "resources"


def icon(name: str = "tilehawk") -> QIcon:
    """Read the plugin's icon, or another one of its folder."""
    return QIcon(str(RESOURCES / "icons" / f"{name}.svg"))


def help_url(page: str) -> QUrl:
    """Address of a page that comes with the plugin; `page`: its file's name without suffix, perhaps `page#place`."""
    name, _, place = page.partition("#")
    url = QUrl.fromLocalFile(str(RESOURCES / "help" / f"{name}.html"))
    if place:
        url.setFragment(place)
    return url


def open_help(page: str) -> None:
    """Open a page in the browser."""
    QDesktopServices.openUrl(help_url(page))


def add_help(buttons: QDialogButtonBox, page: str) -> None:
    """Give a window's buttons one that opens a page."""
    button = buttons.addButton(QDialogButtonBox.StandardButton.Help)
    button.setToolTip(tr("Open the help on this window"))
    button.setProperty("helpPage", page)
    buttons.helpRequested.connect(partial(open_help, page))
