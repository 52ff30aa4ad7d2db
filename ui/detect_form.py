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
    QgsReferencedRectangle,
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
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFormLayout, QGroupBox, QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from ..core.job.card import ModelCard
from .area_picker import WHOLE, AreaPicker
from .class_picker import ClassPicker
from .model_picker import ModelPicker
from .settings import read_settings
from .wording import tr

OWN_WIDGETS = ("CLASSES",)  # advanced in the toolbox, with a control of its own here


class DetectForm(QWidget):
    """Three steps, and the advanced parameters folded away; `changed` whenever anything in it does.

    Parameters that need nothing special get the widgets that Processing's own dialogs use.
    """

    changed = pyqtSignal()

    def __init__(self, algorithm: QgsProcessingAlgorithm, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        """`algorithm` must live as long as the form: its parameter definitions are used."""
        super().__init__(parent)
        self._algorithm, self._canvas = algorithm, canvas
        self._wrappers = {name: self._wrapper(name) for name in ("INPUT", *self._advanced_names())}
        self.raster = self._widget("INPUT")
        self.model = ModelPicker()
        self.area = AreaPicker(canvas)
        self.classes = ClassPicker()
        self.threshold, self.slider, confidence = self._make_confidence()
        self.output = self._make_output()
        self.advanced = self._make_advanced()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 6, 0)
        layout.setSpacing(12)
        self._labels: list[QLabel] = []
        for title, rows in (
            (tr("1 · Raster and model"), ((tr("Raster"), self.raster), (tr("Model"), self.model))),
            (
                tr("2 · Where and what"),
                ((tr("Area"), self.area), (tr("Classes"), self.classes), (tr("Confidence"), confidence)),
            ),
            (tr("3 · Result"), ((tr("Save to"), self.output),)),
        ):
            layout.addWidget(self._step(title, rows))
        self._align()
        layout.addWidget(self.advanced)
        layout.addStretch(1)
        self._finish_wrappers()
        self.model.changed.connect(self._take_card)
        self._take_card(self.model.card)
        self._tell_changes()

    def parameters(self) -> dict[str, Any]:
        """Parameters of the algorithm as the form stands; what is left to the model is left out.

        Raises InvalidJob where the chosen area is none, or no class is chosen.
        """
        values = {name: wrapper.parameterValue() for name, wrapper in self._wrappers.items()}
        values.update(self.area.parameters())
        values["MODEL"] = self.model.path()
        values["CLASSES"] = ", ".join(self.classes.names())
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
        self._wrappers["INPUT"].setParameterValue(layer, project_context())

    def set_parameters(self, values: dict[str, Any]) -> None:
        """Fill the form in as for an earlier run, its output left out, which stands already.

        `values` as `asMap` of the algorithm gives them; what is not among them takes its default.
        """
        context = project_context()
        for name, wrapper in self._wrappers.items():
            default = self._algorithm.parameterDefinition(name).defaultValue()
            wrapper.setParameterValue(values.get(name, default), context)
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

    def _advanced_names(self) -> list[str]:
        advanced = Qgis.ProcessingParameterFlag.Advanced
        definitions = self._algorithm.parameterDefinitions()
        return [each.name() for each in definitions if each.flags() & advanced and each.name() not in OWN_WIDGETS]

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
        widget = self._wrappers[name].createWrappedWidget(project_context())
        widget.setToolTip(self._algorithm.parameterDefinition(name).help())
        return widget

    def _finish_wrappers(self) -> None:
        wrappers = list(self._wrappers.values())
        for wrapper in wrappers:
            wrapper.postInitialize(wrappers)

    def _tell_changes(self) -> None:
        for wrapper in self._wrappers.values():
            wrapper.widgetValueHasChanged.connect(self._tell)
        self.output.fileChanged.connect(self._tell)
        self.threshold.valueChanged.connect(self._tell)
        for part in (self.model, self.area, self.classes):
            part.changed.connect(self._tell)

    def _tell(self, *_: object) -> None:
        self.changed.emit()

    def _step(self, title: str, rows: tuple[tuple[str, Any], ...]) -> QGroupBox:
        box = QGroupBox(title)
        form = QFormLayout(box)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        for text, field in rows:
            label = QLabel(text)
            self._labels.append(label)
            form.addRow(label, field)
        return box

    def _align(self) -> None:
        """Let the fields of all steps begin at one line."""
        width = max(label.sizeHint().width() for label in self._labels)
        for label in self._labels:
            label.setMinimumWidth(width)

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
        self.classes.set_card(card)
        if card is not None:
            shown = round(card.threshold, self.threshold.decimals())
            self.threshold.setClearValue(shown)
            self.threshold.setValue(shown)


def project_context() -> QgsProcessingContext:
    """Make a context of the open project."""
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return context
