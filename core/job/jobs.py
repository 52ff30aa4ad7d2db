"""Descriptions of work, the same for dialog, toolbox and shell: frozen, with units in the names and absolute paths.

None means: take the default from the model card. `validate()` raises InvalidJob with a sentence.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Optional, Union  # Python 3.9 evaluates these hints at run time

from .checks import (
    DEVICES,
    VECTOR_SUFFIXES,
    is_gdal_name,
    require_address,
    require_device,
    require_file,
    require_vector_target,
)
from .codec import decode, encode, parse
from .errors import InvalidJob
from .label_jobs import EvaluateJob, ExportJob
from .suppress_job import SuppressJob
from .train_job import AugmentJob, SurveyJob, TrainJob

AUGMENTATIONS = ("flips", "turns", "scales")
MERGE_RULES = ("seams", "centre", "nms")
DEFAULT_SCORE_FLOOR = 0.05

__all__ = [
    "DEVICES",
    "VECTOR_SUFFIXES",
    "DetectJob",
    "EvaluateJob",
    "ExportJob",
    "Job",
    "SuppressJob",
    "TrainJob",
    "is_gdal_name",
    "job_from_json",
    "job_to_json",
]


@dataclass(frozen=True)
class DetectJob:
    """Find objects on one raster.

    `raster`: absolute path, or a GDAL name (`/vsicurl/…`). `extent`: xmin, ymin, xmax, ymax in the raster's CRS.
    `mask`: vector file whose polygons limit the area. `resolution_m`: ground metres, "model" (resample to the model's,
    the default) or "native" (leave the raster as it is). `bands`: from 1, in the order of the card's bands.
    `value_range`: low and high in source units, mapped to 0 and 255. `augment`: further ways to look at every tile.
    `merge`: how the boxes of overlapping tiles become objects; `centre` and `nms` are there to compare with.
    `resume`: go on where the same job was broken off, if it was. `cluster`: address of a Dask scheduler, such as
    tcp://host:8786, whose machines look at the tiles in this one's place.
    """

    raster: str
    model: str
    output: str
    threshold: Optional[float] = None
    score_floor: Optional[float] = None
    nms_overlap: Optional[float] = None
    tile_px: Optional[int] = None
    overlap_px: Optional[int] = None
    batch_size: Optional[int] = None
    device: str = "auto"
    bands: Optional[tuple[int, ...]] = None
    value_range: Optional[tuple[float, float]] = None
    extent: Optional[tuple[float, float, float, float]] = None
    mask: Optional[str] = None
    resolution_m: Union[float, str, None] = None
    classes: Optional[tuple[str, ...]] = None
    augment: tuple[str, ...] = ()
    merge: str = "seams"
    resume: bool = False
    cluster: Optional[str] = None

    def validate(self) -> None:
        """Check everything that can be checked without opening the raster or the model."""
        _check_files(self)
        _check_area(self)
        _check_numbers(self)
        require_device(self.device)
        if self.cluster is not None:
            require_address(self.cluster)
        if self.classes is not None and not self.classes:
            raise InvalidJob("Choose at least one class to look for.")
        if unknown := set(self.augment) - set(AUGMENTATIONS):
            known = ", ".join(AUGMENTATIONS)
            raise InvalidJob(f"There is no augmentation '{min(unknown)}'; choose among {known}.")
        if self.merge not in MERGE_RULES:
            known = ", ".join(MERGE_RULES)
            raise InvalidJob(f"There is no merging rule '{self.merge}'; choose among {known}.")


@dataclass(frozen=True)
class PreflightJob:
    """Tell what a detection would be like, without doing it; its output is not touched."""

    detection: DetectJob

    @property
    def output(self) -> str:
        """What the detection would write."""
        return self.detection.output

    def validate(self) -> None:
        """Check everything that can be checked without opening the raster or the model."""
        self.detection.validate()


JOBS = {
    "detect": DetectJob,
    "preflight": PreflightJob,
    "train": TrainJob,
    "survey": SurveyJob,
    "augment": AugmentJob,
    "evaluate": EvaluateJob,
    "export": ExportJob,
    "suppress": SuppressJob,
}
Job = Union[DetectJob, PreflightJob, TrainJob, SurveyJob, AugmentJob, EvaluateJob, ExportJob, SuppressJob]


def job_to_json(job: Job) -> str:
    """Write a job as one line of JSON, as the worker reads it."""
    name = next(name for name, kind in JOBS.items() if isinstance(job, kind))
    return json.dumps({"job": name, **encode(job)}, ensure_ascii=True, allow_nan=False)


def job_from_json(line: str) -> Job:
    """Parse one line of JSON into a job; raises InvalidJob with a sentence."""
    try:
        data = parse(line)
        name = data.pop("job", None) if isinstance(data, dict) else None
        if not isinstance(name, str) or name not in JOBS:
            raise ValueError(f"its 'job' must be one of {', '.join(JOBS)}")
        return decode(JOBS[name], data)
    except ValueError as problem:
        raise InvalidJob(f"The job cannot be understood: {problem}.") from problem


def _check_files(job: DetectJob) -> None:
    require_file(job.model, "model")
    if not job.raster:
        raise InvalidJob("Choose a raster to look at.")
    if not is_gdal_name(job.raster):
        require_file(job.raster, "raster")
    mask = job.mask.split("|")[0] if job.mask is not None else None
    if mask is not None:
        require_file(mask, "area layer")
    require_vector_target(job.output)
    for what, path in (("raster", job.raster), ("model", job.model), ("area layer", mask)):
        if path and (os.path.realpath(path) == os.path.realpath(job.output) or _lies_in(path, job.output)):
            raise InvalidJob(f"The result would overwrite the {what} '{path}'. Choose another name for it.")


def _lies_in(raster: str, file: str) -> bool:
    """Tell whether a raster is one of those in a file, `GPKG:file:name` or `/vsizip/file/name`."""
    return is_gdal_name(raster) and os.path.exists(file) and file in raster  # noqa: PTH110


def _check_area(job: DetectJob) -> None:
    for name, values in (("value range", job.value_range), ("extent", job.extent)):
        if values is not None and not all(math.isfinite(value) for value in values):
            raise InvalidJob(f"The {name} must be made of finite numbers.")
    if job.value_range is not None and not job.value_range[1] > job.value_range[0]:
        raise InvalidJob("The value range needs its low value below its high value.")
    if job.extent is not None and not (job.extent[2] > job.extent[0] and job.extent[3] > job.extent[1]):
        raise InvalidJob("The extent is empty: it needs xmin below xmax and ymin below ymax.")
    if isinstance(job.resolution_m, str) and job.resolution_m not in ("model", "native"):
        raise InvalidJob("The resolution is a number of metres, 'model' or 'native'.")
    if isinstance(job.resolution_m, (int, float)) and not 0 < job.resolution_m < 1e5:
        raise InvalidJob("The resolution must be a positive number of metres.")
    if job.bands is not None and (not job.bands or min(job.bands) < 1):
        raise InvalidJob("Bands are counted from 1.")


def _check_numbers(job: DetectJob) -> None:
    for name, value in (("threshold", job.threshold), ("score floor", job.score_floor)):
        if value is not None and not 0 <= value <= 1:
            raise InvalidJob(f"The {name} must lie between 0 and 1, not {value:g}.")
    if job.nms_overlap is not None and not 0 < job.nms_overlap <= 1:
        raise InvalidJob(f"The overlap for suppression must lie above 0 and up to 1, not {job.nms_overlap:g}.")
    if job.tile_px is not None and not 64 <= job.tile_px <= 8192:
        raise InvalidJob(f"The tile size must lie between 64 and 8192 px, not {job.tile_px}.")
    if job.overlap_px is not None and job.overlap_px < 0:
        raise InvalidJob("The overlap between tiles cannot be negative.")
    if job.tile_px is not None and job.overlap_px is not None and job.overlap_px > job.tile_px // 2:
        raise InvalidJob("The overlap between tiles can be at most half a tile.")
    if job.batch_size is not None and not 1 <= job.batch_size <= 1024:
        raise InvalidJob(f"The batch size must lie between 1 and 1024, not {job.batch_size}.")
