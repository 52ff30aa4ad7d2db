"""The parameters of the detection algorithm: names, units, limits and help."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterRange,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..models import default_model
from ..settings import read_settings
from ..wording import tr
from .definitions import DOUBLE, INTEGER, POLYGONS, advanced, device, explained, number
from .views import view


def parameters() -> list[QgsProcessingParameterDefinition]:
    """Make the definitions, in the order of the dialog."""
    output = QgsProcessingParameterVectorDestination("OUTPUT", tr("Objects"), Qgis.ProcessingSourceType.VectorPolygon)
    output.setSupportsNonFileBasedOutput(False)
    return [
        *_basic(),
        *(advanced(parameter) for parameter in _advanced()),
        explained(output, tr("Boxes with class, confidence and area. A GeoPackage also holds what was not examined.")),
    ]


def _basic() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            QgsProcessingParameterRasterLayer("INPUT", tr("Raster")),
            tr(
                "Aerial or satellite image to look at: a raster of any size, type and coordinate system. Of an online "
                "map the part that is needed is fetched first."
            ),
        ),
        explained(
            QgsProcessingParameterFile(
                "MODEL",
                tr("Model"),
                defaultValue=default_model(),
                fileFilter=tr("Tilehawk models (*.safetensors);;All files (*)"),
            ),
            tr("Model file (.safetensors), or the name of one that comes with Tilehawk, such as swimming-pools."),
        ),
        explained(
            QgsProcessingParameterExtent("EXTENT", tr("Extent"), optional=True),
            tr("Part of the raster to look at. Left out: all of it."),
        ),
        explained(
            QgsProcessingParameterFeatureSource("MASK", tr("Area layer"), POLYGONS, optional=True),
            tr("Polygons to look inside, in any coordinate system; its selected features only, if you wish."),
        ),
        explained(
            number("THRESHOLD", tr("Confidence threshold"), DOUBLE, 0, 1),
            tr(
                "Objects at or above it are shown and counted, from 0 to 1. Left out: the model's own. A GeoPackage "
                "keeps those below it too: move the layer's filter later, without a new run."
            ),
        ),
    ]


def _advanced() -> list[QgsProcessingParameterDefinition]:
    return [
        view(),
        explained(
            number("TILE", tr("Tile size (px)"), INTEGER, 64, 8192),
            tr("Side of the squares the model looks at, in pixels of its resolution. Left out: the model's own."),
        ),
        explained(
            number("OVERLAP", tr("Overlap of tiles (px)"), INTEGER, 0, 4096),
            tr(
                "How far neighbouring tiles overlap: at least the size of the largest object, at most half a tile. "
                "Left out: the model's own."
            ),
        ),
        explained(
            number("NMS_OVERLAP", tr("Overlap of boxes to be one object"), DOUBLE, 0, 1),
            tr(
                "Of two boxes of a class whose overlap (intersection over union, 0 to 1) exceeds it, the less "
                "confident one is dropped. Lower it where objects are found twice, raise it where they stand close."
            ),
        ),
        explained(
            number("SCORE_FLOOR", tr("Lowest confidence to keep"), DOUBLE, 0, 1),
            tr("Objects below it are not written at all, from 0 to 1. Left out: the model's own, about 0.05."),
        ),
        explained(
            QgsProcessingParameterString("CLASSES", tr("Classes"), optional=True),
            tr("Classes to look for, with commas between them. Left out: all that the model knows."),
        ),
        explained(
            QgsProcessingParameterBand(
                "BANDS", tr("Bands"), parentLayerParameterName="INPUT", optional=True, allowMultiple=True
            ),
            tr("Bands of the raster in the order of the model's bands. Left out: chosen by their colours."),
        ),
        explained(
            QgsProcessingParameterRange("VALUE_RANGE", tr("Value range"), DOUBLE, optional=True),
            tr(
                "Pixel values that become black and white, for rasters that are not 8 bit. "
                "Left out: found from the raster."
            ),
        ),
        explained(
            QgsProcessingParameterString(
                "RESOLUTION", tr("Pixel size to look at"), defaultValue="model", optional=True
            ),
            tr(
                "'model' resamples the raster to the pixel size the model learnt from, 'native' leaves it as it is, "
                "a number is metres on the ground."
            ),
        ),
        explained(
            number("BATCH_SIZE", tr("Batch size (tiles)"), INTEGER, 1, 1024),
            tr("Tiles looked at together. Lower it where the graphics card's memory runs out. Left out: chosen."),
        ),
        device(),
        explained(
            QgsProcessingParameterString(
                "CLUSTER", tr("Cluster address"), defaultValue=read_settings().cluster or None, optional=True
            ),
            tr(
                "Dask scheduler, such as tcp://host:8786, whose machines look at the tiles in this computer's place. "
                "They must see the raster under the same path. Left out: the one in the options; empty: this computer."
            ),
        ),
        explained(
            QgsProcessingParameterBoolean("RESUME", tr("Go on with an interrupted run"), defaultValue=True),
            tr(
                "Where the same run died before its end, it goes on from what was found by then, and gives the same "
                "result. Unticked, and where something was changed, it begins anew."
            ),
        ),
    ]
