"""Layers that are no files: the part that is needed of an online map, database or computed raster, as a GeoTIFF."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsDistanceArea,
    QgsPointXY,
    QgsProcessingFeedback,
    QgsRasterBlock,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRectangle,
)
from qgis.PyQt.QtCore import QRect, Qt

from ...core.job.errors import Cancelled, OutputError, RasterError
from ..wording import duration, tr
from .drawn_layers import DrawnLayers
from .fetched_pixels import PICTURES, Colours, Numbers
from .map_server import Answers, Complaint, is_server, why_missing
from .missing import asked_pixels, count_missing, first_missing
from .tile_grid import TileGrid, tile_grid

BLOCK_PX = 512
PX_PER_SECOND = 2_600_000  # of servers: 40 tiles of 256 px, about what a person makes who pans a map
MAX_PX = 400_000_000
AS_JPEG = 0.25  # bytes a pixel, on the way
RETRY_SECONDS = (1.0, 3.0)
RETRIES = 12  # blocks in all that are asked for again
ALIGNED_PX = 128  # the coarsest stride of a network: what is fetched is seen as the same part of a file would be
UNANSWERED = 3  # parts in a row after which a server is away: the rest is not asked for
REFUSALS = 3  # parts of which a server has given nothing, but refused or failed: the rest will not come either
FINER = 1.1  # pixels up to so much coarser than the model's will do


@dataclass(frozen=True)
class FetchPlan:
    """What will be fetched: `extent` in the layer's coordinates, of `width` x `height` px of `pixel` map units.

    `download_bytes`: roughly how much comes over the wire. `asked`: what of the extent is to be looked at, without the
    margin and the rest of tiles around it. `tiles`: what it is made of, where that is known.
    """

    extent: QgsRectangle
    width: int
    height: int
    pixel: float
    download_bytes: float
    asked: QgsRectangle
    tiles: TileGrid | None = None


@dataclass(frozen=True)
class Fetched:
    """A GeoTIFF of what was fetched; `missing`: share of what was asked for that was not delivered, and `why`."""

    path: str
    missing: float
    why: str


def is_online(provider: QgsRasterDataProvider | DrawnLayers) -> bool:
    """Whether a provider asks a server for pictures."""
    if isinstance(provider, DrawnLayers):
        return provider.online
    return is_server(provider.name(), provider.dataSourceUri())


def is_picture(provider: QgsRasterDataProvider | DrawnLayers) -> bool:
    """Whether a provider gives colours, not values."""
    return provider.dataType(1) in PICTURES


def plan_fetch(
    provider: QgsRasterDataProvider | DrawnLayers,
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
    asked, extent = extent, extent.buffered(margin_px * (wanted or pixel)).intersect(provider.extent())
    tiles = tile_grid(provider, pixel) if provider.nativeResolutions() else None
    origin = QgsPointXY(provider.extent().xMinimum(), provider.extent().yMaximum())
    # columns and rows, of which the fetched ones begin and end with a multiple
    first, last = (ALIGNED_PX if provider.xSize() > 0 else 1,) * 2, (1, 1)
    if tiles is not None:
        origin, first = tiles.origin, (tiles.width_px, tiles.height_px)
        last = first
    left = _down((extent.xMinimum() - origin.x()) / pixel, first[0])
    right = -_down((origin.x() - extent.xMaximum()) / pixel, last[0])
    top = _down((origin.y() - extent.yMaximum()) / pixel, first[1])
    bottom = -_down((extent.yMinimum() - origin.y()) / pixel, last[1])
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
    bands = range(1, provider.bandCount() + 1)
    sizes = [QgsRasterBlock.typeSize(provider.dataType(band)) for band in bands]
    download_bytes = width * height * (AS_JPEG if is_picture(provider) else sum(sizes))
    return FetchPlan(snapped, width, height, pixel, download_bytes, asked, tiles)


def fetch(
    provider: QgsRasterDataProvider | DrawnLayers,
    name: str,
    plan: FetchPlan,
    path: str,
    feedback: QgsProcessingFeedback,
) -> Fetched:
    """Write the planned part of a layer to a GeoTIFF; call it off the main thread, with a provider of its own.

    Raises Cancelled, OutputError where it cannot be written, RasterError where the server delivers nothing.
    """
    if provider.bandCount() == 0:
        raise RasterError(
            tr("The layer '{name}' gives neither a file nor pixels. Save it as GeoTIFF and look at that.").format(
                name=name
            )
        )
    pixels = Colours() if is_picture(provider) else Numbers(provider)
    target = pixels.create(path, plan.width, plan.height, plan.extent, provider.crs())
    if target is None or not target.isValid() or not target.isEditable():
        raise OutputError(tr("The picture of '{name}' cannot be written to '{path}'.").format(name=name, path=path))
    fetching = _Fetching(provider, name, plan, pixels, feedback)
    try:
        missing, why = fetching.into(target)
        return Fetched(path, missing, why)
    finally:
        fetching.close()
        target.setEditable(False)
        del target


class _Fetching:
    """One fetch, part by part: slowly enough for a server, again where something is missing."""

    def __init__(
        self,
        provider: QgsRasterDataProvider | DrawnLayers,
        name: str,
        plan: FetchPlan,
        pixels: Colours | Numbers,
        feedback: QgsProcessingFeedback,
    ) -> None:
        self._provider, self._name, self._plan, self._pixels = provider, name, plan, pixels
        self._feedback = feedback
        self._online = is_online(provider)
        self._shows_gaps = is_picture(provider) and not (isinstance(provider, DrawnLayers) and provider.several)
        self._answers = Answers()
        self._asked_px = asked_pixels(plan.asked, plan.extent, plan.pixel)
        self._asking = QgsRasterBlockFeedback()
        self._retries = RETRIES
        self._unanswered = 0  # parts in a row
        self._complaint: Complaint | None = None
        feedback.canceled.connect(self._asking.cancel, Qt.ConnectionType.DirectConnection)

    def close(self) -> None:
        """Listen to the server no longer."""
        self._answers.close()

    def into(self, target: QgsRasterDataProvider) -> tuple[float, str]:
        """Fetch all parts into a file; gives the share of the asked pixels that did not come, and why."""
        plan, missing, fetched, started = self._plan, 0, 0, time.monotonic()
        asked, missed = self._asked_px, 0
        across, down = _part_px(plan.tiles)
        spots = [(x, y) for y in range(0, plan.height, down) for x in range(0, plan.width, across)]
        for done, (x, y) in enumerate(spots, 1):
            width, height = min(across, plan.width - x), min(down, plan.height - y)
            blocks, lost = self._part(QRect(x, y, width, height))
            for band, block in enumerate(blocks, 1):
                if not target.writeBlock(block, band, x, y):
                    raise OutputError(tr("The disk is full, or the folder for temporary files cannot be written to."))
            missing, fetched = missing + lost, fetched + width * height
            here = asked.intersected(QRect(x, y, width, height)).translated(-x, -y)
            missed += count_missing(blocks[-1], lost, here)
            if missing == fetched and self._gives_nothing(done):
                raise RasterError(self._nothing())
            self._pause(fetched / PX_PER_SECOND - (time.monotonic() - started) if self._online else 0)
            self._tell(done, len(spots), time.monotonic() - started)
        if missed == asked.width() * asked.height():
            raise RasterError(self._nothing())
        return missed / (asked.width() * asked.height()), "" if self._complaint is None else self._complaint.why

    def _part(self, part: QRect) -> tuple[list[QgsRasterBlock], int]:
        """Get the blocks to write for a part, and how many of its pixels are missing; ask again where some are."""
        width, height = part.width(), part.height()
        extent = self._rectangle(part.x(), part.y(), width, height)
        if self._unanswered >= UNANSWERED:
            return self._pixels.nothing(width, height), width * height
        for seconds in (0.0, *RETRY_SECONDS):
            self._pause(seconds)
            blocks, lost, complaint = self._ask(extent, width, height)
            if not lost or not self._online:
                break
            if complaint is None:
                if self._answers.heard:  # in order: the server has nothing here
                    break
                complaint = self._why_missing(part, blocks[-1])
            if complaint.why or self._complaint is None:
                self._complaint = complaint
            if not complaint.may_pass or self._retries <= 0:
                break
            self._retries -= 1
        away = lost and self._online and self._complaint is not None and self._complaint.status is None
        self._unanswered = self._unanswered + 1 if away else 0
        return blocks, lost

    def _why_missing(self, part: QRect, alpha: QgsRasterBlock) -> Complaint:
        """Ask for the tile of the first missing pixel, of the asked ones if one of them is missing."""
        if self._plan.tiles is None:
            return why_missing(None, "")
        x, y = part.x(), part.y()
        asked = self._asked_px.intersected(part).translated(-x, -y)
        column, row = first_missing(alpha, asked) or first_missing(alpha, part.translated(-x, -y))
        place = self._rectangle(x + column, y + row, 1, 1).center()
        return why_missing(self._plan.tiles.url(place), self._provider.dataSourceUri())

    def _ask(self, extent: QgsRectangle, width: int, height: int) -> tuple[list[QgsRasterBlock], int, Complaint | None]:
        self._answers.forget()
        blocks = []
        for band in self._pixels.bands:
            blocks.append(self._block(band, extent, width, height))
            complaint = self._answers.complaint() if self._online else None
            if complaint is not None and not self._shows_gaps:  # QGIS gives zeros, as if the ground were black
                return self._pixels.nothing(width, height), width * height, complaint
        written, lost = self._pixels.to_write(blocks)
        return written, lost, complaint

    def _block(self, band: int, extent: QgsRectangle, width: int, height: int) -> QgsRasterBlock:
        block = self._provider.block(band, extent, width, height, self._asking)
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

    def _gives_nothing(self, parts: int) -> bool:
        """Whether a server that has given nothing so far is away, or refuses: then the rest will not come."""
        if self._complaint is None or not self._complaint.is_failure:
            return False
        return parts >= REFUSALS or self._complaint.status is None

    def _nothing(self) -> str:
        why = "" if self._complaint is None else self._complaint.why
        return tr("The layer '{name}' delivered no picture of this area. {why}").format(
            name=self._name, why=why or tr("Zoom to it in the map and see whether it is drawn.")
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


def _part_px(tiles: TileGrid | None) -> tuple[int, int]:
    """Columns and rows to ask for at once: about BLOCK_PX, of whole tiles."""
    if tiles is None:
        return BLOCK_PX, BLOCK_PX
    across, down = (side * max(1, round(BLOCK_PX / side)) for side in (tiles.width_px, tiles.height_px))
    return across, down


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


def _pixel(provider: QgsRasterDataProvider | DrawnLayers, wanted: float | None, name: str) -> float:
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
