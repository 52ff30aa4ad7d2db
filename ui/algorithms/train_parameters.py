"""The parameters of the training algorithm: names, units, limits and help."""

from __future__ import annotations

from qgis.core import (
    Qgis,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ...core.job.train_job import BACKBONES, TrainJob
from ..models import DEFAULT
from ..wording import tr
from .definitions import (
    DOUBLE,
    INTEGER,
    POLYGONS,
    advanced,
    classes_of_labels,
    device,
    explained,
    field,
    number,
    point_size,
    size_field,
)


def parameters() -> list[QgsProcessingParameterDefinition]:
    """Make the definitions, in the order of the dialog."""
    output = QgsProcessingParameterFileDestination("OUTPUT", tr("Model"), tr("Tilehawk models (*.safetensors)"))
    return [
        *_labels(),
        *_model(),
        *(advanced(parameter) for parameter in _training()),
        explained(output, tr("One file: the weights and, in its header, everything that detection needs to know.")),
    ]


def _labels() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            QgsProcessingParameterRasterLayer("INPUT", tr("Raster"), optional=True),
            tr("Image on which objects have been labelled: a raster file of any size, type and coordinate system."),
        ),
        explained(
            QgsProcessingParameterFeatureSource("LABELS", tr("Labels"), optional=True),
            tr(
                "Layer with an outline, a line or a point for every object, in any coordinate system. Outlines become "
                "the boxes around them."
            ),
        ),
        *classes_of_labels(),
        point_size(),
        explained(
            QgsProcessingParameterFeatureSource("AREA", tr("Labelled area"), POLYGONS, optional=True),
            tr(
                "Polygons inside which every object is labelled. Elsewhere nothing is learnt: an object without a "
                "label would be taken for background. Left out: the whole raster."
            ),
        ),
        explained(
            QgsProcessingParameterExtent("EXTENT", tr("Labelled extent"), optional=True),
            tr("The same as a rectangle."),
        ),
        explained(
            QgsProcessingParameterFile(
                "FOLDER",
                tr("Folder of labelled images"),
                behavior=Qgis.ProcessingFileParameterBehavior.Folder,
                optional=True,
            ),
            tr(
                "Instead of a raster with labels, or in addition: annotations.csv, COCO, Pascal VOC, YOLO, KITTI, or "
                "training data exported by ArcGIS."
            ),
        ),
    ]


def _model() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            QgsProcessingParameterString("START_FROM", tr("Start from"), defaultValue=DEFAULT, optional=True),
            tr(
                "Model whose weights and network are taken over: one that comes with Tilehawk, such as "
                "swimming-pools, or a model file. Also 'coco' or 'imagenet': weights of torchvision, downloaded once. "
                "Left out: from scratch, which needs many labels and much time."
            ),
        ),
        explained(
            QgsProcessingParameterBoolean("MIX", tr("Keep learning from the earlier samples"), defaultValue=True),
            tr(
                "Where the model to start from says what it was trained on, those labels are learnt from, too: else it "
                "forgets what the new ones do not show. What tested it goes on to test."
            ),
        ),
        explained(
            QgsProcessingParameterEnum(
                "BACKBONE", tr("Backbone"), options=list(BACKBONES), defaultValue="resnet50", usesStaticStrings=True
            ),
            tr("Part of the network that sees: resnet18 is fast, resnet50 sees more. A Tilehawk model brings its own."),
        ),
        explained(
            number("EPOCHS", tr("Epochs at most"), INTEGER, 1, 10_000, TrainJob.epochs),
            tr("Rounds through the labels."),
        ),
        explained(
            number("PATIENCE", tr("Stop after epochs without improvement"), INTEGER, 1, 1000),
            tr("Training ends when so many rounds brought nothing better. Left out: all epochs are done."),
        ),
        explained(
            QgsProcessingParameterString("TITLE", tr("Title"), optional=True),
            tr("The model's name in lists, such as 'Oil palms of Johor'."),
        ),
    ]


def _training() -> list[QgsProcessingParameterDefinition]:
    return [
        explained(
            field("IGNORE_FIELD", tr("Field of doubtful objects"), "LABELS"),
            tr("True where an object is uncertain: it is taken neither for an object nor for background."),
        ),
        size_field(),
        explained(
            QgsProcessingParameterBand(
                "BANDS", tr("Bands"), parentLayerParameterName="INPUT", optional=True, allowMultiple=True
            ),
            tr("Bands to learn from, as red, green, blue and near infrared. Left out: chosen by their colours."),
        ),
        explained(
            number("RESOLUTION", tr("Pixel size (m)"), DOUBLE, 0, 10_000),
            tr("Metres on the ground at which the model looks. Left out: the raster's own."),
        ),
        explained(
            number("TILE", tr("Tile size (px)"), INTEGER, 64, 2048, TrainJob.tile_px),
            tr("Side of the squares it learns from, in pixels of its resolution: some times the largest object."),
        ),
        explained(
            number("BATCH_SIZE", tr("Batch size (tiles)"), INTEGER, 1, 1024, TrainJob.batch_size),
            tr("Tiles learnt from together. Lower it where memory runs out."),
        ),
        explained(
            number("LEARNING_RATE", tr("Learning rate"), DOUBLE, 0, 1),
            tr("How large the steps are. Left out: found by a trial before the training."),
        ),
        explained(
            number("FREEZE", tr("Epochs with a frozen backbone"), INTEGER, 0, 10_000, 0),
            tr("First rounds in which the backbone keeps its weights: for few labels and a good start."),
        ),
        explained(
            QgsProcessingParameterString("SCALES", tr("Anchor scales"), defaultValue="1, 2^1/3, 2^2/3"),
            tr("Sizes of the anchors, as factors on each level's base size: 2^0, 2^1/3, 2^2/3, or 1, 0.8, 0.63."),
        ),
        explained(
            QgsProcessingParameterString("RATIOS", tr("Anchor ratios"), optional=True),
            tr("Height over width of the anchors, such as 0.5, 1, 2. Left out: fitted to the labels."),
        ),
        explained(
            QgsProcessingParameterString("AUGMENTATION", tr("Augmentation"), defaultValue="default"),
            tr("'default', 'none', or changes such as 'scale=1.1, haze=0': random changes to the tiles."),
        ),
        explained(
            QgsProcessingParameterBoolean("RESUME", tr("Go on with an interrupted training"), defaultValue=False),
            tr("Where the same training was cancelled or died: it goes on from its last checkpoint."),
        ),
        explained(
            QgsProcessingParameterBoolean(
                "OVERWRITE", tr("Replace an old model even by a worse one"), defaultValue=False
            ),
            tr(
                "Otherwise a model of the same name is replaced only where the new one is as good on the test area; "
                "else the new one is saved beside it."
            ),
        ),
        explained(
            number("SEED", tr("Seed"), INTEGER, 0, 2**31 - 1, TrainJob.seed),
            tr("Of all random choices: the same seed gives the same training."),
        ),
        device(),
    ]
