"""From the values of the training algorithm's parameters to a job: half of it in the main thread, half in another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRasterDataProvider,
    QgsRasterLayer,
)

from ...core.job.augmentation import parse_augmentation
from ...core.job.card import read_card
from ...core.job.errors import InvalidJob, ModelError, RasterError
from ...core.job.factors import parse_factors
from ...core.job.train_job import KNOWN_STARTS, TrainJob
from ..models import find_model
from ..translation import language_of_reports
from ..wording import tr
from .layer_files import LayerFile
from .worker_algorithm import WorkerAlgorithm

COLOURS = ("red", "green", "blue")
ROLES = {1: ("gray",), 3: COLOURS, 4: (*COLOURS, "nir")}


@dataclass(frozen=True)
class PreparedTraining:
    """All that a training has taken from QGIS: the job as far as it is known, and its layers."""

    job: TrainJob
    labels: LayerFile
    area: LayerFile

    def make_job(self, beside: Path, feedback: QgsProcessingFeedback) -> TrainJob:
        """Give the job with files of its layers; layers that are no files are written beside a model's path.

        Those that an earlier model was trained on are left alone: its samples are mixed in from there.
        """
        job = self.job
        kept = _files_of(beside) | _files_of(Path(job.start_from or ""))
        if self.labels.given:
            copy = _free(beside.with_name(f"{beside.stem}-labels.gpkg"), kept)
            job = replace(job, labels=(self.labels.path(copy, feedback),))
        if self.area.given:
            job = replace(job, area=self.area.path(_free(beside.with_name(f"{beside.stem}-area.gpkg"), kept), feedback))
        return job


def prepare_training(
    algorithm: WorkerAlgorithm, values: dict[str, Any], context: QgsProcessingContext
) -> PreparedTraining:
    """Take what a training needs, in the thread of `context`; the output may be a stand-in.

    Raises a TilehawkError with a sentence for all that can be known by now.
    """
    labels, area = (LayerFile(algorithm, values, name, context) for name in ("LABELS", "AREA"))
    chosen = values.get("OUTPUT")
    known = isinstance(chosen, str) and chosen not in ("", QgsProcessing.TEMPORARY_OUTPUT)
    job = _job(algorithm, values, context, model_path(chosen if known else f"{QgsProcessingUtils.tempFolder()}/model"))
    if job.rasters and not labels.given:
        raise InvalidJob(tr("Choose the layer of labels that lies over the raster."))
    if labels.given and not job.rasters:
        raise InvalidJob(tr("Choose the raster that the labels lie over."))
    if not (job.rasters or job.data):
        raise InvalidJob(tr("Choose a raster with a layer of labels, or a folder of labelled images."))
    # Layers that are no files are written only in the run: until then their raster stands for them.
    stand_in = job.rasters
    replace(job, labels=stand_in, area=stand_in[0] if stand_in and area.given else None).validate()
    return PreparedTraining(job, labels, area)


def _files_of(model: Path) -> set[Path]:
    """Files of labels and areas that a model's card names; none where there is no such model."""
    try:
        sources = [told["source"] for told in read_card(model).training.get("sources", [])]
    except (ModelError, KeyError, TypeError):
        return set()
    named = [source.get(key) for source in sources for key in ("labels", "area")]
    return {Path(name.split("|")[0]) for name in named if name}


def _free(path: Path, kept: set[Path]) -> Path:
    """The path, or the next one with a number that is not to be kept."""
    number = 2
    free = path
    while free in kept:
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free


def model_path(path: str) -> str:
    """Absolute path of a model; Processing's own file destinations may come without a suffix."""
    full = Path(path).absolute()
    return str(full if full.suffix else full.with_suffix(".safetensors"))


