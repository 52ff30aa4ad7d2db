"""Objects not yet decided: the boxes tiles show, with the view each was seen in, and what is told from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from .cells import intersection, iou, solid
from .detections import Detections
from .lattice import Lattice

AGREE_IOU = 0.5
# A side this near to the edge of its view, px or as a part of the box's width or height across it, is cut. Where an
# object goes on beyond a tile's edge, boxes of the bundled pool model end before it by (tests/benchmarks/seams.py):
#     as they are, 601 sides:          median .3 px, 95 % 1.2 px, 99 % 1.8 px; 2 px or 20 % hold 99.5 %
#     enlarged three times, 272 sides: median .3 px, 95 % 6.3 px; 2 px or 20 % hold 96 %, 15 % 94 %
# Wider margins take more whole objects near an edge for parts.
CUT_PX = 2.0
CUT_PART = 0.2


@dataclass(frozen=True, eq=False)
class Waiting:
    """Objects that tiles still to come may change, as columns that `numpy.savez` takes.

    Per object (N): `boxes` and `views` (N, 4) float64 in the grid frame, `scores`, `labels`. Per part (M), a box that
    one tile shows: `part_of`, its object; `part_tile`; `part_boxes` (M, 4); `part_faces` (M, 4) bool, the sides on
    which it is cut and the next tile is still to come.
    """

    boxes: np.ndarray
    views: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    part_of: np.ndarray
    part_tile: np.ndarray
    part_boxes: np.ndarray
    part_faces: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, which: np.ndarray) -> Waiting:
        """Keep the objects of a mask (N,), with their parts."""
        kept, parts = np.flatnonzero(which), np.flatnonzero(which[self.part_of])
        number = np.cumsum(which) - 1
        return Waiting(
            *(column.take(kept, axis=0) for column in (self.boxes, self.views, self.scores, self.labels)),
            number[self.part_of[parts]],
            *(column.take(parts, axis=0) for column in (self.part_tile, self.part_boxes, self.part_faces)),
        )

    @staticmethod
    def concatenate(parts: Sequence[Waiting]) -> Waiting:
        """Put several side by side, nothing joined yet."""
        columns = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Waiting)}
        before = np.cumsum([0, *(len(part) for part in parts[:-1])])
        columns["part_of"] = np.concatenate([part.part_of + n for part, n in zip(parts, before, strict=True)])
        return Waiting(**columns)


def as_waiting(shown: Sequence[tuple[int, Detections]], lattice: Lattice) -> Waiting:
    """Take what some tiles show, boxes in their own frames; each box is an object of one part."""
    tiles = np.array([tile for tile, _ in shown], np.int64)
    place = np.repeat(np.arange(len(shown)), [len(detections) for _, detections in shown])
    seen = Detections.concatenate([detections for _, detections in shown])
    tile = tiles[place]
    window = lattice.windows.take(tile, axis=0)
    boxes = intersection(seen.boxes + window.take([0, 1, 0, 1], axis=1), window)
    shows = solid(boxes)
    if not shows.all():
        seen, boxes, place, tile = seen.take(shows), boxes[shows], place[shows], tile[shows]
    views, beyond = lattice.views.take(tile, axis=0), lattice.neighbours(tiles) >= 0
    return Waiting(
        boxes,
        views,
        seen.scores.astype(np.float64),
        seen.labels.astype(np.int64),
        np.arange(len(boxes)),
        tile,
        boxes,
        cut_sides(boxes, views) & beyond.take(place, axis=0),
    )


def cut_sides(boxes: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Sides (N, 4) bool of boxes that lie at the edge of what was seen of them."""
    margin = np.maximum(CUT_PX, CUT_PART * (boxes[:, 2:] - boxes[:, :2]))
    cut = np.empty(boxes.shape, bool)
    np.less_equal(boxes[:, :2] - views[:, :2], margin, out=cut[:, :2])
    np.less_equal(views[:, 2:] - boxes[:, 2:], margin, out=cut[:, 2:])
    return cut


def agreement(boxes: np.ndarray, views: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """IoU of boxes i and j, both clipped to what both views show."""
    common = intersection(views.take(i, axis=0), views.take(j, axis=0))
    return iou(intersection(boxes.take(i, axis=0), common), intersection(boxes.take(j, axis=0), common))
