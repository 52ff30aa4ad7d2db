"""What of an algorithm's parameters may be written into the history and the project: no login, and no key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingAlgorithm, QgsProject

LAYERS = ("raster", "vector", "source", "maplayer", "multilayer")  # types of parameters
OF_ADDRESSES = "=?@"  # in a source that may hold a login or a key


def public_inputs(algorithm: QgsProcessingAlgorithm, inputs: dict[str, Any], project: QgsProject) -> dict[str, Any]:
    """Name layers that are no files by their ids in the project, and leave others out whose source may hold a secret.

    `inputs` as `asMap` of the algorithm gives them.
    """
    kinds = {known.name(): known.type() for known in algorithm.parameterDefinitions()}
    public = {name: _public(value, project) if kinds.get(name) in LAYERS else value for name, value in inputs.items()}
    return {name: value for name, value in public.items() if value is not None}


def _public(value: Any, project: QgsProject) -> Any:
    if isinstance(value, dict):
        source = _public(value.get("source"), project)
        return None if source is None else {**value, "source": source}
    if isinstance(value, list):
        return [each for each in (_public(one, project) for one in value) if each is not None]
    if not isinstance(value, str) or Path(value.split("|")[0]).exists() or not any(c in value for c in OF_ADDRESSES):
        return value
    for layer in project.mapLayers().values():
        if value in (layer.source(), f"{layer.providerType()}://{layer.source()}"):
            return layer.id()
    return None
