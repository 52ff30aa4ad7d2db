"""Copy a layer with all its fields, leaving some features out: GDAL streams, so that every type of field survives."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError

from ..job.errors import LabelError
from .formats import GEOPACKAGE, VectorFormat, format_of
from .target import staged

ROW = "tilehawk_row"  # numbers the features of the copy, whatever fields a layer has
BATCH_ROWS = 20_000


def layer_fields(path: str, options: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """Tell the CRS of a layer of polygons (WKT) and its fields; raises LabelError where it is none.

    `options`: which layer of the file and which features of it, as pyogrio takes them.
    """
    try:
        info = pyogrio.read_info(path, layer=options.get("layer"))
    except (DataSourceError, DataLayerError, ValueError) as problem:
        raise LabelError(f"'{path}' cannot be read: {str(problem).rstrip('.')}.") from problem
    if "Point" in str(info["geometry_type"]) or "Line" in str(info["geometry_type"]) or not info["geometry_type"]:
        raise LabelError(f"'{path}' holds no polygons.")
    return info["crs"], [str(name) for name in info["fields"]]


@dataclass(frozen=True)
class Copy:
    """A layer's copy in a GeoPackage `store`, to read from, and to write on as `file` in its `form`."""

    store: Path
    file: Path
    form: VectorFormat

    def read(self, fields: Sequence[str]) -> tuple[np.ndarray, Mapping[str, np.ndarray]]:
        """Read geometries (N,) and some fields, in the order of the features."""
        meta, _, wkb, values = pyogrio.raw.read(self.store, columns=list(fields), force_2d=True)
        return shapely.from_wkb(wkb, on_invalid="ignore"), dict(zip(meta["fields"], values, strict=True))

    def write(self, kept: np.ndarray) -> None:
        """Write the features of a mask (N,)."""
        dropped = (np.flatnonzero(~kept) + 1).tolist()
        with closing(sqlite3.connect(self.store)) as database, database:
            database.executemany(f"DELETE FROM features WHERE {ROW} = ?", ((row,) for row in dropped))  # nosec B608
        stream(self.store, {}, self.file, self.file.stem, self.form)
        self.store.unlink()


@contextmanager
def copied(path: str, options: Mapping[str, Any], crs_wkt: str | None, target: Path) -> Iterator[Copy]:
    """Copy a layer into the scratch folder of `target`; what is then written there is moved into place at the end."""
    form = format_of(target, crs_wkt)
    stale = [] if form.driver == "GPKG" else [target.with_suffix(suffix) for suffix in form.members]
    with staged(target, stale) as scratch:
        store = scratch / "copy-of-layer.gpkg"
        plain = VectorFormat("GPKG", GEOPACKAGE.dataset_options, {"SPATIAL_INDEX": "NO", "FID": ROW})
        stream(path, options, store, "features", plain)
        yield Copy(store, scratch / target.name, form)


def stream(path: str | Path, options: Mapping[str, Any], file: Path, name: str, form: VectorFormat) -> None:
    """Write a layer to another file, portion by portion, with all fields; raises pyogrio's errors."""
    with pyogrio.raw.open_arrow(path, use_pyarrow=False, batch_size=BATCH_ROWS, **options) as (meta, batches):
        creation = dict(form.layer_options)
        if form.driver == "GPKG" and "fid" in {str(field).casefold() for field in meta["fields"]}:
            creation.setdefault("FID", "feature_id")
        pyogrio.raw.write_arrow(
            batches,
            file,
            layer=name,
            driver=form.driver,
            geometry_name=meta["geometry_name"] or "wkb_geometry",
            geometry_type=meta["geometry_type"],
            crs=meta["crs"],
            encoding="UTF-8",
            dataset_options=dict(form.dataset_options),
            layer_options=creation,
        )
