"""Labelled images: which file, which objects, and which split each belongs to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from ..detections.detections import Detections

SHARES = {"train": 0.7, "val": 0.15, "test": 0.15}  # of the objects, where no split is given
CUT_SHARE = 0.05  # of a box, outside of the labelled area

Window = tuple[float, float, float, float]  # xyxy px of the file


@dataclass(frozen=True)
class LabelledImage:
    """One image file and the objects on it: boxes xyxy in px of the file, xmax and ymax exclusive; split "train",
    "val" or "test". `area`: polygons in px in which all objects are labelled; None: the whole image. `window`: the
    block that this is of the file; None: all of it. `source`: number of the source that it comes from."""

    path: Path
    truth: Detections
    split: str
    area: BaseGeometry | None = None
    window: Window | None = None
    source: int = 0


def within(truth: Detections, area: BaseGeometry) -> Detections:
    """Objects of an area, all in one frame: those that lie outside go, those that its border cuts are to ignore.

    An object is cut where 5 % or more of its box lie outside.
    """
    drawn = shapely.box(*truth.boxes.T)
    shapely.prepare(area)
    inside = shapely.contains_properly(area, drawn)
    share = np.where(inside, 1.0, 0.0)
    share[~inside] = shapely.area(shapely.intersection(drawn[~inside], area)) / shapely.area(drawn[~inside])
    ignore = share <= 1 - CUT_SHARE
    if truth.ignore is not None:
        ignore |= truth.ignore
    return Detections(truth.boxes, truth.scores, truth.labels, ignore).take(share > 0)
