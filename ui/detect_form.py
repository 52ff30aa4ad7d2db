"""The form of the Detect dialog: it fills the parameters of the algorithm, and decides nothing itself."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedRectangle,
)
from qgis.gui import QgsDoubleSpinBox, QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QHBoxLayout, QSlider

from ..core.job.card import ModelCard
from .area_picker import WHOLE
from .class_picker import ClassPicker
from .model_picker import ModelPicker
from .parameter_widgets import project_context
from .settings import read_settings
from .step_form import StepForm
from .wording import tr

OWN_WIDGETS = ("CLASSES",)  # advanced in the toolbox, with a control of its own here


class DetectForm(StepForm):
    """Raster and model, where and what to look for, and where to save it, in three steps."""

    def __init__(self, algorithm: QgsProcessingAlgorithm, canvas: QgsMapCanvas) -> None:
        """`algorithm` must live as long as the form: its parameter definitions are used."""
        super().__init__(algorithm, canvas, ["INPUT"], OWN_WIDGETS)
        self.raster = self._parameters["INPUT"]
        self.model = ModelPicker()
        self.classes = ClassPicker()
        self.threshold, self.slider, confidence = self._make_confidence()
        self.output.setDialogTitle(tr("Save objects"))
        self.output.setFilter(tr("GeoPackage (*.gpkg);;FlatGeobuf (*.fgb);;GeoJSON (*.geojson);;Shapefile (*.shp)"))
        self.output.setDefaultRoot(read_settings().output_folder)
        self.output.lineEdit().setPlaceholderText(tr("[Save to temporary file]"))
        self.output.setToolTip(
            tr("File for the objects. Left empty: a temporary one, gone when QGIS closes. A GeoPackage keeps the most.")
        )
        self.add_step(
            tr("1 · Raster and model"), ("INPUT", tr("Raster"), self.raster), ("MODEL", tr("Model"), self.model)
        )
        self.add_step(
            tr("2 · Where and what"),
            ("AREA", tr("Where"), self.area),
            ("CLASSES", tr("Classes"), self.classes),
            ("THRESHOLD", tr("Confidence"), confidence),
        )
        self.add_step(tr("3 · Result"), ("OUTPUT", tr("Save to"), self.output))
        self.end_steps(tr("All of this comes from the model unless you change it"))
        self.model.changed.connect(self._take_card)
        self._take_card(self.model.card)
        self._parameters.changed("INPUT", self._tell)
        for signal in (self.threshold.valueChanged, self.model.changed, self.classes.changed):
            signal.connect(self._tell)

    def parameters(self) -> dict[str, Any]:
        """Parameters of the algorithm as the form stands; what is left to the model is left out.

        Raises InvalidJob where the chosen area is none, or no class is chosen.
        """
        values = self._parameters.values()
        values.update(self.area.parameters())
        values["MODEL"] = self.model.path()
        values["CLASSES"] = ", ".join(self.classes.names())
        if self.threshold.value() != self.threshold.clearValue():
            values["THRESHOLD"] = round(self.threshold.value(), 2)
        target = self.output_path(".gpkg") or QgsProcessing.TEMPORARY_OUTPUT
        values["OUTPUT"] = QgsProcessingOutputLayerDefinition(target, QgsProject.instance())
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def set_raster(self, layer: QgsMapLayer | str) -> None:
        """Choose the raster: a layer of the project, or a file's path."""
        self._parameters.set("INPUT", layer)

    def set_parameters(self, values: dict[str, Any]) -> None:
        """Fill the form in as for an earlier run, its output left out, which stands already.

        `values` as `asMap` of the algorithm gives them; what is not among them takes its default.
        """
        context = project_context()
        self._parameters.fill(values)
        if values.get("MODEL"):
            self.model.set_path(str(values["MODEL"]))
        self.classes.choose([name.strip() for name in str(values.get("CLASSES") or "").split(",") if name.strip()])
        self.threshold.setValue(values.get("THRESHOLD", self.threshold.clearValue()))
        self.area.choose(WHOLE)
        if values.get("EXTENT"):
            extent = self._algorithm.parameterAsExtent(values, "EXTENT", context)
            crs = self._algorithm.parameterAsExtentCrs(values, "EXTENT", context)
            self.area.set_rectangle(QgsReferencedRectangle(extent, crs))
        mask = values.get("MASK")
        layer = self._algorithm.parameterAsVectorLayer(values, "MASK", context) if mask else None
        if layer is not None:
            self.area.set_layer(layer)
            self.area.selected_only.setChecked(isinstance(mask, dict) and bool(mask.get("selected_features_only")))

    def refresh(self, active: QgsMapLayer | None) -> None:
        """Take up what has changed outside: models, folders, and the layer active in QGIS where it is a raster."""
        self.model.fill()
        self.output.setDefaultRoot(read_settings().output_folder)
        if isinstance(active, QgsRasterLayer):
            self.set_raster(active)

    def _make_confidence(self) -> tuple[QgsDoubleSpinBox, QSlider, QHBoxLayout]:
        tooltip = tr(
            "Objects at or above this confidence are shown, from 0 to 1. A GeoPackage keeps the others too: "
            "change the layer's filter later, without a new run."
        )
        slider = QSlider(Qt.Orientation.Horizontal)
        slider.setRange(0, 100)
        spin = QgsDoubleSpinBox()
        spin.setRange(0, 1)
        spin.setSingleStep(0.01)
        spin.setDecimals(2)
        for widget in (slider, spin):
            widget.setToolTip(tooltip)
            widget.setAccessibleName(tr("Confidence"))
        slider.valueChanged.connect(lambda value: spin.setValue(value / 100))
        spin.valueChanged.connect(lambda value: slider.setValue(round(100 * value)))
        row = QHBoxLayout()
        row.addWidget(slider, 1)
        row.addWidget(spin)
        return spin, slider, row

    def _take_card(self, card: ModelCard | None) -> None:
        self.classes.set_card(card)
        if card is not None:
            shown = round(card.threshold, self.threshold.decimals())
            self.threshold.setClearValue(shown)
            self.threshold.setValue(shown)
