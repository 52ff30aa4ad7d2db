"""The two halves of making a job: what must be taken in the main thread, and what may take its time in another one."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from itertools import chain, count
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateTransformContext,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSource,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRectangle,
    QgsVectorLayer,
)

from ...core.job.card import ModelCard, read_card
from ...core.job.jobs import DetectJob
from ..models import find_model
from ..wording import tr
from .detect_job import detect_job
from .fetching import Fetched, FetchPlan, fetch, is_online, plan_fetch
from .sources import RasterSource, export_area
from .views import input_raster


@dataclass(frozen=True)
class Prepared:
    """All that a run has taken from QGIS: the job as far as it is known, and what its files are made of."""

    raster: RasterSource
    card: ModelCard
    job: DetectJob
    area: QgsProcessingFeatureSource | None
    transforms: QgsCoordinateTransformContext


@dataclass(frozen=True)
class Files:
    """A job that can be run, the plan of what is fetched for it, and the temporary files to delete after it.

    `picture`: what was fetched, where it lies beside the result.
    """

    job: DetectJob
    plan: FetchPlan | None = None
    fetched: Fetched | None = None
    temporary: tuple[str, ...] = ()
    picture: str = ""

    def delete(self) -> None:
        """Delete the temporary files, each with the folder that QGIS has made for it, and the picture."""
        for path in self.temporary:
            _delete(path)
            with suppress(OSError):
                Path(path).parent.rmdir()
        if self.picture:
            _delete(self.picture)


def prepare(algorithm: QgsProcessingAlgorithm, values: dict[str, Any], context: QgsProcessingContext) -> Prepared:
    """Take layers and settings; call it in the thread they belong to. Raises a TilehawkError with a sentence."""
    raster = input_raster(algorithm, values, context)
    model = find_model(algorithm.parameterAsFile(values, "MODEL", context))
    card = read_card(model)
    job = detect_job(algorithm, values, context, raster, model, card)
    if raster.provider is not None:  # its picture will lie here, where the machines of a cluster do not see it
        job = replace(job, cluster=None)
    area = algorithm.parameterAsSource(values, "MASK", context)
    return Prepared(raster, card, job, area, context.transformContext())


def make_files(prepared: Prepared, feedback: QgsProcessingFeedback, result: str = "") -> Files:
    """Write the area, and fetch the picture of a layer that is no file. Raises a TilehawkError with a sentence.

    `result`: file of the objects, where the picture is to stay beside it.
    """
    job, raster = _with_area(prepared, feedback), prepared.raster
    area = () if job.mask is None else (job.mask,)
    if raster.provider is None:
        return Files(job, temporary=area)
    plan = _plan(prepared, job)
    picture = picture_beside(result) if result else ""
    path = picture or QgsProcessingUtils.generateTempFilename("fetched.tif")
    files = Files(replace(job, raster=path), plan, temporary=area if picture else (path, *area), picture=picture)
    if is_online(raster.provider):
        feedback.pushInfo(
            tr(
                "Fetching {width} x {height} pixels of '{name}'. Whether its terms allow that is yours to check."
            ).format(width=f"{plan.width:,}", height=f"{plan.height:,}", name=raster.name)
        )
    try:
        fetched = fetch(raster.provider, raster.name, plan, path, feedback)
    except BaseException:
        files.delete()
        raise
    if fetched.missing > 0:
        feedback.pushWarning(missing_sentence(fetched, raster.name))
    return replace(files, fetched=fetched)


def plan_files(prepared: Prepared, feedback: QgsProcessingFeedback) -> Files:
    """As `make_files`, but for a pre-flight: an empty raster of the same pixels stands for what is not yet fetched."""
    job, raster = _with_area(prepared, feedback), prepared.raster
    area = () if job.mask is None else (job.mask,)
    if raster.provider is None:
        return Files(job, temporary=area)
    plan = _plan(prepared, job)
    path = QgsProcessingUtils.generateTempFilename("planned.vrt")
    Path(path).write_text(_empty_raster(plan, raster), encoding="utf-8")
    return Files(replace(job, raster=path), plan, temporary=(path, *area))


def picture_beside(result: str) -> str:
    """Path for the picture that was looked at, beside the result; one that no file has yet."""
    path = Path(result).absolute()
    names = (f"{path.stem}_picture{number}.tif" for number in chain([""], (f"_{n}" for n in count(2))))
    return str(next(each for name in names if not (each := path.with_name(name)).exists()))


def missing_sentence(fetched: Fetched, name: str) -> str:
    """Say how much of a picture is missing, and why."""
    share = f"{fetched.missing:.0%}" if fetched.missing >= 0.01 else tr("Less than 1 %")
    sentence = tr("{share} of the picture was not delivered by '{name}'; it counts as not examined.")
    return " ".join(filter(None, [sentence.format(share=share, name=name), fetched.why]))


def _delete(path: str) -> None:
    for each in (path, f"{path}.aux.xml"):
        with suppress(OSError):
            Path(each).unlink()


def _with_area(prepared: Prepared, feedback: QgsProcessingFeedback) -> DetectJob:
    if prepared.area is None:
        return prepared.job
    return replace(prepared.job, mask=export_area(prepared.area, prepared.raster, prepared.transforms, feedback))


def _plan(prepared: Prepared, job: DetectJob) -> FetchPlan:
    raster, card = prepared.raster, prepared.card
    extent = raster.provider.extent() if job.extent is None else QgsRectangle(*job.extent)
    if job.mask is not None:
        extent = extent.intersect(QgsVectorLayer(job.mask).extent())
    wanted = job.resolution_m if isinstance(job.resolution_m, (int, float)) else card.resolution_m
    margin = (card.overlap_px if job.overlap_px is None else job.overlap_px) / 2
    return plan_fetch(raster.provider, raster.name, extent, wanted, margin, prepared.transforms)


def _empty_raster(plan: FetchPlan, raster: RasterSource) -> str:
    """Describe a GDAL virtual raster without any pixels that are valid."""
    left, top = plan.extent.xMinimum(), plan.extent.yMaximum()
    numbers = raster.provider.bandCount() if raster.provider.bandCount() > 1 else 3
    colours = ("Red", "Green", "Blue")
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>0</NoDataValue>'
        f"<ColorInterp>{colours[band - 1] if band <= 3 else 'Undefined'}</ColorInterp></VRTRasterBand>"
        for band in range(1, numbers + 1)
    )
    return (
        f'<VRTDataset rasterXSize="{plan.width}" rasterYSize="{plan.height}">'
        f"<SRS>{escape(raster.own_crs.toWkt())}</SRS>"
        f"<GeoTransform>{left!r}, {plan.pixel!r}, 0, {top!r}, 0, {-plan.pixel!r}</GeoTransform>{bands}</VRTDataset>"
    )
