"""Layers that are no files: the part that is needed of an online map, database or computed raster, as a GeoTIFF."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingFeedback,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QByteArray, Qt

from ...core.job.errors import Cancelled, OutputError, RasterError
from ..wording import duration, tr
from .tile_server import NO_PICTURE, TILE_PX, why_missing

BLOCK_PX = 512
PX_PER_SECOND = 2_600_000  # of servers: 40 tiles of 256 px, about what a person makes who pans a map
MAX_PX = 400_000_000
BYTES_PER_PX = 0.25  # on the way, as JPEG
RETRY_SECONDS = (1.0, 3.0)
RETRIES = 12  # blocks in all that are asked for again
FINER = 1.1  # pixels up to so much coarser than the model's will do
PICTURES = (Qgis.DataType.ARGB32, Qgis.DataType.ARGB32_Premultiplied)


@dataclass(frozen=True)
class FetchPlan:
    """What will be fetched: `extent` in the layer's coordinates, of `width` x `height` px of `pixel` map units."""

    extent: QgsRectangle
    width: int
    height: int
    pixel: float

    @property
    def download_bytes(self) -> float:
        """Roughly how much comes over the wire."""
        return self.width * self.height * BYTES_PER_PX


@dataclass(frozen=True)
class Fetched:
    """A GeoTIFF of what was fetched; `missing`: share of its pixels that were not delivered, and `why`."""

    path: str
    missing: float
    why: str


def is_online(provider: QgsRasterDataProvider) -> bool:
    """Whether a provider asks a server for pictures."""
    return provider.name() in ("wms", "wcs", "arcgismapserver")


