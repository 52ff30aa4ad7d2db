"""All labels that a job names, from folders and from layers over rasters, each image with its split."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from ..job.train_job import TrainJob
from .blocks import Ground, split_by_blocks
from .formats.checking import check, class_names
from .formats.images import image_size
from .formats.layers import Layer, read_layer
from .formats.reading import read_records
from .formats.records import Records
from .formats.repairs import Repairs
from .labels import LabelledImage
from .pictures import ground_resolution, native_resolution

EACH = 50  # images, up to which the resolution of each is looked up; of more, the median of as many holds for all
LABEL_SUFFIXES = (".csv", ".json", ".xml", ".txt", ".yaml", ".yml", ".emd")


@dataclass(frozen=True)
class Labelled:
    """Labelled images with their splits. `blocks`: those among them that were parted here, no split being given.
    `resolution_m`: ground metres a px at which to learn, None where nothing is georeferenced."""

    images: list[LabelledImage]
    classes: tuple[str, ...]
    blocks: list[LabelledImage]
    resolution_m: float | None


def read_sources(job: TrainJob, repairs: Repairs) -> Labelled:
    """Read folders and layers; images of a source that tells no split are parted by blocks of ground.

    Raises LabelError where nothing can be used.
    """
    parts = [read_records(Path(folder), repairs) for folder in job.data] + _over_rasters(job, repairs)
    classes = job.classes or tuple(sorted({name for part in parts for name in class_names(part)}))
    given: list[LabelledImage] = []
    loose: list[LabelledImage] = []
    for part in parts:
        told = any(part.images.values())
        (given if told else loose).extend(check(part, classes, repairs)[0])
    resolution = job.resolution_m or native_resolution([*given, *loose])
    blocks = split_by_blocks(_grounds(loose, job, resolution), job.seed) if loose else []
    return Labelled([*given, *blocks], classes, blocks, resolution)


def _over_rasters(job: TrainJob, repairs: Repairs) -> list[Records]:
    layers = job.labels * len(job.rasters) if len(job.labels) == 1 else job.labels
    extent_crs = None
    if job.extent is not None:
        with rasterio.open(job.rasters[0]) as first:
            extent_crs = first.crs.to_wkt() if first.crs else None
    return [
        read_layer(
            Layer(
                path=layer,
                class_field=job.class_field,
                class_name=job.classes[0] if job.classes else "object",
                size_m=job.size_m,
                size_field=job.size_field,
                ignore_field=job.ignore_field,
                area=job.area,
                extent=job.extent,
                extent_crs=extent_crs,
            ),
            Path(raster),
            repairs,
        )
        for raster, layer in zip(job.rasters, layers, strict=True)
    ]


def _grounds(images: list[LabelledImage], job: TrainJob, resolution_m: float | None) -> list[Ground]:
    """Images with the side of a training tile in px of their file."""
    median = native_resolution(images)
    found = []
    for image in images:
        own = ground_resolution(image.path) if len(images) <= EACH else median
        finer = resolution_m / own if resolution_m and own else 1.0
        found.append(Ground(image, image_size(image.path), job.tile_px * finer))
    return found


def unlimited(job: TrainJob) -> list[str]:
    """Say where everything without a label is taken for background, because no area of complete labelling is given."""
    if not job.rasters or job.area is not None or job.extent is not None:
        return []
    names = ", ".join(f"'{Path(raster).name}'" for raster in job.rasters)
    return [
        f"No area of complete labelling is given: whatever has no label on {names} is taken for background. Draw a "
        "polygon around what you have labelled, unless that is everything."
    ]


def fingerprints(job: TrainJob) -> list[dict[str, Any]]:
    """Names of the files with labels and their SHA-256, for the model card; no paths."""
    found = []
    for name in dict.fromkeys([*job.data, *(layer.split("|")[0] for layer in job.labels)]):
        path = Path(name)
        files = [path] if path.is_file() else [f for f in sorted(path.rglob("*")) if f.suffix in LABEL_SUFFIXES]
        total = hashlib.sha256()
        for file in files:
            total.update(file.read_bytes())
        found.append({"name": path.name, "sha256": total.hexdigest()})
    return found
