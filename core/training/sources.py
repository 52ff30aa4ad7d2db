"""All labels that a job names, from folders and from layers over rasters, each image with its split."""

from dataclasses import dataclass, replace
from pathlib import Path

import rasterio
import shapely
from shapely.geometry.base import BaseGeometry

from ..job.card import ModelCard
from ..job.errors import LabelError
from ..job.train_job import TrainJob
from .blocks import Ground, count_objects, split_by_blocks
from .earlier import (
    Part,
    Recorded,
    cut,
    earlier_images,
    own_start,
    recorded,
    reopen,
    splits_of,
    whole_area,
    without,
)
from .formats.checking import check, class_names
from .formats.images import image_size
from .formats.layers import Layer
from .formats.records import Records
from .formats.repairs import Repairs
from .labels import LabelledImage
from .pictures import ground_resolution, native_resolution
from .source import Source, digest

EACH = 50  # images, up to which the resolution of each is looked up; of more, the median of as many holds for all


@dataclass(frozen=True)
class Labelled:
    """Labelled images with their splits. `blocks`: those among them that were parted here, now or in an earlier
    training, no split being given. `resolution_m`: ground metres a px at which to learn, None where nothing is
    georeferenced. `sources`: where they come from, by the number that images have. `notices`: sentences for the user,
    with their level."""

    images: list[LabelledImage]
    classes: tuple[str, ...]
    blocks: list[LabelledImage]
    resolution_m: float | None
    sources: tuple[Recorded, ...] = ()
    notices: tuple[tuple[str, str], ...] = ()


def read_sources(job: TrainJob, repairs: Repairs) -> Labelled:
    """Read folders and layers; images of a source that tells no split are parted by blocks of ground.

    Where the job starts from a model of Tilehawk's, ground that it knows stays in the split it had, and its earlier
    samples are mixed in. Raises LabelError where nothing can be used.
    """
    new = [(source, source.read(repairs)) for source in _sources(job)]
    names = job.classes or _joined([class_names(records) for _, records in new])
    card = own_start(job)
    past = recorded(card, Path(job.start_from or "").parent)
    notices: list[tuple[str, str]] = []
    old = _mixed_in(job, card, past, names, notices)
    classes = job.classes or _joined([names, *(known.classes for known, _ in old)])
    sources = [_described(job, source, records, classes) for source, records in new]
    images = [
        (any(records.images.values()), replace(image, source=number))
        for number, (_, records) in enumerate(new)
        for image in check(records, classes, repairs)[0]
    ]
    given = [image for told, image in images if told]
    apart, loose = _apart([image for told, image in images if not told], splits_of(past))
    taken = _ground_by_file([image for _, image in images]) if old else {}
    for known, records in old:
        kept = _earlier(known, records, classes, len(sources), taken, notices)
        sources.append(known)
        for path, ground in _ground_by_file(kept).items():
            taken[path] = ground.union(taken[path]) if path in taken else ground
        apart += [image for image in kept if image.window is not None]
        given += [image for image in kept if image.window is None]
    resolution = job.resolution_m or native_resolution([*given, *apart, *loose])
    blocks = [*apart, *(split_by_blocks(_grounds(loose, job, resolution), job.seed) if loose else [])]
    return Labelled([*given, *blocks], classes, blocks, resolution, tuple(sources), tuple(notices))


def _joined(names: list[tuple[str, ...]]) -> tuple[str, ...]:
    """Names of several sources in alphabetical order, each once whatever its case."""
    found: dict[str, str] = {}
    for name in (name for each in names for name in each):
        found.setdefault(name.casefold(), name)
    return tuple(sorted(found.values()))


def _described(job: TrainJob, source: Source, records: Records, classes: tuple[str, ...]) -> Recorded:
    return Recorded(source, classes, job.bands, job.band_roles, digest(records), ())