def plan_fetch(
    provider: QgsRasterDataProvider,
    name: str,
    extent: QgsRectangle,
    resolution_m: float | None,
    margin_px: float,
    transforms: QgsCoordinateTransformContext,
) -> FetchPlan:
    """Plan what to fetch of a layer for a model of `resolution_m` ground metres, with `margin_px` of it around.

    Pixels are the layer's own where it has such, of a tile server those of the coarsest zoom that is fine enough, so
    that nothing is resampled on the way. Raises RasterError where that is too much, or nothing.
    """
    extent = extent.intersect(provider.extent())
    if extent.isEmpty():
        raise RasterError(tr("The area to look at lies outside of the layer '{name}'.").format(name=name))
    wanted = map_units(provider.crs(), extent, resolution_m, transforms)
    pixel = _pixel(provider, wanted, name)
    extent = extent.buffered(margin_px * (wanted or pixel)).intersect(provider.extent())
    origin = QgsPointXY(provider.extent().xMinimum(), provider.extent().yMaximum())
    step = TILE_PX if provider.nativeResolutions() else 1  # of a tile server whole tiles
    left = _down((extent.xMinimum() - origin.x()) / pixel, step)
    right = -_down((origin.x() - extent.xMaximum()) / pixel, step)
    top = _down((origin.y() - extent.yMaximum()) / pixel, step)
    bottom = -_down((extent.yMinimum() - origin.y()) / pixel, step)
    width, height = max(1, right - left), max(1, bottom - top)
    if width * height > MAX_PX:
        raise RasterError(
            tr(
                "The area is {width} x {height} pixels of the layer '{name}', too much to fetch: at most {most} "
                "million pixels. Choose a smaller area."
            ).format(width=f"{width:,}", height=f"{height:,}", name=name, most=MAX_PX // 1_000_000)
        )
    snapped = QgsRectangle(
        origin.x() + left * pixel,
        origin.y() - (top + height) * pixel,
        origin.x() + (left + width) * pixel,
        origin.y() - top * pixel,
    )
    return FetchPlan(snapped, width, height, pixel)


def fetch(
    provider: QgsRasterDataProvider, name: str, plan: FetchPlan, path: str, feedback: QgsProcessingFeedback
) -> Fetched:
    """Write the planned part of a layer to a GeoTIFF; call it off the main thread, with a provider of its own.

    Raises Cancelled, OutputError where it cannot be written, RasterError where the server delivers nothing.
    """
    if provider.dataType(1) not in PICTURES:
        bands = list(range(1, provider.bandCount() + 1))
        kinds, shifts = [provider.dataType(band) for band in bands], [0] * len(bands)
    else:
        bands, kinds, shifts = [1], [Qgis.DataType.Byte] * 4, [2, 1, 0, 3]  # blue, green, red, alpha in memory
    writer = QgsRasterFileWriter(path)
    writer.setOutputProviderKey("gdal")
    writer.setOutputFormat("GTiff")
    options = ["TILED=YES", "BIGTIFF=IF_SAFER"]
    writer.setCreateOptions(options + (["PHOTOMETRIC=RGB", "ALPHA=YES"] if len(kinds) > len(bands) else []))
    target = writer.createMultiBandRaster(kinds[0], plan.width, plan.height, plan.extent, provider.crs(), len(kinds))
    if target is None or not target.isValid() or not target.isEditable():
        raise OutputError(tr("The picture of '{name}' cannot be written to '{path}'.").format(name=name, path=path))
    for band in bands if len(kinds) == len(bands) else []:
        if provider.sourceHasNoDataValue(band):
            target.setNoDataValue(band, provider.sourceNoDataValue(band))
    try:
        return _Fetching(provider, name, plan, feedback).into(target, path, bands, shifts)
    finally:
        target.setEditable(False)
        del target


class _Fetching:
    """One fetch, block by block: slowly enough for a server, again where something is missing."""

    def __init__(
        self, provider: QgsRasterDataProvider, name: str, plan: FetchPlan, feedback: QgsProcessingFeedback
    ) -> None:
        self._provider, self._name, self._plan, self._feedback = provider, name, plan, feedback
        self._online = is_online(provider)
        self._asked = QgsRasterBlockFeedback()
        self._retries = RETRIES
        self._status: int | None = 200
        self._why = ""
        feedback.canceled.connect(self._asked.cancel, Qt.ConnectionType.DirectConnection)

    def into(self, target: QgsRasterDataProvider, path: str, bands: list[int], shifts: list[int]) -> Fetched:
        """Fetch all blocks into the bands of a file."""
        plan, missing, started = self._plan, 0, time.monotonic()
        spots = [(x, y) for y in range(0, plan.height, BLOCK_PX) for x in range(0, plan.width, BLOCK_PX)]
        fetched = 0
        for done, (x, y) in enumerate(spots, 1):
            width, height = min(BLOCK_PX, plan.width - x), min(BLOCK_PX, plan.height - y)
            if len(shifts) == 4 and bands == [1]:
                pixels = self._picture(x, y, width, height)
                lost = pixels[3::4].count(0)
                for band, shift in enumerate(shifts, 1):
                    block = QgsRasterBlock(Qgis.DataType.Byte, width, height)
                    block.setData(QByteArray(pixels[shift::4]))
                    self._write(target, block, band, x, y)
                missing += lost
                if missing == fetched + width * height and self._status not in (200, NO_PICTURE):
                    raise RasterError(self._nothing())  # a server that is away, or refuses: the rest will not come
            else:
                for band in bands:
                    self._write(target, self._block(band, x, y, width, height), band, x, y)
            fetched += width * height
            self._pause(fetched / PX_PER_SECOND - (time.monotonic() - started) if self._online else 0)
            self._tell(done, len(spots), time.monotonic() - started)
        if missing == fetched:
            raise RasterError(self._nothing())
        return Fetched(path, missing / fetched, self._why)

    def _picture(self, x: int, y: int, width: int, height: int) -> bytes:
        """Get the pixels of a block, four bytes each; once more after a pause where some are missing."""
        pixels = self._pixels(x, y, width, height)
        for seconds in RETRY_SECONDS:
            if pixels[3::4].count(0) == 0 or self._retries <= 0:
                break
            if not self._online:
                break
            rectangle = self._rectangle(x, y, width, height)
            self._status, self._why = why_missing(self._provider, rectangle, self._plan.pixel)
            if self._status in (None, NO_PICTURE):
                break
            self._retries -= 1
            self._pause(seconds)
            pixels = self._pixels(x, y, width, height)
        return pixels

    def _pixels(self, x: int, y: int, width: int, height: int) -> bytes:
        block = self._block(1, x, y, width, height)  # its data are no copy: it must live until they are one
        return bytes(block.data())

    def _block(self, band: int, x: int, y: int, width: int, height: int) -> QgsRasterBlock:
        block = self._provider.block(band, self._rectangle(x, y, width, height), width, height, self._asked)
        if self._feedback.isCanceled():
            raise Cancelled
        if not block.isValid():
            raise RasterError(
                tr("The layer '{name}' cannot be read: {why}").format(
                    name=self._name, why=block.error().summary() or tr("it gives no pixels.")
                )
            )
        return block

    def _rectangle(self, x: int, y: int, width: int, height: int) -> QgsRectangle:
        plan = self._plan
        left, top = plan.extent.xMinimum() + x * plan.pixel, plan.extent.yMaximum() - y * plan.pixel
        return QgsRectangle(left, top - height * plan.pixel, left + width * plan.pixel, top)

    def _write(self, target: QgsRasterDataProvider, block: QgsRasterBlock, band: int, x: int, y: int) -> None:
        if not target.writeBlock(block, band, x, y):
            raise OutputError(tr("The disk is full, or the folder for temporary files cannot be written to."))

    def _nothing(self) -> str:
        return tr("The layer '{name}' delivered no picture of this area. {why}").format(
            name=self._name, why=self._why or tr("Zoom to it in the map and see whether it is drawn.")
        )

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._feedback.isCanceled():
            time.sleep(min(0.1, max(0.0, end - time.monotonic())))

    def _tell(self, done: int, total: int, seconds: float) -> None:
        text = tr("Fetching the picture, part {done} of {total}").format(done=done, total=total)
        if 2 < done < total:
            text = tr("{text}, about {duration} left").format(
                text=text, duration=duration(seconds / done * (total - done))
            )
        self._feedback.setProgressText(text)


def _down(px: float, step: int) -> int:
    """Round px down to a multiple of a step, but for the noise of floating point."""
    return math.floor(px / step + 1e-6) * step


def map_units(
    crs: QgsCoordinateReferenceSystem,
    extent: QgsRectangle,
    resolution_m: float | None,
    transforms: QgsCoordinateTransformContext,
) -> float | None:
    """Turn ground metres into units of a map in the middle of an extent; None for None."""
    if resolution_m is None or not crs.isValid():
        return resolution_m
    measure = QgsDistanceArea()
    measure.setSourceCrs(crs, transforms)
    measure.setEllipsoid(crs.ellipsoidAcronym() or "EPSG:7030")
    centre, step = extent.center(), extent.height() / 1000
    metres = measure.measureLine(centre, QgsPointXY(centre.x(), centre.y() + step))
    return resolution_m * step / metres if metres > 0 and math.isfinite(metres) else resolution_m


def _pixel(provider: QgsRasterDataProvider, wanted: float | None, name: str) -> float:
    own = sorted(size for size in provider.nativeResolutions() if size > 0)
    if provider.xSize() > 0:
        own = [provider.extent().width() / provider.xSize()]
    if own:
        enough = [size for size in own if wanted is not None and size <= wanted * FINER]
        return enough[-1] if enough else own[0]
    if wanted is None:
        raise RasterError(
            tr(
                "Neither the layer '{name}' nor the model says how large a pixel is. Give one in metres under Advanced."
            ).format(name=name)
        )
    return wanted