def _job(algorithm: WorkerAlgorithm, values: dict[str, Any], context: QgsProcessingContext, output: str) -> TrainJob:
    """Turn parameter values into a job without its layers of labels and area."""

    given, text, real, whole = (
        partial(getter, values) for getter in (algorithm.given, algorithm.text, algorithm.real, algorithm.whole)
    )
    layer = algorithm.parameterAsRasterLayer(values, "INPUT", context) if given("INPUT") else None
    chosen = tuple(algorithm.parameterAsInts(values, "BANDS", context)) if given("BANDS") else ()
    bands = chosen or (_bands_by_colour(layer.dataProvider()) if layer is not None else TrainJob.bands)
    class_field = text("CLASS_FIELD", context)
    return TrainJob(
        output=output,
        data=(str(Path(text("FOLDER", context)).absolute()),) if given("FOLDER") else (),
        rasters=(_raster_path(layer),) if layer is not None else (),
        class_field=class_field,
        classes=(text("CLASS_NAME", context),)
        if layer is not None and not class_field and text("CLASS_NAME", context)
        else None,
        ignore_field=text("IGNORE_FIELD", context),
        size_m=real("POINT_SIZE", context) or None,
        size_field=text("SIZE_FIELD", context),
        extent=_extent(algorithm, values, context, layer) if layer is not None and given("EXTENT") else None,
        title=text("TITLE", context) or "",
        backbone=algorithm.parameterAsEnumString(values, "BACKBONE", context),
        bands=bands,
        band_roles=ROLES.get(len(bands), ("other",) * len(bands)),
        resolution_m=real("RESOLUTION", context) or None,
        epochs=whole("EPOCHS", context) or TrainJob.epochs,
        patience=whole("PATIENCE", context),
        batch_size=whole("BATCH_SIZE", context) or TrainJob.batch_size,
        tile_px=whole("TILE", context) or TrainJob.tile_px,
        learning_rate=real("LEARNING_RATE", context) or None,
        freeze_backbone=whole("FREEZE", context) or 0,
        anchor_scales=parse_factors(text("SCALES", context)) if given("SCALES") else TrainJob.anchor_scales,
        anchor_ratios=parse_factors(text("RATIOS", context)) if given("RATIOS") else None,
        augmentation=parse_augmentation(text("AUGMENTATION", context) or "default"),
        seed=whole("SEED", context) or 0,
        device=algorithm.parameterAsEnumString(values, "DEVICE", context),
        resume=algorithm.parameterAsBoolean(values, "RESUME", context),
        start_from=_start(text("START_FROM", context)),
        mix=algorithm.parameterAsBoolean(values, "MIX", context),
        overwrite=algorithm.parameterAsBoolean(values, "OVERWRITE", context),
        language=language_of_reports(),
    )


def _start(text: str | None) -> str | None:
    return find_model(text) if text and text not in KNOWN_STARTS else text


def _raster_path(layer: QgsRasterLayer) -> str:
    name = layer.source().split("|", maxsplit=1)[0]
    if layer.providerType() != "gdal" or name.startswith("/vsimem/") or "authcfg=" in layer.source():
        raise RasterError(
            tr(
                "The layer '{name}' is no file. Save the part that you have labelled as GeoTIFF (right-click the layer "
                "> Export > Save As…) and train on that."
            ).format(name=layer.name())
        )
    return str(Path(name).absolute()) if Path(name).exists() else name


def _bands_by_colour(provider: QgsRasterDataProvider) -> tuple[int, ...]:
    """Bands that say they are red, green and blue; else the first three, or the only one."""
    count = provider.bandCount()
    wanted = (
        Qgis.RasterColorInterpretation.RedBand,
        Qgis.RasterColorInterpretation.GreenBand,
        Qgis.RasterColorInterpretation.BlueBand,
    )
    colours = [provider.colorInterpretation(band) for band in range(1, count + 1)]
    if all(colour in colours for colour in wanted):
        return tuple(colours.index(colour) + 1 for colour in wanted)
    return (1, 2, 3) if count >= 3 else (1,)


def _extent(
    algorithm: WorkerAlgorithm, values: dict[str, Any], context: QgsProcessingContext, layer: QgsRasterLayer
) -> tuple[float, float, float, float] | None:
    extent = algorithm.parameterAsExtent(values, "EXTENT", context, layer.dataProvider().crs())
    if extent.isNull():
        return None
    return (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
