"""The model card: one JSON in the header of one `.safetensors` file, read with `struct` and `json` alone.

The network is built from it and every default comes from it. Loading it runs no code.
"""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional  # Python 3.9 evaluates these hints at run time

from .codec import decode, encode, parse
from .errors import ModelError

CARD_KEY = "tilehawk"
FORMAT = 1
MAX_HEADER_BYTES = 100_000_000  # the limit of the safetensors format itself
HISTOGRAM_BINS = 64
BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
BAND_ROLES = ("red", "green", "blue", "nir", "gray", "other")
LEVELS = ("P2", "P3", "P4", "P5", "P6", "P7")


@dataclass(frozen=True)
class ObjectClass:
    """A kind of object the model finds. Its label is its place in `ModelCard.classes`, from 0."""

    name: str
    color: str = "#00e5ff"


@dataclass(frozen=True)
class Band:
    """One input band: its role, its range in source units, and its values after that range is mapped to 0-255."""

    role: str
    low: float = 0.0
    high: float = 255.0
    mean: float = 127.5
    std: float = 64.0
    histogram: tuple[int, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """The shape of the RetinaNet (Lin et al. 2017, sections 3, 4); defaults of torchvision's `retinanet_resnet50_fpn`.

    `backbone_stages`: 4 uses C2 to C5, 3 leaves out the last stage. `levels`: contiguous, P2 to P7; those beyond the
    last stage come from `extra_levels`: "p" strided convolutions from the last pyramid map, "c" from the last backbone
    map, "pool" a stride-2 subsampling without weights. `anchor_sizes`: base size in px, one a level; multiplied by each
    of `anchor_scales`. `anchor_ratios`: height over width. `integer_anchors`: sizes cut and corners rounded to whole
    px, as torchvision does. `strides`: "nominal" 2^level, or "torchvision"'s size // grid.
    """

    backbone: str = "resnet50"
    backbone_stages: int = 4
    backbone_norm: str = "batch"
    backbone_norm_eps: float = 1e-5
    levels: tuple[str, ...] = ("P3", "P4", "P5", "P6", "P7")
    extra_levels: str = "p"
    channels: int = 256
    head_channels: int = 256
    head_depth: int = 4
    head_norm: str = "none"
    anchor_sizes: tuple[float, ...] = (32.0, 64.0, 128.0, 256.0, 512.0)
    anchor_scales: tuple[float, ...] = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    integer_anchors: bool = True
    strides: str = "nominal"
    box_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    @property
    def anchors_per_cell(self) -> int:
        """Anchors at each cell of each level."""
        return len(self.anchor_scales) * len(self.anchor_ratios)

    @property
    def coarsest_stride(self) -> int:
        """Nominal stride of the coarsest level, px; tiles, overlaps and steps are multiples of it."""
        return 2 ** int(self.levels[-1][1:])

    def problems(self) -> list[str]:
        """Say what is impossible about this shape, one sentence each."""
        found = []
        if self.backbone not in BACKBONES:
            found.append(f"The backbone '{self.backbone}' is unknown; known are {', '.join(BACKBONES)}.")
        if self.backbone_stages not in (2, 3, 4):
            found.append("A backbone uses 2, 3 or 4 stages.")
        if self.backbone_norm not in ("batch", "group"):
            found.append("The backbone's norm is 'batch' or 'group'.")
        first = LEVELS.index(self.levels[0]) if self.levels and self.levels[0] in LEVELS else -1
        if first < 0 or self.levels != LEVELS[first : first + len(self.levels)]:
            found.append("Pyramid levels must follow one another, within P2 to P7.")
        elif int(self.levels[0][1:]) > self.backbone_stages + 1:
            found.append("The finest pyramid level must come from the backbone.")
        if self.extra_levels not in ("p", "c", "pool"):
            found.append("Extra levels come from 'p', 'c' or 'pool'.")
        if not all(1 <= n <= 4096 for n in (self.channels, self.head_channels)) or not 0 <= self.head_depth <= 16:
            found.append("Channels must lie between 1 and 4096 and the head's depth between 0 and 16.")
        if self.head_norm not in ("none", "group"):
            found.append("The head's norm is 'none' or 'group'.")
        if len(self.anchor_sizes) != len(self.levels):
            found.append("There must be one anchor size for each pyramid level.")
        values = (*self.anchor_sizes, *self.anchor_scales, *self.anchor_ratios, *self.box_weights)
        if not self.anchor_scales or not self.anchor_ratios or not all(0 < v < 1e6 for v in values):
            found.append("Anchor sizes, scales, ratios and box weights must be positive numbers.")
        if self.strides not in ("nominal", "torchvision"):
            found.append("Strides are 'nominal' or 'torchvision'.")
        return found


@dataclass(frozen=True)
class ModelCard:
    """What a model is, what it needs, and how well it does. Sizes in px of the model's own resolution."""

    name: str
    classes: tuple[ObjectClass, ...]
    bands: tuple[Band, ...]
    resolution_m: Optional[float]
    architecture: Architecture = field(default_factory=Architecture)
    title: str = ""
    description: str = ""
    tile_px: int = 512
    overlap_px: int = 128
    score_floor: float = 0.05
    threshold: float = 0.5
    nms_overlap: float = 0.5
    max_detections_per_tile: int = 2000
    credits: tuple[str, ...] = ()
    license: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    def label(self, class_name: str) -> int:
        """Label of a class by its name, whatever the case; raises ModelError with the names there are."""
        for label, known in enumerate(self.classes):
            if known.name.casefold() == class_name.strip().casefold():
                return label
        names = ", ".join(f"'{known.name}'" for known in self.classes)
        raise ModelError(f"The model '{self.name}' does not know the class '{class_name}'. It knows {names}.")

    def problems(self) -> list[str]:
        """Say what is impossible about this card, one sentence each."""
        found = self.architecture.problems()
        if not self.classes:
            found.append("The model has no classes.")
        names = [known.name.strip().casefold() for known in self.classes]
        if "" in names or len(set(names)) < len(names):
            found.append("Every class needs a name of its own.")
        if any(not re.fullmatch(r"#[0-9a-fA-F]{6}", known.color) for known in self.classes):
            found.append("Class colours are written as #rrggbb.")
        if not self.bands or any(band.role not in BAND_ROLES for band in self.bands):
            found.append(f"Band roles are {', '.join(BAND_ROLES)}.")
        if any(not band.high > band.low or not band.std > 0 for band in self.bands):
            found.append("Each band needs a range with low below high, and a positive standard deviation.")
        if self.resolution_m is not None and not 0 < self.resolution_m < 1e5:
            found.append("The resolution must be a positive number of metres.")
        if not (64 <= self.tile_px <= 8192 and 0 <= self.overlap_px <= self.tile_px // 2):
            found.append("The tile must lie between 64 and 8192 px, and the overlap can be at most half of it.")
        if self.max_detections_per_tile < 1:
            found.append("There must be room for at least one detection in a tile.")
        if not all(0 <= value <= 1 for value in (self.score_floor, self.threshold, self.nms_overlap)):
            found.append("Thresholds lie between 0 and 1.")
        return found


def read_card(path: str | Path) -> ModelCard:
    """Read the card of a model file without reading its weights.

    Raises ModelError with a sentence where the file is missing, is no safetensors file, or has no valid card.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= MAX_HEADER_BYTES or file.read(1) != b"{":
                raise ModelError(f"'{path.name}' is no model of Tilehawk: it is not a safetensors file.")
            header = parse(b"{" + file.read(length - 1))
    except OSError as problem:
        raise ModelError(f"The model '{path}' cannot be read: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise ModelError(f"'{path.name}' is no model of Tilehawk: its header is damaged.") from problem
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    text = metadata.get(CARD_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelError(
            f"'{path.name}' holds weights but no model card. Bring it in with: python -m core import '{path.name}'."
        )
    return card_from_json(text, path.name)


def card_from_json(text: str, source: str) -> ModelCard:
    """Parse and check a card; `source` names the file in the ModelError raised where it does not hold."""
    try:
        data = parse(text)
        newer = isinstance(data, dict) and isinstance(data.get("format"), int) and data["format"] > FORMAT
        if newer:
            raise ModelError(f"'{source}' was made by a newer Tilehawk. Update the plugin to use it.")
        card = decode(ModelCard, data)
    except ValueError as problem:
        raise ModelError(f"The model card of '{source}' is damaged: {problem}.") from problem
    problems = card.problems()
    if problems:
        raise ModelError(f"The model card of '{source}' does not hold. {problems[0]}")
    return card


def card_to_json(card: ModelCard) -> str:
    """Write a card as the JSON text that `card_from_json` reads."""
    return json.dumps(encode(card), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
