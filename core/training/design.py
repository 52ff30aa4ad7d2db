"""The network's shape: that of the start, or of the job with anchors fitted to the objects; and the model's card."""

import platform
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
import torchvision

from ..job.card import Architecture, ModelCard, ObjectClass
from ..job.errors import InvalidJob
from ..job.events import Report, notice
from ..job.train_job import TrainJob
from ..retinanet.cost import operations
from .anchor_fit import RATIOS, AnchorFit, coverage, fit_anchors, summary, told
from .preparation import Prepared
from .start import NORM_EPS, Start
from .suppression import suppression_overlap

FEW = 0.7  # share of the objects that anchors reach, below which training is expected to suffer
FEW_TILES = 8  # a batch, below which batch norm's statistics are too poor
PALETTE = ("#00e5ff", "#ff3d9a", "#ffd400", "#7cff4f", "#ff7a1a", "#b388ff", "#ff5252", "#f4f4f4")
SHAPE = ("backbone", "backbone_stages", "channels", "head_channels", "head_depth", "head_norm")


def design(job: TrainJob, prepared: Prepared, start: Start | None, report: Report) -> tuple[ModelCard, dict[str, Any]]:
    """Make the card of the model to be trained; gives also how its anchors fit, as the `anchors` event tells it.

    Raises InvalidJob where such a model cannot be.
    """
    base = _base(job, start, report)
    shape, anchors = _with_anchors(job, prepared, base, start, report)
    name = job.name or Path(job.output).stem
    card = ModelCard(
        name=name,
        title=job.title or name,
        description=job.description,
        classes=tuple(ObjectClass(c, PALETTE[i % len(PALETTE)]) for i, c in enumerate(prepared.labelled.classes)),
        bands=prepared.bands if start is None else start.scaled(prepared.bands),
        resolution_m=prepared.labelled.resolution_m,
        architecture=shape,
        nms_overlap=suppression_overlap(prepared.pictures["train"]),
        credits=job.credits,
        license=job.license,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    )
    _check(card.problems())
    return card, anchors


def _base(job: TrainJob, start: Start | None, report: Report) -> Architecture:
    """The shape but for levels and anchors: the job's, or that of the network it starts from."""
    norm = {"auto": "group" if job.batch_size < FEW_TILES else "batch"}.get(job.norm, job.norm)
    asked = Architecture(
        **{name: getattr(job, name) for name in SHAPE},
        backbone_norm=norm,
        extra_levels="pool" if job.backbone_stages < 4 else "p",
        anchor_scales=job.anchor_scales,
        anchor_ratios=job.anchor_ratios or Architecture().anchor_ratios,
        integer_anchors=False,
    )
    if start is None:
        return asked
    theirs = start.card.architecture
    if job.norm == "auto":
        asked = replace(asked, backbone_norm=theirs.backbone_norm)
    if start.of_backbone:
        return asked
    defaults = {field.name: field.default for field in fields(TrainJob)}
    for name in SHAPE:
        if getattr(job, name) not in (getattr(theirs, name), defaults[name]):
            text = f"The network is that of '{start.name}', which has {name.replace('_', ' ')} {getattr(theirs, name)}."
            report(notice(text, "warning"))
    return replace(
        asked,
        **{name: getattr(theirs, name) for name in SHAPE},
        backbone_norm_eps=theirs.backbone_norm_eps or NORM_EPS,
        extra_levels=theirs.extra_levels,
        anchor_ratios=job.anchor_ratios or theirs.anchor_ratios,
    )


def _with_anchors(
    job: TrainJob, prepared: Prepared, base: Architecture, start: Start | None, report: Report
) -> tuple[Architecture, dict[str, Any]]:
    """Levels and anchors as given, as the start's where those reach the objects, or fitted; and how they fit."""
    sizes, levels, base_sizes = prepared.sizes, job.levels, job.anchor_sizes
    if start is not None and not start.of_backbone and levels is None:
        theirs = start.card.architecture
        kept = replace(base, levels=theirs.levels, anchor_sizes=theirs.anchor_sizes)
        if coverage(sizes, kept).reached >= FEW:
            levels, base_sizes = kept.levels, kept.anchor_sizes
    if levels is not None and base_sizes is not None:
        shape = replace(base, levels=levels, anchor_sizes=base_sizes)
        _check(shape.problems())
        fit = AnchorFit(shape, coverage(sizes, shape), operations(shape) / operations(base))
    else:
        if levels is not None:
            _check(replace(base, levels=levels, anchor_sizes=(1.0,) * len(levels)).problems())
        fit = fit_anchors(sizes, base, levels, () if job.anchor_ratios else RATIOS)
    values = summary(sizes, fit, base)
    report({"event": "anchors", **values})
    report(notice(told(values)))
    if fit.coverage.reached < FEW:
        text = (
            f"Anchors reach only {fit.coverage.reached:.0%} of the objects: many of the others will be missed. A finer "
            "resolution, or levels from P2 on, would help."
        )
        report(notice(text, "warning"))
    return fit.architecture, values


def _check(problems: list[str]) -> None:
    if problems:
        raise InvalidJob(f"This model cannot be made. {problems[0]}")
