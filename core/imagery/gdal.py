"""GDAL kept within bounds: its settings while we read, and its errors as sentences."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

import rasterio
from rasterio._err import CPLE_BaseError  # what GDAL itself raises; rasterio.errors does not offer it
from rasterio.errors import RasterioError

from ..job.addresses import without_secrets
from ..job.errors import RasterError

CACHE_BYTES = 64 * 2**20  # rasterio wants bytes; GDAL would take 5 % of the memory
NETWORK = {
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_CONNECTTIMEOUT": 30,  # seconds; GDAL itself waits for ever
    "GDAL_HTTP_LOW_SPEED_TIME": 60,
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,  # bytes a second
}
OVER_NETWORK = re.compile(
    r"^(https?|ftp|s3|gs|az|oss)://|/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs|hdfs)(_streaming)?[/?]"
)

# Without any handler Python prints GDAL's warnings to stderr; what matters arrives as an exception.
logging.getLogger("rasterio").addHandler(logging.NullHandler())


@contextmanager
def gdal_session(name: str) -> Iterator[None]:
    """Read with Tilehawk's GDAL settings; whatever GDAL raises becomes a RasterError that names the raster.

    Settings hold for the thread that enters.
    """
    try:
        with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES, **NETWORK):
            yield
    except (RasterioError, CPLE_BaseError, OSError) as problem:
        raise RasterError(f"'{name}' cannot be read: {_reason(problem)}.") from problem


def raster_name(path: str) -> str:
    """Name a raster for a sentence: its file name, without folders and without the secrets of a URL's query."""
    return PurePath(str(path).split("?")[0]).name or str(path)


def is_remote(path: str) -> bool:
    """Tell whether a file or GDAL name is read over the network, also from within an archive there."""
    return OVER_NETWORK.search(str(path)) is not None


def _reason(problem: BaseException) -> str:
    """Take the cause that GDAL gives, which rasterio may hide behind 'Read failed. See previous exception'."""
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return without_secrets(" ".join(str(problem).split()).rstrip(".") or type(problem).__name__)
