"""Opening a file with GDAL: what is no raster is refused, what lies on ground control points is warped onto a map."""

from __future__ import annotations

import warnings
from contextlib import ExitStack

import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader, MemoryFile
from rasterio.vrt import WarpedVRT

from ..job.errors import RasterError
from .bands import find_alpha
from .gdal import is_remote

MAX_NAMED = 8
UNLISTED = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}  # lists of remote folders are long, and read with Python held up


def open_dataset(path: str, name: str, stack: ExitStack) -> tuple[DatasetReader | WarpedVRT, tuple[str, ...]]:
    """Open a raster, to be closed by `stack`; returns it with notices.

    A raster without a map grid but with ground control points or rational polynomial coefficients comes as a north-up
    virtual one with an alpha band. Raises RasterError where there is nothing that can be read as an image.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # placement says it to the user
        with rasterio.Env(**(UNLISTED if is_remote(path) else {})):
            dataset = stack.enter_context(rasterio.open(path))
    _require_image(dataset, name)
    points, points_crs = dataset.gcps
    if not dataset.transform.is_identity:
        return dataset, ()
    if points and points_crs:
        notice = f"'{name}' is placed by {len(points)} ground control points and has been warped to north-up."
        return _onto_map(dataset, points_crs, stack, notice)
    if dataset.rpcs:
        notice = (
            f"'{name}' is placed by rational polynomial coefficients and has been warped to north-up without a height "
            "model: on hills the places may be off."
        )
        return _onto_map(dataset, CRS.from_epsg(4326), stack, notice)
    return dataset, ()


def georeference(dataset: DatasetReader | WarpedVRT) -> tuple[Affine, str | None]:
    """Tell the transform and the CRS (WKT) of a dataset.

    A file without a transform gets rows that run downwards from 0 and no CRS, which is how QGIS draws it.
    """
    if dataset.transform.is_identity:
        return Affine(1.0, 0.0, 0.0, 0.0, -1.0, 0.0), None
    return dataset.transform, dataset.crs.to_wkt() if dataset.crs else None


def _require_image(dataset: DatasetReader, name: str) -> None:
    parts = dataset.subdatasets
    if dataset.count == 0 and parts:
        shown = ", ".join(f"'{part}'" for part in parts[:MAX_NAMED])
        more = f" and {len(parts) - MAX_NAMED} more" if len(parts) > MAX_NAMED else ""
        raise RasterError(f"'{name}' holds several rasters. Choose one of them: {shown}{more}.")
    if dataset.count == 0 or dataset.width == 0 or dataset.height == 0:
        raise RasterError(f"'{name}' holds no bands, so there is nothing to look at.")
    if any(kind.startswith("complex") for kind in dataset.dtypes):
        raise RasterError(
            f"'{name}' holds complex numbers, as radar data does. Convert it to amplitude or intensity first."
        )


def _onto_map(dataset: DatasetReader, crs: CRS, stack: ExitStack, notice: str) -> tuple[WarpedVRT, tuple[str, ...]]:
    notices = [notice]
    if ColorInterp.alpha in dataset.colorinterp:
        alpha, said = find_alpha(dataset)
        if alpha is None:
            dataset = stack.enter_context(_without_alpha(dataset))
            notices += said
    palette = dataset.colorinterp[0] == ColorInterp.palette
    warped = WarpedVRT(
        dataset,
        src_crs=crs,
        crs=crs,
        resampling=Resampling.nearest if palette else Resampling.cubic,
        add_alpha=ColorInterp.alpha not in dataset.colorinterp,
        XSCALE=1.0,  # else GDAL widens the kernel for a turned image
        YSCALE=1.0,
    )
    return stack.enter_context(warped), tuple(notices)


def _without_alpha(dataset: DatasetReader) -> DatasetReader:
    """Wrap a dataset so that GDAL's warper does not take its last band for transparency."""
    with MemoryFile(ext=".vrt") as description:
        rasterio.shutil.copy(dataset, description.name, driver="VRT")
        text = description.read().decode()
    return rasterio.open(text.replace("<ColorInterp>Alpha</ColorInterp>", "<ColorInterp>Undefined</ColorInterp>"))
