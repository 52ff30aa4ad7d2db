"""Export of training data as a Processing algorithm: chips of a raster with the labels on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
)

from ...core.job.errors import InvalidJob
from ...core.job.label_jobs import CHIP_FORMATS, ExportJob
from ..wording import tr
from .definitions import (
    DOUBLE,
    INTEGER,
    POLYGONS,
    advanced,
    classes_of_labels,
    explained,
    field,
    number,
    point_size,
    size_field,
)
from .layer_files import LayerFile
from .sources import raster_source
from .worker_algorithm import Words, WorkerAlgorithm


class ExportTrainingDataAlgorithm(WorkerAlgorithm):
    """Cuts a labelled raster into chips that other programs train on."""

    identifier, group_id = "exporttrainingdata", "training"
    help_page = "train#export"

    def words(self) -> Words:
        """What the toolbox says of it."""
        return Words(
            title=tr("Export training data"),
            tags=tr(
                "chips,tiles,labels,annotations,COCO,Pascal VOC,YOLO,KITTI,ArcGIS,deep learning,dataset,object "
                "detection"
            ),
            short=tr("Cuts a raster into image chips with their labels, in the formats that other programs train on."),
            help=tr(
                "<p>Cuts a raster into image chips and writes with each the boxes of the objects on it, in the format "
                "of ArcGIS, COCO, Pascal VOC, YOLO, KITTI, or as a table (CSV).</p>"
                "<p>Tilehawk's own training needs no chips: <i>Train a model</i> reads raster and layer directly. "
                "Chips are for other programs, and for passing labels on; <i>Train a model</i> reads all these "
                "formats, too.</p>"
                "<p>Give the area in which <b>every</b> object is drawn, if that is not the whole raster: ground "
                "outside of it is left blank, for an object without a box there would be learnt as background.</p>"
                "<p>Chips are GeoTIFFs with the values, bands and place of the raster. They are written one by one: "
                "neither the raster nor the layer needs to fit into memory as images.</p>"
            ),
        )

    def parameters(self) -> list[QgsProcessingParameterDefinition]:
        """Make the parameters, in the order of the dialog."""
        return _parameters()

    def outputs(self) -> list[QgsProcessingOutputDefinition]:
        """Make what it gives besides layers and files."""
        return [
            QgsProcessingOutputNumber("CHIPS", tr("Chips written")),
            QgsProcessingOutputNumber("OBJECTS", tr("Objects on them")),
        ]

    def work(
        self, values: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the job."""
        folder = Path(self.parameterAsString(values, "OUTPUT", context)).absolute()
        job = replace(self._job, output=str(folder))
        job = replace(job, labels=self._labels.path(self.scratch("labels.gpkg"), feedback))
        if self._area.given:
            job = replace(job, area=self._area.path(self.scratch("area.gpkg"), feedback))
        job.validate()
        result = self.run_job(job, feedback)
        told_so = tr("{chips:,} chips with {objects:,} objects of the classes {classes}.")
        feedback.pushInfo(
            told_so.format(chips=result["chips"], objects=result["objects"], classes=", ".join(result["classes"]))
        )
        return {"OUTPUT": result["output"], "CHIPS": result["chips"], "OBJECTS": result["objects"]}

    def take(self, values: dict[str, Any], context: QgsProcessingContext) -> None:
        """Take layers and settings; the layers' files are made in the run."""
        self._labels = LayerFile(self, values, "LABELS", context)
        self._area = LayerFile(self, values, "AREA", context)
        layer = self.parameterAsRasterLayer(values, "INPUT", context)
        if layer is None or not layer.isValid():
            raise InvalidJob(tr("Choose a raster to cut into chips."))
        path = raster_source(layer).path
        if path.startswith("/vsimem/"):
            raise InvalidJob(
                tr(
                    "The layer '{name}' is no file. Save the part that you have labelled as GeoTIFF (right-click the "
                    "layer > Export > Save As…) and export that."
                ).format(name=layer.name())
            )
        if not self._labels.given:
            raise InvalidJob(tr("Choose the layer of labels that lies over the raster."))
        self._job = ExportJob(
            raster=path,
            labels="",
            output=_target(values.get("OUTPUT")),
            format=self.parameterAsEnumString(values, "FORMAT", context),
            class_field=self.text(values, "CLASS_FIELD", context),
            class_name=self.text(values, "CLASS_NAME", context) or ExportJob.class_name,
            size_m=self.real(values, "POINT_SIZE", context),
            size_field=self.text(values, "SIZE_FIELD", context),
            ignore_field=self.text(values, "IGNORE_FIELD", context),
            tile_px=self.parameterAsInt(values, "TILE", context),
            step_px=self.whole(values, "STEP", context),
            empty=self.parameterAsBoolean(values, "EMPTY", context),
            least_visible=self.parameterAsDouble(values, "LEAST_VISIBLE", context),
        )
        replace(self._job, labels=path).validate()  # the layer is written in the run: the raster stands for it


