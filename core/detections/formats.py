"""How GDAL writes each vector format, from portions of any number."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw

from ..job.errors import OutputError

Table = tuple[np.ndarray, Mapping[str, np.ndarray]]  # geometries in WKB, and the columns

BATCH_ROWS = 20_000


@dataclass(frozen=True)
class VectorFormat:
    """How GDAL writes one format; `members`: suffixes of the files it may consist of besides its own."""

    driver: str
    dataset_options: Mapping[str, str] = field(default_factory=dict)
    layer_options: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = (".qmd",)
    names: Mapping[str, str] = field(default_factory=dict)


# QGIS 3.40 comes with a GDAL that warns about GeoPackage 1.4, the default of newer ones.
GEOPACKAGE = VectorFormat("GPKG", {"VERSION": "1.2"}, {"SPATIAL_INDEX": "YES"}, members=())
FORMATS = {
    ".gpkg": GEOPACKAGE,
    ".shp": VectorFormat(
        "ESRI Shapefile",
        layer_options={"SPATIAL_INDEX": "YES"},
        members=(".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qmd"),
        names={"box_area_m2": "area_m2"},  # at most ten characters
    ),
    ".geojson": VectorFormat("GeoJSON", layer_options={"RFC7946": "YES", "COORDINATE_PRECISION": "8"}),
    ".fgb": VectorFormat("FlatGeobuf"),
    ".parquet": VectorFormat("Parquet"),
}


def format_of(target: Path, crs_wkt: str | None) -> VectorFormat:
    """Choose a file's format by its suffix; raises OutputError where it cannot be written."""
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        raise OutputError(f"Results are written as {', '.join(FORMATS)}, not as '{target.name}'.")
    if form.driver not in pyogrio.list_drivers(write=True):
        raise OutputError(f"The GDAL at hand cannot write {form.driver} files. Save '{target.stem}' as .gpkg instead.")
    if form.driver == "GeoJSON" and crs_wkt is None:
        raise OutputError("GeoJSON is in longitude and latitude, but the raster has no CRS. Save it as .gpkg instead.")
    return form


def write(
    file: Path,
    layer: str,
    form: VectorFormat,
    wkb: np.ndarray,
    columns: Mapping[str, np.ndarray],
    crs_wkt: str | None,
    append: bool = False,
) -> None:
    """Write a layer of polygons at once, or append to one; raises pyogrio's errors."""
    creation = {} if append else {"dataset_options": form.dataset_options, "layer_options": form.layer_options}
    with _quiet_without_crs():
        pyogrio.raw.write(
            file,
            geometry=wkb,
            field_data=list(columns.values()),
            fields=[form.names.get(name, name) for name in columns],
            layer=layer,
            driver=form.driver,
            geometry_type="Polygon",
            crs=crs_wkt,
            encoding="UTF-8",
            append=append,
            **{name: dict(options) for name, options in creation.items()},
        )


def write_in_portions(
    file: Path, layer: str, tables: Iterable[Table], crs_wkt: str | None, form: VectorFormat = GEOPACKAGE
) -> None:
    """Write a layer of a GeoPackage portion by portion, the first of which makes the layer."""
    # The file is flushed to the disk when it is whole: waiting for that portion by portion takes twice as long.
    pyogrio.set_gdal_config_options({"OGR_SQLITE_SYNCHRONOUS": "OFF"})
    for k, (wkb, columns) in enumerate(tables):
        if k == 0 or len(wkb):
            write(file, layer, form, wkb, columns, crs_wkt, append=k > 0)


def convert(tables: Iterable[Table], file: Path, form: VectorFormat, crs_wkt: str | None) -> None:
    """Write a file that cannot be appended to: through a GeoPackage beside it, from which GDAL streams."""
    store = file.with_name("objects.gpkg")
    plain = replace(GEOPACKAGE, layer_options={"SPATIAL_INDEX": "NO"}, names=form.names)
    write_in_portions(store, file.stem, tables, crs_wkt, plain)
    with (
        pyogrio.raw.open_arrow(store, layer=file.stem, use_pyarrow=False, batch_size=BATCH_ROWS) as (meta, stream),
        _quiet_without_crs(),
    ):
        pyogrio.raw.write_arrow(
            stream,
            file,
            layer=file.stem,
            driver=form.driver,
            geometry_name=meta["geometry_name"],
            geometry_type="Polygon",
            crs=crs_wkt,
            encoding="UTF-8",
            dataset_options=dict(form.dataset_options),
            layer_options=dict(form.layer_options),
        )
    store.unlink()


@contextmanager
def _quiet_without_crs() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        yield
