"""How good a network is on whole validation images."""

import numpy as np

from ..accuracy.metrics import Assessment
from ..detections.detections import Detections
from ..detections.merging import Merger
from ..imagery.grid import Grid
from ..imagery.tiles import plan_tiles
from ..retinanet.detector import Detector
from .pictures import Picture
from .samples import crop

SMALL_PX = 16  # median side under which an object is small, and figures at IoU 0.3 decide
MOST_PX = 1024  # side of the largest image that is looked at in one piece
FLOOR_SHARE = 0.2  # of the score floor: average precision asks for weak detections too


def object_sizes(pictures: list[Picture]) -> np.ndarray:
    """Widths and heights (N, 2) px of the objects that are not ignored."""
    truths = [picture.truth for picture in pictures]
    drawn = [truth.boxes if truth.ignore is None else truth.boxes[~truth.ignore] for truth in truths]
    boxes = np.concatenate([np.zeros((0, 4)), *drawn])
    return boxes[:, 2:] - boxes[:, :2]


def median_side(pictures: list[Picture]) -> float:
    """Median side of the objects, px: the square root of their boxes' areas; 0 where there are none."""
    sizes = object_sizes(pictures)
    return float(np.median(np.sqrt(sizes.prod(axis=1)))) if len(sizes) else 0.0


def decisive_iou(side_px: float) -> float:
    """IoU at which figures decide for objects of this side: 0.3 under 16 px, for a 12 px box shifted by 2 px both
    ways is down to 0.53 already; 0.5 otherwise."""
    return 0.3 if side_px < SMALL_PX else 0.5


def look_at(detector: Detector, picture: Picture, fill: np.ndarray) -> Detections:
    """Detections on a whole picture; on a large one as `detect` finds them, in overlapping tiles."""
    card = detector.card
    floor = card.score_floor * FLOOR_SHARE
    height, width = picture.values.shape[1:]
    if max(height, width) <= MOST_PX:
        return detector(picture.values[:, :, :][None], floor, card.nms_overlap)[0]
    grid = Grid(width, height, (1.0, 0.0, 0.0, 0.0, -1.0, 0.0))
    plan = plan_tiles(grid, card.tile_px, card.overlap_px, card.architecture.coarsest_stride)
    merger = Merger(plan.views(), plan.windows(), plan.cols)
    for index in plan.indexes().tolist():
        tile = crop(picture.values, *plan.window(index)[:2], plan.tile_px, fill)
        merger.add(index, detector(tile[None], floor, card.nms_overlap)[0])
    return merger.finish()


def figures(found: list[tuple[Detections, Detections]], iou: float) -> dict[str, float]:
    """AP at IoU 0.3, 0.5 and 0.5 to 0.95, and at `iou` the best threshold with its precision, recall and F1."""
    assessment = Assessment(found)
    best = assessment.best_threshold(iou)
    threshold = 0.5 if np.isnan(best) else best
    counts = assessment.counts(threshold, iou)
    values = {
        "ap30": assessment.average_precision(0.3),
        "ap50": assessment.average_precision(0.5),
        "ap50_95": assessment.average_precision_50_95(),
        "threshold": threshold,
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
    }
    return {name: 0.0 if np.isnan(value) else round(float(value), 4) for name, value in values.items()}
