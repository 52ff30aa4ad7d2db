"""Descriptions of work, the same for dialog, toolbox and shell: frozen, with units in the names and absolute paths.

None means: take the default from the model card. `validate()` raises InvalidJob with a sentence.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union  # Python 3.9 evaluates these hints at run time

from .codec import decode, encode
from .errors import InvalidJob

DEVICES = ("auto", "cpu", "cuda", "mps")
VECTOR_SUFFIXES = (".gpkg", ".shp", ".geojson", ".fgb", ".parquet")
DEFAULT_SCORE_FLOOR = 0.05


@dataclass(frozen=True)
class DetectJob:
    """Find objects on one raster.

    `raster`: absolute path, or a GDAL name (`/vsicurl/…`). `extent`: xmin, ymin, xmax, ymax in the raster's CRS.
    `mask`: vector file whose polygons limit the area. `resolution_m`: ground metres, "model" (resample to the model's,
    the default) or "native" (leave the raster as it is). `bands`: from 1, in the order of the card's bands.
    `value_range`: low and high in source units, mapped to 0 and 255.
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

    def validate(self) -> None:
        """Check everything that can be checked without opening the raster or the model."""
        _require_file(self.model, "model")
        if not self.raster:
            raise InvalidJob("Choose a raster to look at.")
        if not self.raster.startswith("/vsi") and ":" not in self.raster[2:]:
            _require_file(self.raster, "raster")
        _require_vector_target(self.output)
        for name, value in (("threshold", self.threshold), ("score floor", self.score_floor)):
            if value is not None and not 0 <= value <= 1:
                raise InvalidJob(f"The {name} must lie between 0 and 1, not {value:g}.")
        if self.nms_overlap is not None and not 0 < self.nms_overlap <= 1:
            raise InvalidJob(f"The overlap for suppression must lie above 0 and up to 1, not {self.nms_overlap:g}.")
        if self.tile_px is not None and not 64 <= self.tile_px <= 8192:
            raise InvalidJob(f"The tile size must lie between 64 and 8192 px, not {self.tile_px}.")
        if self.overlap_px is not None and self.overlap_px < 0:
            raise InvalidJob("The overlap between tiles cannot be negative.")
        if self.tile_px is not None and self.overlap_px is not None and self.overlap_px > self.tile_px // 2:
            raise InvalidJob("The overlap between tiles can be at most half a tile.")
        if self.batch_size is not None and not 1 <= self.batch_size <= 1024:
            raise InvalidJob(f"The batch size must lie between 1 and 1024, not {self.batch_size}.")
        if self.device not in DEVICES:
            raise InvalidJob(f"The device '{self.device}' is unknown; choose one of {', '.join(DEVICES)}.")
        if self.bands is not None and (not self.bands or min(self.bands) < 1):
            raise InvalidJob("Bands are counted from 1.")
        if self.value_range is not None and not self.value_range[1] > self.value_range[0]:
            raise InvalidJob("The value range needs its low value below its high value.")
        if self.extent is not None and not (self.extent[2] > self.extent[0] and self.extent[3] > self.extent[1]):
            raise InvalidJob("The extent is empty: it needs xmin below xmax and ymin below ymax.")
        if self.mask is not None:
            _require_file(self.mask.split("|")[0], "area layer")
        if isinstance(self.resolution_m, str) and self.resolution_m not in ("model", "native"):
            raise InvalidJob("The resolution is a number of metres, 'model' or 'native'.")
        if isinstance(self.resolution_m, float) and not 0 < self.resolution_m < 1e5:
            raise InvalidJob("The resolution must be a positive number of metres.")


