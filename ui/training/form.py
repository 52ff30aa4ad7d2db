"""The form of the Train dialog: it fills the parameters of the algorithm, and decides nothing itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsMapLayer, QgsProcessingAlgorithm, QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.gui import QgsMapCanvas
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from ...core.job.card import BACKBONES, read_card
from ...core.job.errors import InvalidJob, ModelError
from ...core.job.train_job import KNOWN_STARTS, TrainJob
from ..models import model_files, model_title
from ..settings import read_settings
from ..step_form import StepForm
from ..wording import tr

PATIENCE = 6  # epochs without improvement that end a training


class TrainForm(StepForm):
    """Labels, model and file in three steps; `versions_asked` when somebody wants to see what augmentation does."""

    versions_asked = pyqtSignal()

    def __init__(self, algorithm: QgsProcessingAlgorithm, canvas: QgsMapCanvas) -> None:
        """`algorithm` must live as long as the form: its parameter definitions are used."""
        followed = ("INPUT", "LABELS", "CLASS_FIELD", "CLASS_NAME", "POINT_SIZE")
        super().__init__(algorithm, canvas, [*followed, "MIX", "TITLE"])
        self.start = self._make_start()
        self.backbone = QComboBox()
        self.backbone.addItems([f"ResNet-{name[6:]}" for name in BACKBONES])
        self.backbone.setCurrentIndex(BACKBONES.index(TrainJob.backbone))
        self.backbone.setToolTip(
            tr("Part of the network that sees. 18 is fast, 50 sees more and is slow without a graphics card.")
        )
        self.epochs, self.until_best, length = self._make_length()
        self.title: QLineEdit = self._parameters["TITLE"]
        self.output.setDialogTitle(tr("Save the model"))
        self.output.setFilter(tr("Tilehawk models (*.safetensors)"))
        self.output.setToolTip(
            tr("File for the model. In the folder for models of the options, it shows in all lists.")
        )
        self.add_step(
            tr("1 · Labels"),
            ("INPUT", tr("Raster"), self._parameters["INPUT"]),
            ("LABELS", tr("Labels"), self._parameters["LABELS"]),
            ("CLASS_FIELD", tr("Class field"), self._parameters["CLASS_FIELD"]),
            ("CLASS_NAME", tr("Class name"), self._parameters["CLASS_NAME"]),
            ("POINT_SIZE", tr("Size of points"), self._parameters["POINT_SIZE"]),
            ("AREA", tr("Labelled area"), self.area),
        )
        self.add_step(
            tr("2 · Model"),
            ("START_FROM", tr("Start from"), self.start),
            ("MIX", "", self._parameters["MIX"]),
            ("BACKBONE", tr("Backbone"), self.backbone),
            ("EPOCHS", tr("Train for"), length),
        )
        self.add_step(tr("3 · Result"), ("TITLE", tr("Title"), self.title), ("OUTPUT", tr("Save to"), self.output))
        self.end_steps(tr("Good as they are for most labels"))
        self._add_versions_button()
        for name in (*followed, "MIX"):
            self._parameters.changed(name, self._follow)
        self._follow()

    def parameters(self, *, survey: bool = False) -> dict[str, Any]:
        """Parameters of the algorithm as the form stands; a survey needs no file to save to.

        Raises InvalidJob where one is missing.
        """
        values = self._parameters.values()
        area = self.area.parameters()
        values["AREA"], values["EXTENT"] = area.get("MASK"), area.get("EXTENT")
        values["START_FROM"] = self.start.currentData()
        values["BACKBONE"] = BACKBONES[self.backbone.currentIndex()]
        values["EPOCHS"] = self.epochs.value()
        values["PATIENCE"] = PATIENCE if self.until_best.isChecked() else None
        if not survey:
            values["OUTPUT"] = self.output_path(".safetensors")
            if not values["OUTPUT"]:
                raise InvalidJob(tr("Say where to save the model."))
        return {name: value for name, value in values.items() if name == "START_FROM" or value not in (None, "", [])}

    def set_labels(self, raster: QgsMapLayer | str | None, labels: QgsMapLayer | None) -> None:
        """Choose raster and labels."""
        if raster is not None:
            self._parameters.set("INPUT", raster)
        if labels is not None:
            self._parameters.set("LABELS", labels)

    def set_start(self, path: str) -> None:
        """Choose the model to start from, adding it to the list where it is new."""
        if self.start.findData(path) < 0:
            self.start.insertItem(0, model_title(Path(path)), path)
        self.start.setCurrentIndex(self.start.findData(path))

    def set_value(self, name: str, value: Any) -> None:
        """Set a parameter that has a widget of Processing's."""
        self._parameters.set(name, value)

    def refresh(self, active: QgsMapLayer | None) -> None:
        """Take up what has changed outside: models, and the layer active in QGIS."""
        self._fill_starts()
        self.output.setDefaultRoot(read_settings().model_folder)
        if isinstance(active, QgsRasterLayer):
            self.set_labels(active, None)
        elif isinstance(active, QgsVectorLayer):
            self.set_labels(None, active)

    def _make_start(self) -> QComboBox:
        start = QComboBox()
        start.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        start.setToolTip(
            tr(
                "A model that has seen aerial imagery needs the fewest labels. Weights of COCO and ImageNet are "
                "downloaded once. From scratch needs many labels and much time."
            )
        )
        start.currentIndexChanged.connect(self._follow)
        return start

    def _fill_starts(self) -> None:
        chosen = self.start.currentData()
        self.start.blockSignals(True)
        self.start.clear()
        for path in model_files():
            self.start.addItem(model_title(path), str(path))
        for name, text in zip(KNOWN_STARTS, (tr("COCO photographs (ResNet-50)"), tr("ImageNet photographs"))):
            self.start.addItem(text, name)
        self.start.addItem(tr("Nothing: from scratch"), "")
        self.start.setCurrentIndex(max(0, self.start.findData(chosen)))
        self.start.blockSignals(False)
        self._follow()

    def _make_length(self) -> tuple[QSpinBox, QCheckBox, QHBoxLayout]:
        epochs = QSpinBox()
        epochs.setRange(1, 10_000)
        epochs.setValue(TrainJob.epochs)
        epochs.setSuffix(tr(" epochs at most"))
        epochs.setToolTip(tr("Rounds through the labels"))
        until = QCheckBox(tr("Stop when it no longer improves"))
        until.setChecked(True)
        until.setToolTip(
            tr("End early when {n} rounds brought nothing better; the best round is kept anyhow").format(n=PATIENCE)
        )
        row = QHBoxLayout()
        row.addWidget(epochs)
        row.addWidget(until, 1)
        epochs.valueChanged.connect(self._tell)
        until.toggled.connect(self._tell)
        return epochs, until, row

    def _add_versions_button(self) -> None:
        """Put a button that shows what it does beside the field of the augmentation."""
        self.versions_button = QPushButton(tr("Show…"))
        self.versions_button.setToolTip(tr("See one of the samples as training would draw it again and again"))
        self.versions_button.setAutoDefault(False)  # the Enter key in a field is not for it
        self.versions_button.clicked.connect(lambda _checked: self.versions_asked.emit())
        fields: QFormLayout = self.advanced.layout()
        field = self._parameters["AUGMENTATION"]
        row, role = fields.getWidgetPosition(field)
        both, beside = QWidget(), QHBoxLayout()
        both.setLayout(beside)
        beside.setContentsMargins(0, 0, 0, 0)
        fields.removeWidget(field)
        beside.addWidget(field, 1)
        beside.addWidget(self.versions_button)
        fields.setWidget(row, role, both)

    def _follow(self, *_: object) -> None:
        """Show what the choices need: a class name without a field, a size for points, a backbone without a model.

        Where a model says what it was trained on, also whether to go on learning from that.
        """
        labels = self._layer("LABELS")
        self._show_row("CLASS_NAME", not self._parameters.value("CLASS_FIELD"))
        self._show_row("POINT_SIZE", labels is not None and labels.geometryType() == Qgis.GeometryType.Point)
        self._show_row("MIX", _tells_sources(self.start.currentData()))
        self._show_row("BACKBONE", self.start.currentData() in ("", "imagenet"))
        self._tell()

    def _layer(self, name: str) -> QgsVectorLayer | None:
        value = self._parameters.value(name)
        layer = QgsProject.instance().mapLayer(value) if isinstance(value, str) else value
        return layer if isinstance(layer, QgsVectorLayer) else None

    def _show_row(self, name: str, shown: bool) -> None:
        for widget in self._rows[name]:
            widget.setVisible(shown)


def _tells_sources(start: str | None) -> bool:
    """Whether a model says where the samples lie that it was trained on."""
    try:
        return bool(start) and start not in KNOWN_STARTS and bool(read_card(start).training.get("sources"))
    except ModelError:
        return False
