"""How good a network is on whole validation images."""

from typing import Any

import numpy as np

from ..accuracy.metrics import Assessment
from ..detections.detections import Detections
from ..detections.merging import Merger
from ..imagery.grid import Grid
from ..imagery.tiles import plan_tiles
from ..job.card import ModelCard
from ..job.events import MAX_BOXES_PER_EVENT, Report
from ..retinanet.detector import Detector
from ..retinanet.device import Backend
from ..retinanet.network import RetinaNetwork
from .pictures import Picture
from .samples import crop

SMALL_PX = 16  # median side under which an object is small, and figures at IoU 0.3 decide
MOST_PX = 1024  # side of the largest image that is looked at in one piece
SHOWN_PX = 512  # side of the window whose detections are told after each epoch
FLOOR_SHARE = 0.2  # of the score floor: average precision asks for weak detections too


def object_sizes(pictures: list[Picture]) -> np.ndarray:
    """Widths and heights (N, 2) px of the objects that are not ignored."""
    boxes = np.concatenate([np.zeros((0, 4)), *map(object_boxes, pictures)])
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


class Judge:
    """Looks at the pictures that choose, and tells what is seen on one window of them. Calls give figures by name."""

    def __init__(
        self, card: ModelCard, backend: Backend, pictures: list[Picture], iou: float, fill: np.ndarray, report: Report
    ) -> None:
        self.card, self.backend, self.pictures, self.iou, self.fill = card, backend, pictures, iou, fill
        self._report = report
        self._shown = max(pictures, key=lambda picture: len(object_boxes(picture)))
        self._window = _busiest(self._shown)

    def __call__(self, network: RetinaNetwork) -> dict[str, float]:
        """Figures of a network on all pictures; the window is told as a `sample` event."""
        detector = Detector(self.card, network, self.backend)
        found = [(look_at(detector, picture, self.fill), picture.truth) for picture in self.pictures]
        values = figures(found, self.iou)
        index = next(i for i, picture in enumerate(self.pictures) if picture is self._shown)
        self._report(self._sample(found[index][0], values["threshold"]))
        return values

    def _sample(self, found: Detections, threshold: float) -> dict[str, Any]:
        """The `sample` event: what is found in the window at the best threshold, and what is there."""
        picture, window = self._shown, self._window
        seen = found.take(_inside(found.boxes, window) & (found.scores >= threshold))
        best = np.argsort(-seen.scores, kind="stable")[:MAX_BOXES_PER_EVENT]
        seen, truth = seen.take(best), object_boxes(picture)
        return {
            "event": "sample",
            "image": picture.path,
            "crs": picture.crs,
            "extent": picture.to_map(window[None])[0].tolist(),
            "boxes": picture.to_map(seen.boxes.astype(np.float64)).tolist(),
            "scores": seen.scores.round(4).tolist(),
            "labels": seen.labels.tolist(),
            "truth": picture.to_map(truth[_inside(truth, window)][:MAX_BOXES_PER_EVENT]).tolist(),
        }


def object_boxes(picture: Picture) -> np.ndarray:
    """Boxes (N, 4) of the objects that are not ignored."""
    truth = picture.truth
    return truth.boxes if truth.ignore is None else truth.boxes[~truth.ignore]


def _inside(boxes: np.ndarray, window: np.ndarray) -> np.ndarray:
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centres >= window[:2]) & (centres < window[2:])).all(axis=1)


def _busiest(picture: Picture) -> np.ndarray:
    """The window xyxy, at most 512 px wide, around an object of a picture that shows most objects."""
    boxes, (height, width) = object_boxes(picture), picture.values.shape[1:]
    side = np.minimum(SHOWN_PX, [width, height])
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 if len(boxes) else np.array([[width, height]]) / 2
    corners = (centres[:200] - side / 2).clip(0, [width, height] - side).round()
    windows = np.hstack([corners, corners + side])
    return max(windows, key=lambda window: _inside(boxes, window).sum())
