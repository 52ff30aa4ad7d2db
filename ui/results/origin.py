"""Where a result layer comes from: its fields, and the run, model and raster that its metadata names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsProject, QgsRasterLayer, QgsVectorLayer

from ...core.job.addresses import without_secrets
from ...core.job.card import ModelCard, read_card
from ...core.job.errors import ModelError
from .filter import REVIEW

AREA_FIELDS = ("box_area_m2", "area_m2")  # the latter in a Shapefile
PLACE_PROPERTY = "tilehawk/place"  # of a result layer: what was looked at, where that was no file
CLOSED_FORMATS = ("ESRI Shapefile", "GeoJSON", "FlatGeobuf", "Parquet", "GeoJSONSeq")


@dataclass(frozen=True)
class Origin:
    """What is known of a result layer.

    `run`: the values of the run as the worker wrote them, empty where lost. `folder`: where the layer's file lies.
    `place`: what was looked at, the same for every run on it: a raster, or a layer that is no file.
    """

    area_field: str | None
    reviewed: bool
    run: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    place: str = ""

    @property
    def threshold(self) -> float:
        """Confidence that the run was asked for."""
        return float(self.run.get("threshold", 0.0))

    @property
    def raster(self) -> str:
        """Path or GDAL name of the raster, empty where unknown; one that was moved with the result is found there."""
        path = str(self.run.get("raster", ""))
        moved = Path(self.folder) / PurePath(path).name
        return str(moved) if path and self.folder and not Path(path).exists() and moved.is_file() else path

    @property
    def model(self) -> str:
        """Path of the model, empty where unknown."""
        return str(self.run.get("model", ""))

    def card(self) -> ModelCard | None:
        """Read the model's card; None where the model is no longer there."""
        try:
            return read_card(self.model) if self.model and Path(self.model).is_file() else None
        except ModelError:
            return None


def origin_of(layer: QgsMapLayer | None) -> Origin | None:
    """Say where a layer comes from; None for a layer that is no result of ours."""
    if not isinstance(layer, QgsVectorLayer) or not layer.isValid():
        return None
    if layer.geometryType() != Qgis.GeometryType.Polygon:
        return None
    names = layer.fields().names()
    if not {"id", "class", "score"} <= set(names):
        return None
    area = next((name for name in AREA_FIELDS if name in names), None)
    run, file = _run(layer), layer.source().split("|")[0]
    place = layer.customProperty(PLACE_PROPERTY) or str(run.get("raster", ""))
    return Origin(area, REVIEW in names, run, str(Path(file).parent) if Path(file).is_file() else "", place)


def raster_of(layer: QgsVectorLayer, origin: Origin, project: QgsProject) -> QgsRasterLayer | None:
    """Find the raster that was looked at: a layer of the project, else opened from its file; None where it is gone."""
    if not origin.raster:
        return None
    for candidate in project.mapLayers().values():
        if isinstance(candidate, QgsRasterLayer) and _same_file(candidate.source().split("|")[0], origin.raster):
            return candidate
    opened = QgsRasterLayer(origin.raster, "", "gdal") if Path(origin.raster).is_file() else None
    return opened if opened is not None and opened.isValid() else None


def not_examined_source(source: str) -> str:
    """Source of the ground that was not examined, as it is written beside the detections of a source."""
    path, *options = source.split("|")
    if path.lower().endswith(".gpkg"):
        return f"{path}|layername=not_examined" if "layername=detections" in options else ""
    beside = Path(path).with_name(f"{Path(path).stem}_not_examined{Path(path).suffix}")
    return str(beside) if beside.is_file() else ""


def _run(layer: QgsVectorLayer) -> dict[str, Any]:
    for entry in layer.metadata().history():
        try:
            run = json.loads(entry)
        except ValueError:
            continue
        if isinstance(run, dict) and "model" in run:
            return run
    return {}


def _same_file(one: str, other: str) -> bool:
    if without_secrets(one) == other:
        return True
    try:
        return Path(one).is_file() and Path(other).is_file() and Path(one).samefile(other)
    except OSError:
        return False
