"""A trained model on one page: how it learnt, how good it is and where it fails, what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..job.card import ModelCard
from .charts import COLORS, Line, Mark, line_chart, size_histogram
from .looks import Look
from .page import facts, figure, page, paragraph, row, section, table
from .report import accuracy_parts

SPLITS = {
    "train": "the training images",
    "val": "the images set aside to choose the best epoch",
    "test": "the test images",
}
FIGURES = {
    "ap30": "AP at IoU 0.3",
    "ap50": "AP at IoU 0.5",
    "ap50_95": "AP at IoU 0.5 to 0.95",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}
TOLD_ELSEWHERE = ("anchors", "recipe", "history", "labels", "areas", "seconds", "sources", "compared")
MOST_LETTERS = 600  # of one value


def training_page(card: ModelCard, history: Sequence[Mapping[str, float]], looks: Sequence[Look], split: str) -> str:
    """The page of a model: `history` holds the figures of each epoch, `looks` what it found on a split's images.

    IoU, figures and test figures come from the card's metrics, sizes and anchors from its training.
    """
    iou = float(card.metrics.get("iou", 0.5))
    classes = [known.name for known in card.classes]
    parts = [paragraph(card.description)]
    if looks:
        parts += [_whose(split), *accuracy_parts(looks, classes, iou, card.threshold)]
    parts += [
        _comparison(card),
        _intervals(card),
        section("Training", row(learning_curves(history, card.metrics.get("epoch")))),
        _sizes(card.training.get("anchors") or {}),
        section("Model", facts(_model(card))),
        section("Training data", facts(_data(card))),
        section("Settings", facts(_told(card.training.get("recipe") or {}))),
    ]
    return page(card.title or card.name, parts)


def _whose(split: str) -> str:
    if split == "train":
        return paragraph("Figures are those of the training images themselves: they flatter the model.", "warning")
    return paragraph(f"Figures are those of {SPLITS.get(split, split)}; the model has not learnt from them.", "soft")


def _intervals(card: ModelCard) -> str:
    """Figures of the test images with their intervals, where the card has them."""
    test = card.metrics.get("test")
    if not isinstance(test, Mapping):
        return ""
    intervals = test.get("intervals") or {}
    rows = []
    for key, name in FIGURES.items():
        if isinstance(test.get(key), (int, float)):
            low, high = intervals.get(key, (None, None))
            between = "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"
            rows.append((name, f"{test[key]:.3f}", between))
    note = (
        "Figures of the images kept for the test, which neither trained nor chose anything. The interval holds 95 % of "
        "the figures that other draws of the same blocks of ground would give (bootstrap by block)."
    )
    return section("Test", paragraph(note, "soft"), table(("", "value", "95 % interval"), rows)) if rows else ""


def _comparison(card: ModelCard) -> str:
    """The old model and the new one on the same test images, where the card has both."""
    compared = card.metrics.get("compared")
    if not isinstance(compared, Mapping):
        return ""
    old, new, bounds = compared["old"], compared["new"], compared["intervals"]
    rows = []
    for key, difference in compared["difference"].items():
        low, high = bounds.get(key, (None, None))
        between = "–" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"
        rows.append((FIGURES[key], f"{old[key]:.3f}", f"{new[key]:.3f}", f"{difference:+.3f}", between))
    for key, name in (("found", f"objects found, of {compared['objects']:,}"), ("wrong", "wrong detections")):
        rows.append((name, f"{old[key]:,}", f"{new[key]:,}", f"{new[key] - old[key]:+,}", ""))
    note = (
        f"The old model, {compared['model']}, and the new one on the same {compared['images']:,} test images, from "
        "which neither this training nor its choices have learnt. F1 and counts are at each model's threshold and an "
        f"IoU of {compared['iou']:g}. The interval holds 95 % of the differences that other draws of the same blocks "
        "of ground would give (paired bootstrap by block): where it holds 0, the difference may be chance."
    )
    worse = compared["difference"][compared["decides"]] < 0
    return section(
        "Old model and new",
        paragraph("The new model is worse than the old one.", "warning") if worse else "",
        paragraph(note, "soft"),
        table(("", "old", "new", "difference", "95 % interval"), rows),
    )


def learning_curves(history: Sequence[Mapping[str, float]], best: float | None) -> list[str]:
    """Figures of the losses and of the accuracy over the epochs; `best`: the epoch whose weights are kept."""
    epochs = np.array([epoch.get("epoch", i + 1) for i, epoch in enumerate(history)], float)
    if not len(epochs):
        return []

    def line(key: str, name: str, color: int) -> list[Line]:
        values = np.array([epoch.get(key, np.nan) for epoch in history], float)
        return [Line(name, epochs, values, COLORS[color])] if np.isfinite(values).any() else []

    losses = [*line("focal_loss", "classes (focal loss)", 0), *line("box_loss", "boxes", 1)]
    scores = [
        *line("ap30", "AP at IoU 0.3", 0),
        *line("ap50", "AP at IoU 0.5", 1),
        *line("ap50_95", "AP at IoU 0.5 to 0.95", 2),
        *line("f1", "F1", 3),
    ]
    marks = [] if best is None else [Mark(float(best), None, f"best: epoch {best:g}")]
    span = (float(epochs.min()), float(max(epochs.max(), epochs.min() + 1)))
    drawn = []
    if losses:
        drawn.append(figure(line_chart(losses, "epoch", "loss", span), "Loss on the training crops."))
    if scores:
        told = "Figures on the images that choose the best epoch."
        drawn.append(figure(line_chart(scores, "epoch", "share", span, (0.0, 1.0), marks), told))
    return drawn


def _sizes(anchors: Mapping[str, Any]) -> str:
    """The objects' sizes and the anchors, as the anchor fit tells them."""
    histogram, chosen, default = (anchors.get(key) or {} for key in ("histogram", "chosen", "default"))
    if not histogram.get("counts") or not chosen.get("sizes"):
        return ""
    sides = [size * scale for size in chosen["sizes"] for scale in chosen.get("scales", (1.0,))]
    told = (
        f"{anchors['objects']:,} objects, {anchors['median_px']:g} px wide in the median. The anchors reach "
        f"{chosen['reached']:.0%} of them at IoU 0.5"
    )
    told += f"; the default ones would reach {default['reached']:.0%}." if "reached" in default else "."
    drawn = figure(size_histogram(histogram["edges_px"], histogram["counts"], sides))
    rows = {
        "Pyramid levels": ", ".join(chosen.get("levels", ())),
        "Base sizes": ", ".join(f"{size:g} px" for size in chosen["sizes"]),
        "Scales": ", ".join(f"{scale:g}" for scale in chosen.get("scales", ())),
        "Ratios (height over width)": ", ".join(f"{ratio:g}" for ratio in chosen.get("ratios", ())),
        "Cost against the default": f"{chosen['cost']:.2f} times" if "cost" in chosen else "",
    }
    return section("Sizes and anchors", paragraph(told), row([drawn, facts(rows)]))