@dataclass(frozen=True)
class TrainJob:
    """Train a model from labelled imagery.

    `data`: folders with `images/`, `annotations.csv` and, if the split is given, `split.csv`. `output`: the model file.
    `resolution_m`: ground metres a px of the model; None takes the imagery's own. `start_from`: a model file.
    `anchor_sizes`: base sizes in px, one a level. `tile_px`: side of the training crops.
    """

    data: tuple[str, ...]
    output: str
    name: str = ""
    title: str = ""
    description: str = ""
    classes: Optional[tuple[str, ...]] = None
    backbone: str = "resnet50"
    backbone_stages: int = 4
    levels: tuple[str, ...] = ("P3", "P4", "P5", "P6", "P7")
    channels: int = 256
    head_channels: int = 256
    head_depth: int = 4
    head_norm: str = "none"
    anchor_sizes: Optional[tuple[float, ...]] = None
    anchor_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    bands: tuple[int, ...] = (1, 2, 3)
    band_roles: tuple[str, ...] = ("red", "green", "blue")
    resolution_m: Optional[float] = None
    start_from: Optional[str] = None
    epochs: int = 40
    steps_per_epoch: Optional[int] = None
    batch_size: int = 8
    tile_px: int = 256
    learning_rate: float = 7e-4
    weight_decay: float = 0.05
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    box_loss: str = "smooth_l1"
    ema_decay: float = 0.998
    seed: int = 0
    device: str = "auto"
    credits: tuple[str, ...] = ()
    license: str = ""

    def validate(self) -> None:
        """Check everything that can be checked without opening the data."""
        if not self.data:
            raise InvalidJob("Choose at least one folder of labelled images.")
        for folder in self.data:
            if not Path(folder).is_dir():
                raise InvalidJob(f"The folder '{folder}' does not exist.")
        if Path(self.output).suffix.lower() != ".safetensors":
            raise InvalidJob(f"A model is saved as .safetensors, not as '{Path(self.output).name}'.")
        if self.epochs < 1 or self.batch_size < 1 or (self.steps_per_epoch or 1) < 1:
            raise InvalidJob("Epochs, steps and batch size must be at least 1.")
        if not 64 <= self.tile_px <= 2048:
            raise InvalidJob(f"The tile size must lie between 64 and 2048 px, not {self.tile_px}.")
        if not 0 < self.learning_rate < 1:
            raise InvalidJob("The learning rate must lie between 0 and 1.")
        if self.box_loss not in ("smooth_l1", "giou"):
            raise InvalidJob("The box loss is 'smooth_l1' or 'giou'.")
        if self.device not in DEVICES:
            raise InvalidJob(f"The device '{self.device}' is unknown; choose one of {', '.join(DEVICES)}.")
        if len(self.bands) != len(self.band_roles):
            raise InvalidJob("Each band needs a role.")


JOBS = {"detect": DetectJob, "train": TrainJob}
Job = Union[DetectJob, TrainJob]


def job_to_json(job: Job) -> str:
    """Write a job as one line of JSON, as the worker reads it."""
    name = next(name for name, kind in JOBS.items() if isinstance(job, kind))
    return json.dumps({"job": name, **encode(job)}, ensure_ascii=True, allow_nan=False)


def job_from_json(line: str) -> Job:
    """Parse one line of JSON into a job; raises InvalidJob with a sentence."""
    try:
        data = json.loads(line)
        name = data.pop("job")
        return decode(JOBS[name], data)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as problem:
        raise InvalidJob(f"The job cannot be understood: {problem}.") from problem


def _require_file(path: str, what: str) -> None:
    if not path:
        raise InvalidJob(f"Choose a {what}.")
    if not os.path.exists(path):  # noqa: PTH110  (a GDAL name may be no valid Path)
        raise InvalidJob(f"The {what} '{path}' does not exist.")


def _require_vector_target(path: str) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in VECTOR_SUFFIXES:
        raise InvalidJob(f"Results are written as {', '.join(VECTOR_SUFFIXES)}, not as '{Path(path).name}'.")
    if not Path(path).parent.is_dir():
        raise InvalidJob(f"The folder '{Path(path).parent}' for the result does not exist.")
