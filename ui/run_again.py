"""'Detect again' in a result layer's context menu: the dialog, filled in as for the run that made the layer."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsProject, QgsVectorLayer
from qgis.gui import QgisInterface
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QAction

from .branding import icon
from .wording import tr

PARAMETERS_PROPERTY = "tilehawk/parameters"  # of the layer: JSON of the algorithm's parameters


class RunAgain(QObject):
    """Adds the entry to layers that a run has made, also of a project that is opened later.

    `asked` carries the parameters of the layer whose entry was chosen.
    """

    asked = pyqtSignal(object)

    def __init__(self, iface: QgisInterface) -> None:
        super().__init__()
        self._iface = iface
        self.action = QAction(icon(), tr("Detect again…"), iface.mainWindow())
        self.action.setToolTip(tr("Open the dialog as it was filled in for this layer"))
        self.action.triggered.connect(self._ask)
        iface.addCustomActionForLayerType(self.action, "", Qgis.LayerType.Vector, False)
        QgsProject.instance().layersAdded.connect(self._add_layers)
        self._add_layers(list(QgsProject.instance().mapLayers().values()))

    def remember(self, layer: QgsVectorLayer, parameters: dict[str, Any]) -> None:
        """Note with a layer how it was made; `parameters` as `asMap` of the algorithm gives them."""
        layer.setCustomProperty(PARAMETERS_PROPERTY, json.dumps(parameters, default=str))
        self._add_layers([layer])

    def close(self) -> None:
        """Take the entry away."""
        QgsProject.instance().layersAdded.disconnect(self._add_layers)
        self._iface.removeCustomActionForLayerType(self.action)
        self.action.deleteLater()

    def _add_layers(self, layers: list[QgsMapLayer]) -> None:
        for layer in layers:
            if parameters_of(layer):
                self._iface.addCustomActionForLayer(self.action, layer)

    def _ask(self) -> None:
        parameters = parameters_of(self._iface.activeLayer())
        if parameters:
            self.asked.emit(parameters)


def parameters_of(layer: QgsMapLayer | None) -> dict[str, Any]:
    """Parameters of the run that made a layer, empty where it is no such layer."""
    text = layer.customProperty(PARAMETERS_PROPERTY, "") if layer is not None else ""
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
