"""Earlier samples: what the model that a training starts from was trained on, read again and mixed in.

The card of a model records its sources, and of every image or block of ground which split it belongs to. Ground that
chose or tested the earlier model stays what it was, whether it is labelled anew or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import shapely
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections
from ..job.card import ModelCard, read_card
from ..job.checks import is_gdal_name
from ..job.codec import decode, encode
from ..job.errors import LabelError, ModelError
from ..job.train_job import KNOWN_STARTS, TrainJob
from .areas import CELL_PX
from .formats.checking import check
from .formats.images import image_size
from .formats.records import SPLITS, Records
from .formats.repairs import Repairs
from .labels import LabelledImage, Window, within
from .source import Source, digest


@dataclass(frozen=True)
class Part:
    """An image of a source, or a window of it (xyxy px of the file), and the split it belongs to."""

    image: str
    split: str
    window: Optional[Window] = None


@dataclass(frozen=True)
class Recorded:
    """A source as a card tells it: the classes that are labelled in it, the bands it is seen in, the digest of its
    labels, and its parts."""

    source: Source
    classes: tuple[str, ...]
    bands: tuple[int, ...]
    band_roles: tuple[str, ...]
    sha256: str
    parts: tuple[Part, ...]


def own_start(job: TrainJob) -> ModelCard | None:
    """Card of the model of Tilehawk's that a training starts from; None where it starts from anything else."""
    if job.start_from is None or job.start_from in KNOWN_STARTS:
        return None
    try:
        return read_card(job.start_from)
    except ModelError:  # weights of others; whatever else is wrong with the file is told when it is opened
        return None


def recorded(card: ModelCard | None, beside: Path) -> list[Recorded]:
    """Sources that a card tells, the newest first; none where it tells nothing, or not in a form known here.

    Files that are not where they were are looked for in the folder `beside`.
    """
    told = [] if card is None else card.training.get("sources", [])
    try:
        known = [decode(Recorded, each) for each in told]
    except ValueError:
        return []
    return [replace(each, source=_located(each.source, beside)) for each in known]


def splits_of(known: list[Recorded]) -> dict[Path, list[Part]]:
    """Parts of each image file that sources tell of."""
    found: dict[Path, list[Part]] = {}
    for each in known:
        for part in each.parts:
            found.setdefault((each.source.folder / part.image).resolve(), []).append(part)
    return found


def to_record(known: Recorded, images: list[LabelledImage]) -> dict[str, Any]:
    """What a card tells of a source, whose images and blocks these are."""
    parts = tuple(Part(known.source.name_of(image.path), image.split, image.window) for image in images)
    return encode(replace(known, parts=parts))


def reopen(known: Recorded, job: TrainJob, told: list[str]) -> Records | None:
    """Read an earlier source again; None, with a sentence for the user in `told`, where that cannot be."""
    name = known.source.name
    gone = next((path for path in known.source.files if not _exists(path)), None)
    if gone is not None:
        told.append(f"The earlier samples of '{name}' are left out: '{gone}' is not where it was.")
        return None
    if known.band_roles != job.band_roles or known.bands != job.bands:
        told.append(f"The earlier samples of '{name}' are left out: they were seen in other bands of their imagery.")
        return None
    try:
        records = known.source.read(Repairs())
    except LabelError as problem:
        told.append(f"The earlier samples of '{name}' are left out. {problem}")
        return None
    if digest(records) != known.sha256:
        told.append(f"'{name}' has changed since the earlier model was trained on it; it is taken as it is now.")
    return records


def _located(source: Source, beside: Path) -> Source:
    """The source, with files of a folder in place of those that are gone."""

    def where(path: str) -> str:
        file, bar, layer = path.partition("|")
        near = beside / Path(file).name
        return str(near) + bar + layer if not _exists(file) and near.exists() else path

    return source.moved(where)


def _exists(path: str) -> bool:
    return is_gdal_name(path) or Path(path).exists()


def earlier_images(
    known: Recorded, records: Records, classes: tuple[str, ...], number: int
) -> tuple[list[LabelledImage], list[str]]:
    """Images and blocks of an earlier source in the splits they had, as source `number`.

    What the source knows nothing of, a class that was not labelled in it, makes all of its ground uncertain: what is
    no object there is not learnt as background. Gives also sentences for the user. Raises LabelError.
    """
    images = {known.source.name_of(image.path): image for image in check(records, classes, Repairs())[0]}
    labelled = {name.casefold() for name in known.classes}
    unknown = [label for label, name in enumerate(classes) if name.casefold() not in labelled]
    found, missing = [], 0
    for part in known.parts:
        image = images.get(part.image)
        if image is None or part.split not in SPLITS:
            missing += 1
            continue
        kept = cut(replace(image, split=part.split, source=number), part)
        if kept is not None:
            found.append(_uncertain(kept, unknown) if unknown else kept)
    lost = f"{missing:,} of the earlier images of '{known.source.name}' are not where they were; they are left out."
    return found, [lost] if missing else []


def _uncertain(image: LabelledImage, labels: list[int]) -> LabelledImage:
    bounds = (0, 0, *image_size(image.path)) if image.area is None else image.area.bounds
    unknown = Detections.truth([bounds] * len(labels), labels, [True] * len(labels))
    return replace(image, truth=Detections.concatenate([image.truth, unknown]))


def cut(image: LabelledImage, part: Part) -> LabelledImage | None:
    """What of an image lies in the window of a part, and is labelled; None where that is nothing."""
    if part.window is None:
        return image
    return _limited(image, shapely.box(*part.window), part.window)


def without(image: LabelledImage, taken: BaseGeometry | None) -> LabelledImage | None:
    """An image without ground (px) that is taken; None where nothing is left."""
    if taken is None:
        return image
    whole = whole_area(image)
    return image if not whole.intersects(taken) else _limited(image, whole.difference(taken), image.window)


def whole_area(image: LabelledImage) -> BaseGeometry:
    """Labelled ground of an image, px."""
    return shapely.box(0, 0, *image_size(image.path)) if image.area is None else image.area


def _limited(image: LabelledImage, ground: BaseGeometry, window: Window | None) -> LabelledImage | None:
    """An image within some ground: its area, its objects; slivers narrower than the grid of areas are left out."""
    area = whole_area(image).intersection(ground)
    polygons = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon" and _wide(part)]
    if not polygons:
        return None
    area = shapely.union_all(polygons)
    return replace(image, truth=within(image.truth, area), area=area, window=window)


def _wide(polygon: BaseGeometry) -> bool:
    x0, y0, x1, y1 = polygon.bounds
    return min(x1 - x0, y1 - y0) >= CELL_PX
