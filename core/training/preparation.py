"""From a job to what can be learnt from: pictures by split, the bands' ranges and statistics, what figures decide."""

from dataclasses import dataclass

import numpy as np

from ..job.card import Band
from ..job.errors import LabelError
from ..job.events import Report, notice
from ..job.train_job import TrainJob
from .blocks import small_samples
from .formats.records import SPLITS
from .formats.repairs import Repairs
from .pictures import Picture, load_pictures, with_ranges, with_statistics
from .sources import Labelled, read_sources, unlimited
from .validation import decisive_iou, median_side, object_boxes, object_sizes

MOST_CHOSEN_PX = 40_000_000  # looked at after every epoch
MOST_TESTED_PX = 400_000_000


@dataclass(frozen=True)
class Prepared:
    """Imagery and labels as a training needs them.

    `pictures`: by split, "train", "val" and "test". `bands`: with ranges, mean, deviation and histogram. `iou`: at
    which figures decide. `counts`: objects by split.
    """

    labelled: Labelled
    bands: tuple[Band, ...]
    pictures: dict[str, list[Picture]]
    counts: dict[str, int]
    iou: float

    @property
    def has_choice(self) -> bool:
        """Whether pictures with objects are set aside to choose the best epoch."""
        return self.counts["val"] > 0

    @property
    def choosing(self) -> list[Picture]:
        """Pictures that choose the best epoch."""
        return limited(self.pictures["val" if self.has_choice else "train"], MOST_CHOSEN_PX)

    @property
    def testing(self) -> list[Picture]:
        """Pictures that test the model in the end; none where they hold no object."""
        return limited(self.pictures["test"], MOST_TESTED_PX) if self.counts["test"] else []

    @property
    def sizes(self) -> np.ndarray:
        """Widths and heights (N, 2) px of the objects of all splits but the test's."""
        return object_sizes([*self.pictures["train"], *self.pictures["val"]])

    @property
    def fill(self) -> np.ndarray:
        """Values uint8 (C,) of what lies outside of a picture."""
        return np.array([round(band.mean) for band in self.bands], np.uint8)


def prepare(job: TrainJob, report: Report) -> Prepared:
    """Read and check the labels, part them, and open the imagery; says what was repaired and what is scarce.

    Raises LabelError and RasterError.
    """
    repairs = Repairs()
    labelled = read_sources(job, repairs)
    for sentence in [*repairs.sentences(), *unlimited(job)]:
        report(notice(sentence, "warning"))
    for sentence, level in labelled.notices:
        report(notice(sentence, level))
    bands = tuple(Band(role) for role in job.band_roles)
    if not any(len(image.truth) for image in labelled.images if image.split == "train"):
        raise LabelError("There is no object to train on: the split 'train' is empty.")
    bands = with_ranges(bands, labelled.images, job.bands, labelled.resolution_m)
    loaded = load_pictures(labelled.images, bands, job.bands, labelled.resolution_m, len(labelled.classes))
    pictures = {split: [picture for picture in loaded if picture.split == split] for split in SPLITS}
    counts = {split: len(object_sizes(found)) for split, found in pictures.items()}
    if not counts["train"]:
        raise LabelError("There is no object to train on: the split 'train' is empty.")
    iou = decisive_iou(median_side(pictures["train"]))
    prepared = Prepared(labelled, with_statistics(bands, pictures["train"]), pictures, counts, iou)
    if not prepared.has_choice:
        text = (
            "No images with objects are set aside to choose the best epoch: figures are those of the training images "
            "and flatter the model."
        )
        report(notice(text, "warning"))
    for sentence in small_samples(counts):
        report(notice(sentence, "warning"))
    return prepared


def limited(pictures: list[Picture], most_px: int) -> list[Picture]:
    """As many pictures as fit in so many px, those with objects and without as often as they come; always the same."""
    sizes = np.array([picture.values.shape[1] * picture.values.shape[2] for picture in pictures])
    if sizes.sum() <= most_px:
        return pictures
    order = np.random.default_rng(0).permutation(len(pictures))
    first = next(i for i in order.tolist() if len(object_boxes(pictures[i]))) if pictures else 0
    order = np.array([first, *order[order != first].tolist()])
    kept = order[: max(1, int((np.cumsum(sizes[order]) <= most_px).sum()))]
    return [pictures[i] for i in sorted(kept.tolist())]
