"""What a model finds on one image, as values and as a picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from .accuracy.page import figure
from .accuracy.pictures import FOUND, Outline, in_colour, picture
from .accuracy.plots import Plot
from .detections.detections import Detections
from .imagery.raster import open_raster
from .job.card import ModelCard
from .job.errors import InvalidJob

LARGEST_PX = 100_000_000  # of an image that is taken whole
SIDE = 600  # px on the page


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was found on an image: `boxes` (N, 4) xmin, ymin, xmax, ymax in px of the image, best first; class names
    and scores (N,). Unpacks to boxes, labels and, where they were asked for, scores."""

    boxes: np.ndarray
    labels: tuple[str, ...]
    scores: np.ndarray | None
    plot: Plot | None = None

    def __iter__(self) -> Iterator[Any]:
        return iter((self.boxes, self.labels) if self.scores is None else (self.boxes, self.labels, self.scores))

    def __len__(self) -> int:
        return len(self.boxes)

    def _repr_html_(self) -> str | None:
        return None if self.plot is None else self.plot.html


def values_of(image: str | Path | np.ndarray, card: ModelCard) -> tuple[np.ndarray, Affine | None]:
    """Values (C, H, W) of an image at a model's resolution, and the affine to px of its file, None where equal.

    Raises RasterError and InvalidJob.
    """
    bands = len(card.bands)
    if isinstance(image, np.ndarray):
        values = image if image.ndim == 3 and image.shape[0] == bands else np.moveaxis(image, -1, 0)
        if values.ndim != 3 or values.shape[0] != bands or values.dtype != np.uint8:
            raise InvalidJob(f"An image is uint8 (C, H, W) or (H, W, C) with {bands} bands, values 0-255.")
        return np.ascontiguousarray(values), None
    with open_raster(str(image), card.bands, card.resolution_m) as raster:
        width, height = raster.grid.width, raster.grid.height
        if width * height > LARGEST_PX:
            raise InvalidJob(f"'{raster.name}' is too large to be taken whole: save the model and use detect.")
        return raster.read(0, 0, width, height)[0], raster.to_source


def in_file_px(boxes: np.ndarray, to_source: Affine | None) -> np.ndarray:
    """Boxes (N, 4) xyxy of the model's grid in px of the file, float64."""
    boxes = boxes.astype(np.float64)
    if to_source is None:
        return boxes
    corners = [np.stack(to_source @ (boxes[:, i], boxes[:, j]), axis=1) for i in (0, 2) for j in (1, 3)]
    every = np.stack(corners, axis=1)
    return np.concatenate([every.min(axis=1), every.max(axis=1)], axis=1)


def shown(values: np.ndarray, found: Detections, card: ModelCard) -> Plot:
    """Draw detections, in px of values uint8 (C, H, W), on them."""
    boxes = [
        Outline(tuple(box), FOUND, text=f"{score:.2f}")
        for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    ]
    seen = in_colour(values, [band.role for band in card.bands])
    return Plot("Prediction", [figure(picture(seen, [boxes], SIDE))])