def _mixed_in(
    job: TrainJob,
    card: ModelCard | None,
    past: list[Recorded],
    names: tuple[str, ...],
    notices: list[tuple[str, str]],
) -> list[tuple[Recorded, Records]]:
    """Earlier sources, read again, where the model that a training starts from finds any of its objects."""
    theirs = {} if card is None else {known.name.casefold(): known.name for known in card.classes}
    wanted = {name.casefold() for name in names}
    if not job.mix or card is None:
        return []
    if wanted and not wanted & set(theirs):  # where all was rejected there is no new object, but ground to learn from
        if past:
            found, new = (", ".join(f"'{name}'" for name in each) for each in (theirs.values(), names))
            text = f"The earlier samples of '{card.name}' are left out: it finds {found}, and the new labels are {new}."
            notices.append((text, "warning"))
        return []
    if not past:
        text = f"The model '{card.name}' does not say where its earlier samples lie: only the new ones are learnt from."
        notices.append((text, "info"))
    told: list[str] = []
    old = [(known, records) for known in past if (records := reopen(known, job, told)) is not None]
    notices += [(sentence, "warning") for sentence in told]
    if old and wanted and not job.classes and (lacking := [name for key, name in theirs.items() if key not in wanted]):
        listed = ", ".join(f"'{name}'" for name in lacking)
        text = f"The new labels hold no {listed}: whatever the new ground shows of that kind is taken for background."
        notices.append((text, "warning"))
    return old


def _apart(
    images: list[LabelledImage], splits: dict[Path, list[Part]]
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Part images by what an earlier training knew: ground that has a split already, and ground that has none."""
    apart: list[LabelledImage] = []
    loose: list[LabelledImage] = []
    for image in images:
        parts = splits.get(image.path.resolve(), [])
        pieces = [(part, cut(image, part)) for part in parts]
        apart += [replace(piece, split=part.split) for part, piece in pieces if piece is not None]
        if parts:
            known = shapely.union_all([whole_area(piece) for _, piece in pieces if piece is not None])
            left = without(image, known)
            loose += [] if left is None else [left]
        else:
            loose.append(image)
    return apart, loose


def _earlier(
    known: Recorded,
    records: Records,
    classes: tuple[str, ...],
    number: int,
    taken: dict[Path, BaseGeometry],
    notices: list[tuple[str, str]],
) -> list[LabelledImage]:
    """Images of an earlier source as source `number`, but for ground that newer labels have taken."""
    name = known.source.name
    try:
        found, told = earlier_images(known, records, classes, number)
    except LabelError as problem:
        found, told = [], [f"The earlier samples of '{name}' are left out. {problem}"]
    left = [without(image, taken.get(image.path.resolve())) for image in found]
    kept = [image for image in left if image is not None]
    notices += [(sentence, "warning") for sentence in told]
    count = sum(count_objects(image) for image in kept)
    if count:
        notices.append((f"Earlier samples are mixed in: {count:,} objects of '{name}'.", "info"))
    return kept


def _ground_by_file(images: list[LabelledImage]) -> dict[Path, BaseGeometry]:
    """Labelled ground (px) of each image file."""
    found: dict[Path, list[BaseGeometry]] = {}
    for image in images:
        found.setdefault(image.path.resolve(), []).append(whole_area(image))
    return {path: shapely.union_all(grounds) for path, grounds in found.items()}


def _sources(job: TrainJob) -> list[Source]:
    """Folders and rasters that a job names."""
    layers = job.labels * len(job.rasters) if len(job.labels) == 1 else job.labels
    extent_crs = None
    if job.extent is not None:
        with rasterio.open(job.rasters[0]) as first:
            extent_crs = first.crs.to_wkt() if first.crs else None
    return [Source(folder) for folder in job.data] + [
        Source(
            raster,
            Layer(
                layer,
                class_field=job.class_field,
                class_name=job.classes[0] if job.classes else "object",
                size_m=job.size_m,
                size_field=job.size_field,
                ignore_field=job.ignore_field,
                area=job.area,
                extent=job.extent,
                extent_crs=extent_crs,
            ),
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
