"""Saving the objects of a result layer as a file of another kind, in the background."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qgis.core import (
    NULL,
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsFeature,
    QgsFeatureSink,
    QgsField,
    QgsFields,
    QgsProject,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ...core.job.errors import OutputError
from ..background import Work
from ..layers import shown_classes
from ..wording import tr
from .counting import CHECK_EVERY, Rows, open_rows, whole_source

WGS84 = "EPSG:4326"
NO_FEATURE_ID = "fid"  # a GeoPackage makes its own
PARTS = ("", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".qmd")


@dataclass(frozen=True)
class ExportFormat:
    """One format: GDAL's driver, its layer options, and what it can hold. `longest_name`: of a field, in letters."""

    title: str
    suffix: str
    driver: str
    options: tuple[str, ...] = ()
    degrees: bool = False
    longest_name: int = 60
    table: bool = False


FORMATS = (
    ExportFormat("GeoPackage", ".gpkg", "GPKG"),
    ExportFormat("Shapefile", ".shp", "ESRI Shapefile", ("ENCODING=UTF-8",), longest_name=10),
    ExportFormat("GeoJSON", ".geojson", "GeoJSON", ("RFC7946=YES", "COORDINATE_PRECISION=8"), degrees=True),
    ExportFormat("CSV", ".csv", "CSV", ("GEOMETRY=AS_XY", "SEPARATOR=COMMA"), table=True),
    ExportFormat("KML", ".kml", "KML", ("NameField=name",), degrees=True),
)
SHORT_NAMES = {"box_area_m2": "area_m2"}


def format_of(path: str) -> ExportFormat:
    """Format by a file's suffix; raises OutputError with those there are."""
    suffix = Path(path).suffix.lower()
    for known in FORMATS:
        if known.suffix == suffix:
            return known
    names = ", ".join(known.suffix for known in FORMATS)
    raise OutputError(tr("Objects are saved as {names}, not as '{file}'.").format(names=names, file=Path(path).name))


def exporting(layer: QgsVectorLayer, path: str, only_shown: bool, centres: bool) -> Callable[[Work], tuple[str, int]]:
    """Prepare, in the main thread, the work that saves a layer; it gives the path and the number of objects.

    `only_shown`: what the filter and the legend leave on the map, else everything. `centres`: points instead of boxes;
    a CSV file always holds them, in the layer's coordinates and in degrees. Raises OutputError.
    """
    form = format_of(path)
    _refuse_open(path)
    source, name = whole_source(layer), layer.name()
    subset = layer.subsetString() if only_shown else ""
    off = [name for name, (_, visible) in shown_classes(layer).items() if not visible] if only_shown else []
    crs = QgsCoordinateReferenceSystem(layer.crs())
    transforms = QgsProject.instance().transformContext()
    if form.degrees and not crs.isValid():
        raise OutputError(
            tr("{format} is in longitude and latitude, but the layer has no coordinate system.").format(
                format=form.title
            )
        )

    rows = open_rows(source, subset)

    def export(work: Work) -> tuple[str, int]:
        return path, _write(rows, off, Path(path), name, form, centres or form.table, crs, transforms, work)

    return export


def _write(
    rows: Rows,
    off: list[str],
    path: Path,
    name: str,
    form: ExportFormat,
    centres: bool,
    crs: QgsCoordinateReferenceSystem,
    transforms: QgsCoordinateTransformContext,
    work: Work,
) -> int:
    degrees = QgsCoordinateReferenceSystem(WGS84)
    places = [place for place, field in enumerate(rows.fields) if field.name() != NO_FEATURE_ID]
    fields = _fields(rows.fields, places, form)
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = form.driver
    options.layerName = name if form.driver == "GPKG" else path.stem
    options.fileEncoding = "UTF-8"
    options.layerOptions = list(form.options)
    options.datasourceOptions = ["VERSION=1.2"] if form.driver == "GPKG" else []
    kind = Qgis.WkbType.Point if centres else Qgis.WkbType.Polygon
    out = degrees if form.degrees else crs
    writer = QgsVectorFileWriter.create(str(path), fields, kind, out, transforms, options)
    if writer.hasError() != QgsVectorFileWriter.WriterError.NoError:
        raise OutputError(tr("'{path}' cannot be written: {why}").format(path=path, why=writer.errorMessage()))
    to_out = QgsCoordinateTransform(crs, out, transforms)
    to_degrees = QgsCoordinateTransform(crs, degrees, transforms)
    total, written = max(rows.count, 1), 0
    try:
        for feature in rows.features():
            if feature["class"] in off:
                continue
            if written % CHECK_EVERY == 0:
                work.stop_if_cancelled()
                work.setProgress(100 * written / total)
            shape = feature.geometry()
            if centres:
                shape = shape.centroid()
            values = [feature.attributes()[place] for place in places]
            if form.table:
                values += _degrees(shape, to_degrees)
            elif form.driver == "KML":
                values.append(_title(feature))
            shape.transform(to_out)
            copy = QgsFeature(fields)
            copy.setAttributes(values)
            copy.setGeometry(shape)
            if not writer.addFeature(copy, QgsFeatureSink.Flag.FastInsert):
                raise OutputError(tr("'{path}' cannot be written: {why}").format(path=path, why=writer.errorMessage()))
            written += 1
    except QgsCsException as problem:
        raise OutputError(
            tr("An object cannot be brought to longitude and latitude: {why}").format(why=problem)
        ) from problem
    finally:
        del writer  # closes the file
        if work.isCanceled():
            _remove(path)
    return written


def _fields(fields: QgsFields, places: list[int], form: ExportFormat) -> QgsFields:
    """Fields of the file: the layer's, with names short enough, and what the format adds."""
    kept = QgsFields()
    for place in places:
        field = QgsField(fields.at(place))
        name = field.name()
        if len(name) > form.longest_name:
            name = SHORT_NAMES.get(name, name[: form.longest_name])
        field.setName(name)
        field.setAlias("")
        kept.append(field)
    if form.table:
        for name in ("longitude", "latitude"):
            kept.append(QgsField(name, fields.at(fields.indexFromName("score")).type()))
    elif form.driver == "KML":
        kept.append(QgsField("name", fields.at(fields.indexFromName("class")).type()))
    return kept


def _degrees(point, to_degrees: QgsCoordinateTransform) -> list[object]:
    if not to_degrees.isValid() or not to_degrees.sourceCrs().isValid():
        return [NULL, NULL]
    place = to_degrees.transform(point.asPoint())
    return [round(place.x(), 8), round(place.y(), 8)]


def _title(feature: QgsFeature) -> str:
    return f"{feature['class']} {feature['id']}"


def _refuse_open(path: str) -> None:
    for layer in QgsProject.instance().mapLayers().values():
        source = layer.source().split("|")[0]
        if source and Path(source).is_file() and Path(path).exists() and Path(source).samefile(path):
            raise OutputError(
                tr(
                    "The file '{path}' is open in the project as '{name}'. Choose another name, or remove that layer."
                ).format(path=path, name=layer.name())
            )


def _remove(path: Path) -> None:
    for suffix in PARTS:
        with contextlib.suppress(OSError):
            (path.with_suffix(suffix) if suffix else path).unlink(missing_ok=True)
