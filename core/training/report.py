"""The page of a trained model, beside its file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..accuracy.looks import Look
from ..accuracy.page import write_page
from ..accuracy.pictures import in_colour
from ..accuracy.training_report import training_page
from ..detections.detections import Detections
from ..job.card import ModelCard
from .pictures import Picture
from .samples import crop


def write_report(
    model: str,
    card: ModelCard,
    history: Sequence[Mapping[str, float]],
    found: Sequence[tuple[Picture, Detections]],
    split: str,
) -> str:
    """Write `<model>.html`, with the figures of each epoch and what the model found on a split's pictures.

    Returns its path; raises OutputError.
    """
    path = str(Path(model).with_suffix(".html"))
    looks = [look_of(picture, detections, card) for picture, detections in found]
    write_page(path, training_page(card, history, looks, split))
    return path


def look_of(picture: Picture, detections: Detections, card: ModelCard) -> Look:
    """A picture with what a model found on it, to be judged and shown."""
    fill = np.array([round(band.mean) for band in card.bands], np.uint8)
    roles = [band.role for band in card.bands]
    height, width = picture.values.shape[1:]

    def read(x: int, y: int, wide: int, high: int) -> np.ndarray:
        square = crop(picture.values, x, y, max(wide, high), fill)
        return in_colour(square[:, :high, :wide], roles)

    return Look(picture.name, detections, picture.truth, (width, height), read)
