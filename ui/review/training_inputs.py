"""What a review gives a training: labels, what to ignore, and the ground around them in which all is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates these hints at run time

from qgis.core import (
    Qgis,
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingUtils,
    QgsVariantUtils,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QMetaType

from ...core.job.errors import InvalidJob, OutputError
from ..background import Work
from ..results.counting import Rows, ground_measure, open_rows, whole_source
from ..results.filter import DOUBTFUL, OBJECTS, REJECTED, REVIEW, Filter
from ..results.origin import Origin
from ..wording import tr

LABELS, AREA = "labels", "area"
CLASS_FIELD, IGNORE_FIELD = "class", "ignore"
AROUND_PX = 32  # px of the model around an object of which a reviewer has seen enough to know them
AROUND_SIDES = 2.0  # the same in longer sides of the object, where that is more


@dataclass(frozen=True)
class TrainingInputs:
    """What a Train dialog fills in, named as in a training job.

    `labels`, `area`: layers, `file|layername=x`. `start_from`: the model that has found the objects. Counts say what
    the review holds: `positives` are labels, `negatives` are ground in the area without a label, `ignored` are labels
    whose field `ignore` is 1.
    """

    raster: str
    labels: str
    area: str
    class_field: str
    ignore_field: str
    classes: tuple[str, ...]
    start_from: Optional[str]
    positives: int
    negatives: int
    ignored: int


def training_inputs(layer: QgsVectorLayer, origin: Origin, shown: Filter) -> Callable[[Work], TrainingInputs]:
    """Prepare, in the main thread, the work that writes a review as labels into a temporary GeoPackage.

    Confirmed and drawn objects are labels. Doubtful ones, and what the filter shows without anybody having looked, are
    to ignore. What was rejected is no label: within the area it is ground to learn from. The area is what surrounds
    each object with a verdict. Raises InvalidJob where nothing was reviewed, and as work OutputError.
    """
    if not origin.reviewed:
        raise InvalidJob(tr("Review some objects first: training learns from what you say of them."))
    whole, crs = open_rows(whole_source(layer)), layer.crs()
    card = origin.card()
    resolution = card.resolution_m if card is not None and card.resolution_m is not None else 1.0
    path = QgsProcessingUtils.generateTempFilename("reviewed.gpkg")

    def write(work: Work) -> TrainingInputs:
        labels: list[tuple[QgsGeometry, str, int]] = []
        squares: list[QgsGeometry] = []
        counts = {"positives": 0, "negatives": 0, "ignored": 0}
        names: dict[str, None] = {} if card is None else dict.fromkeys(known.name for known in card.classes)
        metre = _units_per_metre(whole, crs)
        for feature in whole.features():
            work.stop_if_cancelled()
            state, score = feature[REVIEW], feature["score"]
            known = "" if QgsVariantUtils.isNull(state) else str(state)
            unseen = not known and not QgsVariantUtils.isNull(score) and score >= shown.threshold
            if known in OBJECTS:
                counts["positives"] += 1
                names[str(feature["class"])] = None
            elif known == REJECTED:
                counts["negatives"] += 1
            elif known == DOUBTFUL:
                counts["ignored"] += 1
            if known in OBJECTS or known == DOUBTFUL or unseen:
                labels.append((feature.geometry(), str(feature["class"]), int(known not in OBJECTS)))
            if known:
                squares.append(_around(feature.geometry(), AROUND_PX * resolution * metre))
        if not counts["positives"] and not counts["negatives"]:
            raise InvalidJob(tr("Review some objects first: training learns from what you say of them."))
        area = QgsGeometry.unaryUnion(squares)
        near = QgsGeometry.createGeometryEngine(area.constGet())
        near.prepareGeometry()
        labels = [label for label in labels if near.intersects(label[0].constGet())]
        _write_labels(path, labels, crs)
        _write_area(path, area, crs)
        return TrainingInputs(
            origin.raster,
            f"{path}|layername={LABELS}",
            f"{path}|layername={AREA}",
            CLASS_FIELD,
            IGNORE_FIELD,
            tuple(names),
            origin.model or None,
            **counts,
        )

    return write


def _around(shape: QgsGeometry, least: float) -> QgsGeometry:
    box = shape.boundingBox()
    return QgsGeometry.fromRect(box.buffered(max(least, AROUND_SIDES * max(box.width(), box.height()))))


def _units_per_metre(rows: Rows, crs) -> float:
    """How many units of the layer's coordinates a metre on the ground is, in its middle; 1 where that is not known."""
    if not crs.isValid():
        return 1.0
    middle = rows.extent.center()
    unit = 1e-4 if crs.isGeographic() else 1.0
    length = ground_measure(crs).measureLine(middle, QgsPointXY(middle.x(), middle.y() + unit))
    return unit / length if length > 0 else 1.0


def _write_labels(path: str, labels: list[tuple[QgsGeometry, str, int]], crs) -> None:
    fields = QgsFields()
    fields.append(QgsField(CLASS_FIELD, QMetaType.Type.QString))
    fields.append(QgsField(IGNORE_FIELD, QMetaType.Type.Int))
    rows = [(shape, [name, ignore]) for shape, name, ignore in labels]
    _write(path, LABELS, fields, Qgis.WkbType.Polygon, rows, crs)


def _write_area(path: str, area: QgsGeometry, crs) -> None:
    area.convertToMultiType()
    _write(path, AREA, QgsFields(), Qgis.WkbType.MultiPolygon, [(area, [])], crs)


def _write(path: str, name: str, fields: QgsFields, kind: Qgis.WkbType, rows, crs) -> None:
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = "GPKG"
    options.layerName = name
    options.datasourceOptions = ["VERSION=1.2"]
    if name != LABELS:
        options.actionOnExistingFile = QgsVectorFileWriter.ActionOnExistingFile.CreateOrOverwriteLayer
    writer = QgsVectorFileWriter.create(path, fields, kind, crs, QgsCoordinateTransformContext(), options)
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise OutputError(tr("'{path}' cannot be written: {why}").format(path=path, why=writer.errorMessage()))
    for shape, values in rows:
        feature = QgsFeature(fields)
        feature.setGeometry(shape)
        feature.setAttributes(values)
        writer.addFeature(feature, QgsFeatureSink.Flag.FastInsert)
    del writer  # closes the file
