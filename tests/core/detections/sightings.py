"""Lattices of tiles, and what a detector sees in each, for tests of merging."""

import numpy as np

from core.detections.detections import Detections
from core.detections.suppression import nms


def lattice(rows, cols, tile, overlap):
    """Windows and views of a lattice that just covers its raster."""
    step = tile - overlap
    y, x = (a.ravel() * float(step) for a in np.mgrid[:rows, :cols])
    windows = np.stack([x, y, x + tile, y + tile], axis=1)
    whole = windows[-1, 2:]
    views = windows.copy()
    views[:, :2][windows[:, :2] == 0] = -np.inf
    views[:, 2:][windows[:, 2:] == whole] = np.inf
    return windows, views


def look(truth, window, rng=None, jitter=0.0, least=3.0):
    """What a detector sees in a tile: of each object the part inside, each side off by `jitter` of its size.

    The smaller the part, the lower the score.
    """
    low, high = np.maximum(truth.boxes[:, :2], window[:2]), np.minimum(truth.boxes[:, 2:], window[2:])
    seen = np.flatnonzero((high - low > least).all(axis=1))
    boxes = np.concatenate([low, high], axis=1)[seen]
    whole = (truth.boxes[seen, 2:] - truth.boxes[seen, :2]).prod(axis=1)
    scores = truth.scores[seen] * (0.5 + 0.5 * (high - low)[seen].prod(axis=1) / whole)
    if jitter:
        boxes = boxes + rng.normal(0, jitter, boxes.shape) * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
        boxes = np.clip(boxes, window[[0, 1, 0, 1]], window[[2, 3, 2, 3]])
        scores = np.clip(scores + rng.normal(0, 0.1, len(seen)), 0.05, 1).round(2)  # ties occur
    boxes = boxes - window[[0, 1, 0, 1]]
    found = Detections(boxes.astype(np.float32), scores, truth.labels[seen])
    return found.take(nms(found.boxes, found.scores, found.labels, 0.5))


def random_truth(rng, n, extent, kind):
    """Crowded objects from a twentieth of the extent up to all of it, of two classes."""
    sizes = {"small": (10, 40), "any": (10, extent)}[kind]
    side = np.exp(rng.uniform(*np.log(sizes), (n, 2)))
    corner = rng.uniform(-0.2, 1, (n, 2)) * extent
    boxes = np.clip(np.concatenate([corner, corner + side], axis=1), 0, extent)
    return Detections(boxes, rng.uniform(0.2, 1, n), rng.integers(0, 2, n))


def random_tiles(seed, rows=5, cols=4, tile=64, overlap=16):
    rng = np.random.default_rng(seed)
    windows, views = lattice(rows, cols, tile, overlap)
    truth = random_truth(rng, 150, windows[-1, 2:].max(), ["small", "any"][seed % 2])
    return windows, views, cols, [look(truth, w, rng, 0.08) for w in windows]


def as_set(*found):
    rows = [
        (*box, score, label)
        for d in found
        for box, score, label in zip(d.boxes.tolist(), d.scores.tolist(), d.labels.tolist(), strict=True)
    ]
    assert len(rows) == len(set(rows))
    return set(rows)