def _model(card: ModelCard) -> dict[str, str]:
    shape = card.architecture
    return {
        "Name": card.name,
        "Finds": ", ".join(known.name for known in card.classes),
        "Bands": ", ".join(band.role for band in card.bands),
        "Resolution": "any" if card.resolution_m is None else f"{card.resolution_m:g} m a pixel",
        "Network": f"RetinaNet on {shape.backbone}, {shape.levels[0]} to {shape.levels[-1]}",
        "Threshold": f"{card.threshold:g}, the score of the highest F1 on the images that chose the epoch",
        "Licence": card.license,
        "Versions": ", ".join(f"{name} {version}" for name, version in card.versions.items()),
    }


def _data(card: ModelCard) -> dict[str, str]:
    training = card.training
    labels = [f"{file['name']} (SHA-256 {file['sha256'][:12]}…)" for file in training.get("labels") or ()]
    areas = [
        f"{abs(south):g}° {'S' if south < 0 else 'N'}, {abs(west):g}° {'W' if west < 0 else 'E'}"
        for west, south, *_ in training.get("areas") or ()
    ]
    seconds = training.get("seconds")
    rest = {key: value for key, value in training.items() if key not in TOLD_ELSEWHERE}
    return {
        "Labels": _cut(", ".join(labels)),
        "South-west corners of the ground": _cut("; ".join(areas)),
        **_told(rest),
        "Duration": "" if seconds is None else f"{seconds // 60:,} min {seconds % 60} s",
        "Credits": "; ".join(card.credits),
    }


def _told(values: Mapping[str, Any]) -> dict[str, str]:
    """Names and values as text; long ones are cut."""
    kept = {key: value for key, value in values.items() if value not in (None, "", (), [], {})}
    return {key.replace("_", " ").capitalize(): _text(value) for key, value in kept.items()}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{key} {_text(part)}" for key, part in value.items())
    elif isinstance(value, (list, tuple)) and all(isinstance(part, (str, int, float)) for part in value):
        text = ", ".join(_text(part) for part in value)
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}"
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
