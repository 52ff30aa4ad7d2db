"""The description of a training, the same for dialog, toolbox, Python and shell."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional  # Python 3.9 evaluates these hints at run time

from .augmentation import Augmentation
from .card import BACKBONES
from .checks import require_device, require_file, require_folder_of, require_language, require_layer
from .errors import InvalidJob

OPTIMISERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "one_cycle", "steady")
NORMS = ("auto", "batch", "group")
BOX_LOSSES = ("smooth_l1", "giou")
MOST_VERSIONS = 64  # of one sample, shown at once
KNOWN_STARTS = ("coco", "imagenet")  # weights of torchvision's, by name


@dataclass(frozen=True)
class TrainJob:
    """Train a model from folders of labelled images, from rasters with layers of labels, or from both.

    Labels. `data`: folders in any of the known formats (`annotations.csv`, COCO, Pascal VOC, YOLO, KITTI, ArcGIS).
    `rasters`: raster files. `labels`: a vector layer for each raster, `file` or `file|layername=x`, or
    one for all of them. `class_field`: field with the class; None: all objects are of the first of `classes`, or
    "object". `ignore_field`: true where an object is doubtful. `size_m`: side of the box around a point, ground metres;
    `size_field` holds it by object and goes before. `area`: polygon layer in which all objects are labelled; `extent`:
    the same as xmin, ymin, xmax, ymax in the first raster's CRS; outside of both nothing is known.

    Model. `output`: the model file. `resolution_m`: ground metres a px; None takes the imagery's own. `levels`,
    `anchor_sizes` (base sizes in px, one a level) and `anchor_ratios` None: those of `start_from` where they reach the
    objects, else fitted to them. `norm`: of the backbone, "batch", "group", or "auto": that of `start_from`, else group
    below 8 tiles a batch. `start_from`: a file, of Tilehawk, torchvision or DeepForest, or "coco" or "imagenet":
    torchvision's weights, downloaded once. `mix`: where that is a model of Tilehawk's that finds any of the same
    classes, the samples it was trained on are learnt from, too, as far as its card says where they lie; those that
    tested it go on to test. `tell_sources`: the new model's card says where its samples lie. `overwrite`: a model that
    `output` names is replaced even where the new one is not known to be as good; else the new one is written beside it.

    Training. `epochs`: at most. `patience`: stop when that many epochs brought nothing better; None: never. `schedule`
    of the learning rate: "cosine", "one_cycle", or "steady" until it stops improving, then down over `patience` epochs;
    None: steady where there is patience, else cosine. `learning_rate` at its highest; None: found by trial before the
    training. `freeze_backbone`: first epochs in which the backbone keeps its weights. `clip_gradient`: norm to which
    gradients are clipped. `tile_px`: side of the training crops. `steps_per_epoch` None: by the number of objects.
    `resume`: go on where the same training was cancelled or died, from the file `<output>.partial`, which is written
    after each epoch and every `checkpoint_minutes` within it. `language`: that of the page beside the model.
    """

    output: str
    data: tuple[str, ...] = ()
    rasters: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    class_field: Optional[str] = None
    ignore_field: Optional[str] = None
    size_m: Optional[float] = None
    size_field: Optional[str] = None
    area: Optional[str] = None
    extent: Optional[tuple[float, float, float, float]] = None
    name: str = ""
    title: str = ""
    description: str = ""
    classes: Optional[tuple[str, ...]] = None
    backbone: str = "resnet50"
    backbone_stages: int = 4
    norm: str = "auto"
    levels: Optional[tuple[str, ...]] = None
    channels: int = 256
    head_channels: int = 256
    head_depth: int = 4
    head_norm: str = "none"
    anchor_sizes: Optional[tuple[float, ...]] = None
    anchor_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    anchor_ratios: Optional[tuple[float, ...]] = None
    bands: tuple[int, ...] = (1, 2, 3)
    band_roles: tuple[str, ...] = ("red", "green", "blue")
    resolution_m: Optional[float] = None
    start_from: Optional[str] = None
    mix: bool = True
    tell_sources: bool = True
    overwrite: bool = False
    epochs: int = 40
    patience: Optional[int] = None
    steps_per_epoch: Optional[int] = None
    batch_size: int = 8
    tile_px: int = 256
    optimiser: str = "adamw"
    schedule: Optional[str] = None
    learning_rate: Optional[float] = 7e-4
    weight_decay: Optional[float] = None
    clip_gradient: float = 5.0
    freeze_backbone: int = 0
    focal_alpha: float = 0.25
    focal_gamma: float = 2.0
    box_loss: str = "smooth_l1"
    ema_decay: float = 0.998
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    device: str = "auto"
    resume: bool = False
    checkpoint_minutes: float = 5.0
    credits: tuple[str, ...] = ()
    license: str = ""
    language: str = "en"

    @property
    def partial(self) -> str:
        """File that a training which has not ended is taken up from."""
        return f"{self.output}.partial"

    @property
    def schedule_in_use(self) -> str:
        """The schedule, chosen where it is not given."""
        return self.schedule or ("cosine" if self.patience is None else "steady")

    def validate(self) -> None:
        """Check everything that can be checked without opening the data; raises InvalidJob with a sentence."""
        _check_sources(self)
        _check_target(self)
        _check_model(self)
        _check_training(self)
        self.augmentation.validate()


@dataclass(frozen=True)
class SurveyJob:
    """Tell what a training would learn from, without training; its output is not touched."""

    training: TrainJob

    @property
    def output(self) -> str:
        """What the training would write."""
        return self.training.output

    def validate(self) -> None:
        """Check everything that can be checked without opening the data."""
        self.training.validate()


@dataclass(frozen=True)
class AugmentJob:
    """Show what a training changes about one of its samples, without training; its output is not touched.

    `versions`: how many times it is drawn anew. `place`: which of the objects to learn from it shows, from 0 to 1.
    """

    training: TrainJob
    versions: int = 8
    place: float = 0.5

    @property
    def output(self) -> str:
        """What the training would write."""
        return self.training.output

    def validate(self) -> None:
        """Check everything that can be checked without opening the data."""
        self.training.validate()
        if not (1 <= self.versions <= MOST_VERSIONS and 0 <= self.place <= 1):
            raise InvalidJob(f"There can be 1 to {MOST_VERSIONS} versions, of an object whose place is from 0 to 1.")


def _check_sources(job: TrainJob) -> None:
    if not job.data and not job.rasters:
        raise InvalidJob("Choose at least one folder of labelled images, or a raster with a layer of labels.")
    for folder in job.data:
        if not Path(folder).is_dir():
            raise InvalidJob(f"The folder '{folder}' does not exist.")
    for raster in job.rasters:
        require_file(raster, "raster")
    if job.rasters and len(job.labels) not in (1, len(job.rasters)):
        raise InvalidJob("Give one layer of labels for each raster, or one for all of them.")
    if job.labels and not job.rasters:
        raise InvalidJob("Choose the raster that the layer of labels lies over.")
    for layer in job.labels:
        require_layer(layer, "layer of labels")
    _check_area(job)


def _check_area(job: TrainJob) -> None:
    if not job.rasters and (job.area is not None or job.extent is not None):
        raise InvalidJob("An area of complete labelling belongs to a raster with a layer of labels.")
    if job.area is not None:
        require_layer(job.area, "area layer")
    if job.size_m is not None and not 0 < job.size_m < 1e5:
        raise InvalidJob("The size of points must be a positive number of metres.")
    if job.extent is not None:
        if not all(math.isfinite(value) for value in job.extent):
            raise InvalidJob("The extent must be made of finite numbers.")
        if not (job.extent[2] > job.extent[0] and job.extent[3] > job.extent[1]):
            raise InvalidJob("The extent is empty: it needs xmin below xmax and ymin below ymax.")


def _check_target(job: TrainJob) -> None:
    if Path(job.output).suffix.lower() != ".safetensors":
        raise InvalidJob(f"A model is saved as .safetensors, not as '{Path(job.output).name}'.")
    require_folder_of(job.output, "model")
    if job.resume and not os.path.exists(job.partial):  # noqa: PTH110  (takes any text)
        raise InvalidJob(f"There is no interrupted training to go on with: '{job.partial}' does not exist.")


def _check_model(job: TrainJob) -> None:
    if job.start_from is not None and job.start_from not in KNOWN_STARTS:
        require_file(job.start_from, "model to start from")
    if job.start_from == "coco" and job.backbone != "resnet50":
        raise InvalidJob("Weights trained on COCO are those of a ResNet-50. Choose it, or start from 'imagenet'.")
    if job.backbone not in BACKBONES:
        raise InvalidJob(f"The backbone '{job.backbone}' is unknown; known are {', '.join(BACKBONES)}.")
    if job.classes is not None and not job.classes:
        raise InvalidJob("Choose at least one class to learn.")
    if job.anchor_sizes is not None and job.levels is None:
        raise InvalidJob("Anchor sizes given by hand need the pyramid levels they are for, such as P3,P4,P5.")
    if not job.bands or min(job.bands) < 1:
        raise InvalidJob("Bands are counted from 1.")
    if len(job.bands) != len(job.band_roles):
        raise InvalidJob("Each band needs a role.")
    if job.resolution_m is not None and not 0 < job.resolution_m < 1e5:
        raise InvalidJob("The resolution must be a positive number of metres.")


def _check_training(job: TrainJob) -> None:
    counts = (job.epochs, job.batch_size, job.steps_per_epoch or 1, job.patience or 1)
    if min(counts) < 1 or 0 in (job.steps_per_epoch, job.patience):
        raise InvalidJob("Epochs, patience, steps and batch size must be at least 1.")
    if not 64 <= job.tile_px <= 2048:
        raise InvalidJob(f"The tile size must lie between 64 and 2048 px, not {job.tile_px}.")
    if job.learning_rate is not None and not 0 < job.learning_rate < 1:
        raise InvalidJob("The learning rate must lie between 0 and 1.")
    for what, value, known in (
        ("optimiser", job.optimiser, OPTIMISERS),
        ("schedule", job.schedule_in_use, SCHEDULES),
        ("norm", job.norm, NORMS),
        ("box loss", job.box_loss, BOX_LOSSES),
    ):
        if value not in known:
            raise InvalidJob(f"The {what} is one of {', '.join(known)}, not '{value}'.")
    if job.schedule == "steady" and job.patience is None:
        raise InvalidJob("A steady learning rate needs patience: the epochs without improvement that end it.")
    if not 0 <= job.freeze_backbone <= job.epochs:
        raise InvalidJob("The backbone can be frozen for at most as many epochs as there are.")
    if not (job.clip_gradient > 0 and 0 <= (job.weight_decay or 0) < 1 and 0 <= job.ema_decay < 1):
        raise InvalidJob("Clipping must be positive; weight decay and averaging lie between 0 and 1.")
    if not (0 < job.focal_alpha < 1 and 0 <= job.focal_gamma <= 10):
        raise InvalidJob("The focal loss needs an alpha between 0 and 1 and a gamma between 0 and 10.")
    if job.seed < 0 or not 0 <= job.checkpoint_minutes < 1e6:
        raise InvalidJob("The seed and the minutes between checkpoints cannot be negative.")
    require_device(job.device)
    require_language(job.language)