def _parameters() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            QgsProcessingParameterRasterLayer("INPUT", tr("Raster")),
            tr("Image on which objects have been labelled: a raster file of any size, type and coordinate system."),
        ),
        explained(
            QgsProcessingParameterFeatureSource("LABELS", tr("Labels")),
            tr("Layer with an outline, a line or a point for every object. Outlines become the boxes around them."),
        ),
        *classes_of_labels(),
        explained(
            QgsProcessingParameterEnum(
                "FORMAT", tr("Format"), options=list(CHIP_FORMATS), defaultValue="arcgis", usesStaticStrings=True
            ),
            tr(
                "How the boxes are written: arcgis (images, labels, esri_model_definition.emd), coco (JSON), voc "
                "(Pascal VOC, XML), yolo, kitti, or csv (annotations.csv)."
            ),
        ),
        explained(
            number("TILE", tr("Tile size (px)"), INTEGER, 32, 8192, ExportJob.tile_px),
            tr("Side of a chip, in pixels of the raster: several times as wide as an object."),
        ),
        explained(
            number("STEP", tr("Stride (px)"), INTEGER, 1, 8192),
            tr("Distance from one chip to the next; half a tile lets them overlap by half. Left out: side by side."),
        ),
        explained(
            QgsProcessingParameterBoolean("EMPTY", tr("Output no-feature tiles"), defaultValue=False),
            tr("Write chips without objects, too. Some of them teach what is no object; give the labelled area then."),
        ),
        point_size(),
        explained(
            QgsProcessingParameterFeatureSource("AREA", tr("Labelled area"), POLYGONS, optional=True),
            tr("Polygons inside which every object is labelled; the ground outside is left blank (0) on the chips."),
        ),
        advanced(
            explained(
                number("LEAST_VISIBLE", tr("Least visible share"), DOUBLE, 0.01, 1, ExportJob.least_visible),
                tr(
                    "Share of an object's box that a chip must show, from 0 to 1. Objects cut further are marked as "
                    "ones to ignore where the format can, and left out otherwise."
                ),
            )
        ),
        advanced(size_field()),
        advanced(
            explained(
                field("IGNORE_FIELD", tr("Field of doubtful objects"), "LABELS"),
                tr("True where an object is uncertain: it is marked as one to ignore where the format can."),
            )
        ),
        explained(
            QgsProcessingParameterFolderDestination("OUTPUT", tr("Folder of chips")),
            tr("A new or an empty folder; it appears when all is written."),
        ),
    ]


def _target(value: Any) -> str:
    """Absolute path of the folder that was chosen; a stand-in for a temporary one."""
    if isinstance(value, str) and value not in ("", QgsProcessing.TEMPORARY_OUTPUT):
        return str(Path(value).absolute())
    return str(Path(QgsProcessingUtils.tempFolder()) / "chips")
