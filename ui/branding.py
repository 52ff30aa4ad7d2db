"""The plugin's icon and addresses."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtGui import QIcon

HELP_URL = "https://github.com/tilehawk/tilehawk#readme"


def icon(name: str = "tilehawk") -> QIcon:
    """Read the plugin's icon, or another one of its folder."""
    return QIcon(str(Path(__file__).parent.parent / "resources" / "icons" / f"{name}.svg"))
