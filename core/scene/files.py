"""Writes scenes: GeoTIFFs with their truth beside them, and folders of training data."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from ..job.errors import OutputError
from .scene import Scene, draw_scene

ORIGIN = (400_000.0, 3_760_000.0)  # easting and northing of the top left corner, UTM zone 11 north: California
DTYPES = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}  # type and what a grey level is worth in it
HEADER = ("image", "xmin", "ymin", "xmax", "ymax", "label")
ROLES = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined)


def write_scene(
    path: str | Path,
    scene: Scene,
    *,
    crs: str = "EPSG:32611",
    origin: tuple[float, float] = ORIGIN,
    dtype: str = "uint8",
    bands: int = 4,
    compress: str = "deflate",
    block: int = 512,
) -> Path:
    """Write a scene as a tiled GeoTIFF, and its truth beside it as `<stem>_truth.gpkg` and `<stem>_truth.csv`.

    `crs`: one in metres; `origin`: map coordinates of the top left corner. `dtype`: "uint8", "uint16" (0-65535) or
    "float32" (0-1). `bands`: 3 (red, green, blue) or 4 (and near infrared). `block`: side of the file's tiles
    in px, a multiple of 16. Returns the path of the GeoTIFF; raises OutputError where it cannot be written.
    """
    path = Path(path)
    if dtype not in DTYPES or bands not in (3, 4) or block % 16 or block < 16:
        raise OutputError(
            "A scene is written as uint8, uint16 or float32, with 3 or 4 bands and blocks of n times 16 px."
        )
    if not path.parent.is_dir():
        raise OutputError(f"The folder '{path.parent}' for the scene does not exist.")
    transform = Affine(scene.resolution_m, 0, origin[0], 0, -scene.resolution_m, origin[1])
    _write_raster(path, scene.image[:bands], crs, transform, dtype, compress, block)
    _write_truth_layer(path.with_name(f"{path.stem}_truth.gpkg"), scene, crs, transform)
    _write_rows(path.with_name(f"{path.stem}_truth.csv"), HEADER, _rows(path.name, scene))
    return path


def write_scene_dataset(
    folder: str | Path,
    count: int,
    size_px: int,
    seed: int,
    *,
    resolution_m: float = 0.6,
    density: float = 1.0,
    validation: float = 0.0,
) -> Path:
    """Write `count` scenes of `size_px`, of the seeds from `seed` on, as a folder of training data; returns the folder.

    The folder holds `images/scene_0001.tif` and so on, `annotations.csv` (image,xmin,ymin,xmax,ymax,label; xmax
    and ymax exclusive) and `split.csv` (image,split): `val` for the last part of the scenes, `validation` of them, else
    `train`.
    """
    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    names, rows = [], []
    for k in range(count):
        scene = draw_scene(size_px, seed + k, resolution_m=resolution_m, density=density)
        name = f"images/scene_{k + 1:04d}.tif"
        transform = Affine(resolution_m, 0, ORIGIN[0], 0, -resolution_m, ORIGIN[1])
        _write_raster(folder / name, scene.image, "EPSG:32611", transform, "uint8", "deflate", 256)
        names.append(name)
        rows += _rows(name, scene)
    _write_rows(folder / "annotations.csv", HEADER, rows)
    first = count - round(count * validation)
    splits = [(name, "train" if k < first else "val") for k, name in enumerate(names)]
    _write_rows(folder / "split.csv", ("image", "split"), splits)
    return folder


def _write_raster(
    path: Path, image: np.ndarray, crs: str, transform: Affine, dtype: str, compress: str, block: int
) -> None:
    bands, height, width = image.shape
    profile = {
        "driver": "GTiff",
        "width": width,
        "height": height,
        "count": bands,
        "dtype": dtype,
        "crs": crs,
        "transform": transform,
        "compress": compress,
        "tiled": True,
        "blockxsize": block,
        "blockysize": block,
        "photometric": "RGB",
        "alpha": "unspecified",
    }
    with rasterio.open(path, "w", **profile) as target:
        target.write(image if dtype == "uint8" else (image * np.float64(DTYPES[dtype])).astype(dtype))
        target.colorinterp = ROLES[:bands]
        for k, name in enumerate(("red", "green", "blue", "near infrared")[:bands], start=1):
            target.set_band_description(k, name)


def _write_truth_layer(path: Path, scene: Scene, crs: str, transform: Affine) -> None:
    x0, y0, x1, y1 = scene.boxes.T
    (left, top), (right, bottom) = transform @ (x0, y0), transform @ (x1, y1)
    path.unlink(missing_ok=True)
    pyogrio.raw.write(
        path,
        geometry=shapely.to_wkb(shapely.box(left, bottom, right, top)),
        field_data=[np.array([scene.class_names[k] for k in scene.labels], object)],
        fields=["class"],
        geometry_type="Polygon",
        crs=crs,
        driver="GPKG",
        layer="truth",
        dataset_options={"VERSION": "1.2"},
    )


def _rows(name: str, scene: Scene) -> list[tuple]:
    labels = [scene.class_names[k] for k in scene.labels]
    return [(name, *box, label) for box, label in zip(scene.boxes.round(3).tolist(), labels, strict=True)]


def _write_rows(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
