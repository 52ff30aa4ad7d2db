"""The verb `export`: a raster and a layer of labels, to chips in a format of the field."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .job.errors import LabelError
from .job.events import Report, notice
from .job.label_jobs import ExportJob
from .training.chips import Chipping, export_chips
from .training.formats.checking import check
from .training.formats.layers import Layer, read_layer
from .training.formats.repairs import Repairs


def export(job: ExportJob, report: Report, cancelled: Callable[[], bool]) -> dict[str, Any]:
    """Cut a raster into chips with their labels; gives the values of the result event."""
    job.validate()
    started = time.monotonic()
    layer = Layer(
        path=job.labels,
        class_field=job.class_field,
        class_name=job.class_name,
        size_m=job.size_m,
        size_field=job.size_field,
        ignore_field=job.ignore_field,
        area=job.area,
    )
    repairs = Repairs()
    records = read_layer(layer, Path(job.raster), repairs)
    images, classes = check(records, job.classes, repairs)
    for sentence in repairs.sentences():
        report(notice(sentence, "warning"))
    chipping = Chipping(job.tile_px, job.step_px or job.tile_px, job.empty, job.least_visible)
    written = export_chips(images, classes, Path(job.output), job.format, chipping, report, cancelled)
    if written.left_out:
        text = f"Objects to ignore were left out, for this format has no mark for them: {written.left_out:,}."
        report(notice(text, "warning"))
    if not written.chips:
        raise LabelError("No chip was written: no object lies on the raster, within the area.")
    return {
        "output": job.output,
        "format": job.format,
        "chips": written.chips,
        "objects": written.objects,
        "classes": list(classes),
        "seconds": round(time.monotonic() - started, 1),
    }
