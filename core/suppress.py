"""The verb `suppress`: of a layer's polygons that cover one another, keep the best, per class and then across classes.

As ArcGIS Pro's Non Maximum Suppression does (its 'max overlap ratio' is our `overlap`), with a step across classes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from .detections.copying import copied, layer_fields
from .detections.shapes import likeness
from .detections.suppression import nms
from .detections.vectors import require_writable
from .imagery.area import layer_source
from .job.errors import Cancelled, LabelError
from .job.events import Report, progress
from .job.suppress_job import SuppressJob

CLASS_FIELDS = ("class", "label", "category", "class_name", "classname")
SCORE_FIELDS = ("score", "confidence")


def suppress(job: SuppressJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Suppress, and write what stays with all its fields; gives the values of the result event.

    A polygon is dropped where its IoU with a better kept one is larger than `job.overlap` (of its class) or, of those
    that stay then, `job.across` (of any class). Equal scores rank in the layer's order; a missing score ranks last.
    What has no area stays. Raises TilehawkError, Cancelled among them.
    """
    job.validate()
    started = time.monotonic()
    (path, options), target = layer_source(job.layer), Path(job.output)

    def step(done: float, text: str) -> None:
        if cancelled():
            raise Cancelled
        report(progress(done, text))

    step(0.0, "Reading the layer")
    crs, fields = layer_fields(path, options)
    require_writable(target, crs)
    class_field = _field(job.class_field, CLASS_FIELDS, fields, job.layer)
    score_field = _field(job.score_field, SCORE_FIELDS, fields, job.layer)
    if score_field is None:
        raise LabelError(f"'{job.layer}' has no field of scores that tells which of two objects is better. Name it.")
    with copied(path, options, crs, target) as copy:
        step(0.4, "Comparing")
        shapes, columns = copy.read([name for name in (class_field, score_field) if name])
        scores = _numbers(columns[score_field], score_field)
        labels = _labels(columns[class_field]) if class_field else np.zeros(len(shapes), np.int64)
        bounds, alike = shapely.bounds(shapes).reshape(-1, 4), likeness(shapes)
        best = nms(bounds, scores, labels, job.overlap, alike)
        at_all = nms(bounds[best], scores[best], np.zeros_like(best), job.across, lambda i, j: alike(best[i], best[j]))
        kept = np.zeros(len(shapes), bool)
        kept[best[at_all]] = True
        step(0.6, "Writing")
        copy.write(kept)
    report(progress(1.0, "Done"))
    return {
        "output": job.output,
        "objects": int(kept.sum()),
        "dropped": len(kept) - len(best),
        "dropped_across": len(best) - len(at_all),
        "class_field": class_field,
        "score_field": score_field,
        "seconds": round(time.monotonic() - started, 1),
    }


def _field(wanted: str | None, usual: tuple[str, ...], fields: list[str], layer: str) -> str | None:
    """Find a field in any case: the one wanted, else the first of the usual names; None where there is none."""
    known = {name.casefold(): name for name in reversed(fields)}
    if wanted is None:
        return next((known[name] for name in usual if name in known), None)
    if wanted.casefold() not in known:
        raise LabelError(f"'{layer}' has no field '{wanted}'. It has {', '.join(fields) or 'none'}.")
    return known[wanted.casefold()]


def _numbers(values: np.ndarray, field: str) -> np.ndarray:
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as problem:
        raise LabelError(f"The field '{field}' holds no numbers to rank objects by.") from problem


def _labels(values: np.ndarray) -> np.ndarray:
    """Number the classes; objects without one are a class of their own."""
    _, labels = np.unique(values.astype(str), return_inverse=True)
    return labels.reshape(-1)
