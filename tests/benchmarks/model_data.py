"""Folders to train the bundled models on: splits by place, and pictures that say how large their pixels are.

    .venv/bin/python tests/benchmarks/model_data.py [--data FOLDER] [--output build/model-data]

`trees`: NAIP tiles as they come. `roofs`: OpenAerialMap tiles of zoom 21, as GeoTIFFs of their 0.075 m, one block of
four by four tiles held back. `cars`: aerial video frames as GeoTIFFs of 0.13 m, the last frames held back, the one
between left out because frames overlap.
"""

import argparse
import csv
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.transform import from_origin
from report import ROOT

CRS = "EPSG:32611"  # any in metres: the pictures' own places are not known


@dataclass(frozen=True)
class Source:
    """A labelled folder; `pixel_m` where its pictures do not say it; `split` of a picture's name and given split."""

    folder: str
    pixel_m: float | None
    split: Callable[[str, str], str | None]
    classes: dict[str, str]  # the label of the folder, and the class it becomes


def _block(name: str, given: str) -> str:
    _, x, y, _ = name.split("-")
    return "val" if (int(x) // 4, int(y) // 4) == (1238448 // 4, 1046532 // 4) else "train"


def _frame(name: str, given: str) -> str | None:
    frame = int(Path(name).stem[-2:])
    return "val" if frame >= 90 else "train" if frame <= 86 else None


SOURCES = {
    "trees": Source("urban_trees_naip", None, lambda name, given: given, {"tree": "tree"}),
    "roofs": Source("fair_buildings", 0.075, _block, {"building": "roof"}),
    "cars": Source("kit_ais_cars", 0.13, _frame, {"car": "car", "minibus": "car", "bus": "car"}),
}


def prepare(source: Source, data: Path, output: Path) -> dict[str, int]:
    """Write one folder; returns the number of pictures by split."""
    shutil.rmtree(output, ignore_errors=True)
    (output / "images").mkdir(parents=True)
    folder = data / source.folder
    given = {Path(row["image"]).name: row["split"] for row in csv.DictReader((folder / "split.csv").open())}
    names, splits = {}, {}
    for name, split in sorted(given.items()):
        if (chosen := source.split(name, split)) is None:
            continue
        names[name] = _copy(folder / "images" / name, output / "images", source.pixel_m)
        splits[names[name]] = chosen
    _write(output / "split.csv", ("image", "split"), splits.items())
    corners = ("xmin", "ymin", "xmax", "ymax")
    _write(
        output / "annotations.csv",
        ("image", *corners, "label"),
        [
            (names[Path(row["image"]).name], *(row[corner] for corner in corners), source.classes[row["label"]])
            for row in csv.DictReader((folder / "annotations.csv").open())
            if Path(row["image"]).name in names
        ],
    )
    return {split: list(splits.values()).count(split) for split in ("train", "val")}


def _copy(picture: Path, folder: Path, pixel_m: float | None) -> str:
    if pixel_m is None:
        shutil.copyfile(picture, folder / picture.name)
        return f"images/{picture.name}"
    target = (folder / picture.name).with_suffix(".tif")
    with rasterio.open(picture) as dataset:
        values = dataset.read((1, 2, 3))
    profile = {"driver": "GTiff", "count": 3, "height": values.shape[1], "width": values.shape[2], "dtype": "uint8"}
    place = from_origin(400_000, 3_700_000, pixel_m, pixel_m)
    with rasterio.open(target, "w", crs=CRS, transform=place, compress="deflate", **profile) as dataset:
        dataset.write(values)
    return f"images/{target.name}"


def _write(path: Path, header: tuple[str, ...], rows: object) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def main() -> None:
    """Prepare all folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--output", type=Path, default=ROOT / "build/model-data")
    options = parser.parse_args()
    for name, source in SOURCES.items():
        print(name, prepare(source, options.data, options.output / name))


if __name__ == "__main__":
    main()
