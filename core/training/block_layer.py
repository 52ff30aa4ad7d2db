"""The blocks of a training as a layer, so that everybody sees what was learnt from and what was kept for the test."""

import os
import warnings
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from pyogrio.errors import DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from rasterio.errors import NotGeoreferencedWarning
from shapely.geometry.base import BaseGeometry

from ..job.errors import OutputError
from ..job.unfinished import unfinished_path
from .blocks import count_objects, to_map
from .labels import LabelledImage

LAYER = "blocks"


def write_blocks(path: Path, blocks: list[LabelledImage]) -> bool:
    """Write blocks as polygons of a GeoPackage, with `split`, `objects` and `image`, in the CRS of the first image.

    Blocks of images without a place on the map are left out; False where none is left and nothing is written. Raises
    OutputError.
    """
    try:
        target, shapes, rows = _on_the_map(blocks)
    except ProjError as problem:
        raise OutputError(f"The layer of blocks '{path}' cannot be written: {problem}.") from problem
    if target is None:
        return False
    scratch = unfinished_path(path, os.getpid()).with_suffix(".gpkg")
    try:
        pyogrio.raw.write(
            scratch,
            geometry=shapely.to_wkb(np.array(shapes)),
            field_data=[np.array(column) for column in zip(*rows, strict=True)],
            fields=["split", "objects", "image"],
            layer=LAYER,
            driver="GPKG",
            geometry_type="MultiPolygon",
            crs=target.to_wkt(),
            dataset_options={"VERSION": "1.2"},  # QGIS 3.40 comes with a GDAL that warns about 1.4
        )
        scratch.replace(path)
    except (DataSourceError, OSError) as problem:
        raise OutputError(f"The layer of blocks '{path}' cannot be written: {problem}.") from problem
    finally:
        scratch.unlink(missing_ok=True)
    return True


def _on_the_map(blocks: list[LabelledImage]) -> tuple[CRS | None, list[BaseGeometry], list[tuple[str, int, str]]]:
    """The CRS of the first block that has one, and all such blocks in it with their attributes."""
    target: CRS | None = None
    shapes, rows = [], []
    for block in blocks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(block.path) as image:
                transform, crs = image.transform, image.crs
        if transform.is_identity or not crs:
            continue
        own, shape = CRS.from_wkt(crs.to_wkt()), to_map(block, transform)
        target = target or own
        if own != target:
            move = Transformer.from_crs(own, target, always_xy=True).transform
            shape = shapely.transform(shape, lambda xy, move=move: np.column_stack(move(*xy.T)))
        shapes.append(shapely.multipolygons([p for p in shapely.get_parts(shape) if p.geom_type == "Polygon"]))
        rows.append((block.split, count_objects(block), block.path.name))
    return target, shapes, rows
