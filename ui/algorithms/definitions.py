"""How parameters are defined: with their help, as advanced ones, as numbers; and those that several algorithms have."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterField,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from ...core.job.jobs import DEVICES
from ..settings import read_settings
from ..wording import tr

INTEGER = Qgis.ProcessingNumberParameterType.Integer
DOUBLE = Qgis.ProcessingNumberParameterType.Double
POLYGONS = [Qgis.ProcessingSourceType.VectorPolygon]


def explained(parameter: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    """Give a parameter its help."""
    parameter.setHelp(text)
    return parameter


def advanced(parameter: QgsProcessingParameterDefinition) -> QgsProcessingParameterDefinition:
    """Fold a parameter away among the advanced ones."""
    parameter.setFlags(parameter.flags() | Qgis.ProcessingParameterFlag.Advanced)
    return parameter


def number(
    name: str,
    description: str,
    kind: Qgis.ProcessingNumberParameterType,
    low: float,
    high: float,
    default: float | None = None,
) -> QgsProcessingParameterNumber:
    """Define a number within limits, which may be left out where it has no default."""
    return QgsProcessingParameterNumber(name, description, kind, default, default is None, low, high)


def field(name: str, description: str, layer: str, *, numeric: bool = False) -> QgsProcessingParameterField:
    """Define a field of the layer of another parameter, which may be left out."""
    any_kind, numbers = Qgis.ProcessingFieldParameterDataType.Any, Qgis.ProcessingFieldParameterDataType.Numeric
    return QgsProcessingParameterField(name, description, None, layer, numbers if numeric else any_kind, optional=True)


def device() -> QgsProcessingParameterDefinition:
    """Define what to compute on; the settings give the default."""
    return explained(
        QgsProcessingParameterEnum(
            "DEVICE",
            tr("Compute on"),
            options=list(DEVICES),
            defaultValue=read_settings().device,
            usesStaticStrings=True,
        ),
        tr("auto takes a graphics card where there is one; cpu, cuda (NVIDIA) and mps (Apple) choose."),
    )


def classes_of_labels() -> list[QgsProcessingParameterDefinition]:
    """Define how classes are read from the layer LABELS."""
    return [
        explained(
            field("CLASS_FIELD", tr("Class field"), "LABELS"),
            tr("Field that says what an object is. Left out: all objects are of one class."),
        ),
        explained(
            QgsProcessingParameterString("CLASS_NAME", tr("Class name"), defaultValue="object", optional=True),
            tr("What the objects are, where there is no class field: pool, palm, car."),
        ),
    ]


def point_size() -> QgsProcessingParameterDefinition:
    """Define the size of all points of the layer LABELS."""
    return explained(
        number("POINT_SIZE", tr("Size of points (m)"), DOUBLE, 0, 10_000),
        tr("Side of the box around a point, in metres on the ground: about the size of an object."),
    )


def size_field() -> QgsProcessingParameterDefinition:
    """Define the field of the layer LABELS with the size of each point."""
    return explained(
        field("SIZE_FIELD", tr("Field with the size of points"), "LABELS", numeric=True),
        tr("Side of a point's box in metres on the ground, object by object."),
    )
