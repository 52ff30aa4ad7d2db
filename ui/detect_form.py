"""The form of the Detect dialog: it fills the parameters of the algorithm, and decides nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsRasterLayer,
)
from qgis.gui import (
    QgsAbstractProcessingParameterWidgetWrapper,
    QgsCollapsibleGroupBox,
    QgsDoubleSpinBox,
    QgsFileWidget,
    QgsGui,
    QgsMapCanvas,
    QgsProcessingGui,
    QgsProcessingParameterWidgetContext,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QFormLayout, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from ..core.job.card import ModelCard
from .area_picker import AreaPicker
from .model_picker import ModelPicker
from .settings import read_settings
from .wording import tr


class DetectForm(QWidget):
    """Raster, model, area, confidence and result, and the advanced parameters folded away.

    Parameters that need nothing special get the widgets that Processing's own dialogs use.
    """

    def __init__(self, algorithm: QgsProcessingAlgorithm, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        """`algorithm` must live as long as the form: its parameter definitions are used."""
        super().__init__(parent)
        self._algorithm, self._canvas = algorithm, canvas
        self._wrappers = {name: self._wrapper(name) for name in ("INPUT", *self._advanced_names())}
        self.raster = self._widget("INPUT")
        self.model = ModelPicker()
        self.area = AreaPicker(canvas)
        self.threshold, self.slider, confidence = self._make_confidence()
        self.output = self._make_output()
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for text, field in (
            (tr("Raster"), self.raster),
            (tr("Model"), self.model),
            (tr("Area"), self.area),
            (tr("Confidence"), confidence),
            (tr("Result"), self.output),
        ):
            form.addRow(text, field)
        self.advanced = self._make_advanced()
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.advanced)
        layout.addStretch()
        self._finish_wrappers()
        self.model.changed.connect(self._take_card)
        self._take_card(self.model.card)

    def parameters(self) -> dict[str, Any]:
        """Parameters of the algorithm as the form stands; what is left to the model is left out.

        Raises InvalidJob where the chosen area is none.
        """
        values = {name: wrapper.parameterValue() for name, wrapper in self._wrappers.items()}
        values.update(self.area.parameters())
        values["MODEL"] = self.model.path()
        if self.threshold.value() != self.threshold.clearValue():
            values["THRESHOLD"] = round(self.threshold.value(), 2)
        path = self.output.filePath().strip()
        if path and not Path(path).suffix:
            path += ".gpkg"
        values["OUTPUT"] = QgsProcessingOutputLayerDefinition(
            path or QgsProcessing.TEMPORARY_OUTPUT, QgsProject.instance()
        )
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def set_raster(self, layer: QgsMapLayer | str) -> None:
        """Choose the raster: a layer of the project, or a file's path."""
        self._wrappers["INPUT"].setParameterValue(layer, _project_context())

    def refresh(self, active: QgsMapLayer | None) -> None:
        """Take up what has changed outside: models, folders, and the layer active in QGIS where it is a raster."""
        self.model.fill()
        self.output.setDefaultRoot(read_settings().output_folder)
        if isinstance(active, QgsRasterLayer):
            self.set_raster(active)

    def _advanced_names(self) -> list[str]:
        advanced = Qgis.ProcessingParameterFlag.Advanced
        return [each.name() for each in self._algorithm.parameterDefinitions() if each.flags() & advanced]

    def _wrapper(self, name: str) -> QgsAbstractProcessingParameterWidgetWrapper:
        definition = self._algorithm.parameterDefinition(name)
        registry = QgsGui.processingGuiRegistry()
        wrapper = registry.createParameterWidgetWrapper(definition, QgsProcessingGui.WidgetType.Standard)
        wrapper.setParent(self)  # goes with the form: it may own layers, which must not outlive QGIS
        context = QgsProcessingParameterWidgetContext()
        context.setProject(QgsProject.instance())
        context.setMapCanvas(self._canvas)
        wrapper.setWidgetContext(context)
        return wrapper

    def _widget(self, name: str) -> QWidget:
        widget = self._wrappers[name].createWrappedWidget(_project_context())
        widget.setToolTip(self._algorithm.parameterDefinition(name).help())
        return widget

    def _finish_wrappers(self) -> None:
        wrappers = list(self._wrappers.values())
        for wrapper in wrappers:
            wrapper.postInitialize(wrappers)

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
        slider.valueChanged.connect(lambda value: spin.setValue(value / 100))
        spin.valueChanged.connect(lambda value: slider.setValue(round(100 * value)))
        row = QHBoxLayout()
        row.addWidget(slider, 1)
        row.addWidget(spin)
        return spin, slider, row

    def _make_output(self) -> QgsFileWidget:
        output = QgsFileWidget()
        output.setStorageMode(QgsFileWidget.StorageMode.SaveFile)
        output.setDialogTitle(tr("Save objects"))
        output.setFilter(tr("GeoPackage (*.gpkg);;FlatGeobuf (*.fgb);;GeoJSON (*.geojson);;Shapefile (*.shp)"))
        output.setDefaultRoot(read_settings().output_folder)
        output.lineEdit().setPlaceholderText(tr("[Save to temporary file]"))
        output.setToolTip(
            tr("File for the objects. Left empty: a temporary one, gone when QGIS closes. A GeoPackage keeps the most.")
        )
        return output

    def _make_advanced(self) -> QgsCollapsibleGroupBox:
        box = QgsCollapsibleGroupBox(tr("Advanced"))
        box.setToolTip(tr("All of this comes from the model unless you change it"))
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)
        for name in self._advanced_names():
            form.addRow(self._algorithm.parameterDefinition(name).description(), self._widget(name))
        box.setCollapsed(True)
        return box

    def _take_card(self, card: ModelCard | None) -> None:
        if card is not None:
            shown = round(card.threshold, self.threshold.decimals())
            self.threshold.setClearValue(shown)
            self.threshold.setValue(shown)


def _project_context() -> QgsProcessingContext:
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context
