"""Labelled imagery for training in Python: read, checked, parted, and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from .accuracy.page import figure, row
from .accuracy.pictures import TRUE, Outline, in_colour, picture
from .accuracy.plots import Plot
from .detections.detections import Detections
from .job.augmentation import Augmentation, parse_augmentation
from .job.errors import InvalidJob, LabelError
from .job.train_job import AugmentJob, TrainJob
from .terminal import Terminal
from .training.preparation import Prepared, prepare
from .training.samples import Sampler

BATCH_SIDE = 200  # px on the page


@dataclass(frozen=True, eq=False)
class Data:
    """Imagery with labels, parted into what is learnt from, what chooses the best epoch, and what tests the model."""

    job: TrainJob
    prepared: Prepared

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return self.prepared.labelled.classes

    def show_batch(self, rows: int = 2) -> Plot:
        """Training crops as the network sees them, augmented, with their labels; four in a row."""
        job, prepared = self.job, self.prepared
        sampler = Sampler(prepared.pictures["train"], job.tile_px, prepared.fill, job.augmentation, job.seed)
        return Plot("Training crops", [row([self._shown(*sampler.sample(0, index)) for index in range(4 * rows)])])

    def show_augmentations(self, versions: int = 8, place: float = 0.5) -> Plot:
        """One training crop as it is, then as training draws it again and again; four in a row.

        `place`: which of the objects to learn from it shows, from 0 to 1. Raises InvalidJob.
        """
        job, prepared = self.job, self.prepared
        AugmentJob(job, versions, place).validate()
        sampler = Sampler(prepared.pictures["train"], job.tile_px, prepared.fill, job.augmentation, job.seed)
        crops = [sampler.plain(place), *sampler.versions(place, versions)]
        names = ["as it is", *[""] * versions]
        return Plot("Augmentation", [row([self._shown(*each, name) for each, name in zip(crops, names, strict=True)])])

    def _shown(self, image: Tensor, truth: Detections, caption: str = "") -> str:
        """A crop with its labels, as a figure."""
        kept = truth if truth.ignore is None else truth.take(~truth.ignore)
        boxes = [Outline(tuple(box), TRUE) for box in kept.boxes.tolist()]
        return figure(picture(in_colour(image.numpy(), self.job.band_roles), [boxes], BATCH_SIDE), caption)

    def __repr__(self) -> str:
        counts, images = self.prepared.counts, self.prepared.pictures
        parts = ", ".join(f"{split}: {counts[split]:,} objects on {len(images[split]):,} images" for split in counts)
        resolution = self.prepared.labelled.resolution_m
        ground = "" if resolution is None else f"; {resolution:g} m a pixel"
        return f"<Data of {', '.join(self.classes)}; {parts}{ground}>"


def prepare_data(
    path: str | Path | Sequence[str | Path],
    class_mapping: Mapping[Any, str] | None = None,
    chip_size: int = 256,
    batch_size: int = 8,
    transforms: Augmentation | str | bool | None = None,
    seed: int = 42,
    *,
    labels: str | Path | Sequence[str | Path] | None = None,
    **settings: Any,
) -> Data:
    """Read labelled imagery.

    `path`: a folder of labelled images, or several: annotations.csv, COCO, Pascal VOC, YOLO, KITTI or chips exported by
    ArcGIS, found out by what lies in it; or, with `labels`, a raster or several and the vector layer over each.
    `class_mapping`: names for class values. `chip_size`: side of the training crops, px at the model's resolution;
    `batch_size`: crops a step. `transforms`: None for the usual augmentation, False for none, or one as of
    `--augmentation`. `settings`: what else a TrainJob has on labels, such as class_field, size_m, area, resolution_m,
    bands; and `start_from`, a model of one's own whose earlier samples are mixed in. A given split is kept; otherwise
    blocks of ground are parted 70 : 15 : 15 into training, choice and test.
    Raises LabelError, RasterError and InvalidJob with a sentence.
    """
    sources = tuple(str(Path(each).absolute()) for each in _several(path))
    layers = () if labels is None else tuple(_layer(str(each)) for each in _several(labels))
    files = [source for source in sources if Path(source).is_file()]
    if files and not layers:
        raise InvalidJob(f"'{files[0]}' is no folder. For a raster, give the layer over it as `labels`.")
    job = TrainJob(
        output=str(Path.cwd() / "model.safetensors"),
        data=() if layers else sources,
        rasters=sources if layers else (),
        labels=layers,
        tile_px=chip_size,
        batch_size=batch_size,
        augmentation=_augmentation(transforms),
        seed=seed,
    )
    job = changed(job, settings)
    job.validate()
    prepared = prepare(job, Terminal().show)
    if class_mapping:
        given = {str(value): name for value, name in class_mapping.items()}
        names = tuple(given.get(name, name) for name in prepared.labelled.classes)
        if len(set(names)) < len(names):
            raise LabelError("Two classes cannot be mapped to one name. Give them one value in the labels.")
        # Read again, the labels would have other names than the model: where they lie is not told.
        prepared = replace(prepared, labelled=replace(prepared.labelled, classes=names, sources=()))
    return Data(job, prepared)


def changed(job: TrainJob, settings: Mapping[str, Any]) -> TrainJob:
    """The job with other settings by name; raises InvalidJob for one that it does not have."""
    known = {field.name for field in fields(TrainJob)} - {"output", "data", "rasters", "labels", "resume"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise InvalidJob(f"There is no setting '{unknown[0]}'. There are {', '.join(sorted(known))}.")
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return replace(job, **lists)


def _several(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, (str, Path)) else tuple(value)


def _layer(source: str) -> str:
    path, bar, options = source.partition("|")
    return str(Path(path).absolute()) + bar + options


def _augmentation(transforms: Augmentation | str | bool | None) -> Augmentation:
    if isinstance(transforms, Augmentation):
        return transforms
    if isinstance(transforms, str):
        return parse_augmentation(transforms)
    return parse_augmentation("none" if transforms is False else "default")
