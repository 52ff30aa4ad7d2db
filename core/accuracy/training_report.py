"""A trained model on one page: how it learnt, how good it is and where it fails, what it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..job.card import ModelCard
from .charts import COLORS, Line, Mark, line_chart, size_histogram
from .language import tr
from .looks import Look
from .names import FIGURES, figure_of, role, setting, split_name
from .page import facts, figure, page, paragraph, row, section, table
from .report import accuracy_parts

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
        section(tr("Training"), row(learning_curves(history, card.metrics.get("epoch")))),
        _sizes(card.training.get("anchors") or {}),
        section(tr("Model"), facts(_model(card))),
        section(tr("Training data"), facts(_data(card))),
        section(tr("Settings"), facts(_told(card.training.get("recipe") or {}))),
    ]
    return page(card.title or card.name, parts)


def _whose(split: str) -> str:
    if split == "train":
        told = tr("Figures are those of the training images themselves: they flatter the model.")
        return paragraph(told, "warning")
    if split == "test":
        return paragraph(tr("Figures are those of the test images; the model has not learnt from them."), "soft")
    told = tr("Figures are those of the images set aside to choose the best epoch; the model has not learnt from them.")
    return paragraph(told, "soft")


def _intervals(card: ModelCard) -> str:
    """Figures of the test images with their intervals, where the card has them."""
    test = card.metrics.get("test")
    if not isinstance(test, Mapping):
        return ""
    intervals = test.get("intervals") or {}
    rows = []
    for key in FIGURES:
        if isinstance(test.get(key), (int, float)):
            low, high = intervals.get(key, (None, None))
            between = "–" if low is None or high is None else tr("{low:.3f} to {high:.3f}").format(low=low, high=high)
            rows.append((figure_of(key), f"{test[key]:.3f}", between))
    note = tr(
        "Figures of the images kept for the test, which neither trained nor chose anything. The interval holds 95 % of "
        "the figures that other draws of the same blocks of ground would give (bootstrap by block)."
    )
    titles = ("", tr("value"), tr("95 % interval"))
    return section(tr("Test"), paragraph(note, "soft"), table(titles, rows)) if rows else ""


def _comparison(card: ModelCard) -> str:
    """The old model and the new one on the same test images, where the card has both."""
    compared = card.metrics.get("compared")
    if not isinstance(compared, Mapping):
        return ""
    old, new, bounds = compared["old"], compared["new"], compared["intervals"]
    rows = []
    for key, difference in compared["difference"].items():
        low, high = bounds.get(key, (None, None))
        between = "–" if low is None or high is None else tr("{low:+.3f} to {high:+.3f}").format(low=low, high=high)
        rows.append((figure_of(key), f"{old[key]:.3f}", f"{new[key]:.3f}", f"{difference:+.3f}", between))
    found = tr("objects found, of {objects:,}").format(objects=compared["objects"])
    for key, name in (("found", found), ("wrong", tr("wrong detections"))):
        rows.append((name, f"{old[key]:,}", f"{new[key]:,}", f"{new[key] - old[key]:+,}", ""))
    note = tr(
        "The old model, {model}, and the new one on the same {images:,} test images, from which neither this training "
        "nor its choices have learnt. F1 and counts are at each model's threshold and an IoU of {iou:g}. The interval "
        "holds 95 % of the differences that other draws of the same blocks of ground would give (paired bootstrap by "
        "block): where it holds 0, the difference may be chance."
    ).format(model=compared["model"], images=compared["images"], iou=compared["iou"])
    worse = compared["difference"][compared["decides"]] < 0
    return section(
        tr("Old model and new"),
        paragraph(tr("The new model is worse than the old one."), "warning") if worse else "",
        paragraph(note, "soft"),
        table(("", tr("old"), tr("new"), tr("difference"), tr("95 % interval")), rows),
    )


def learning_curves(history: Sequence[Mapping[str, float]], best: float | None) -> list[str]:
    """Figures of the losses and of the accuracy over the epochs; `best`: the epoch whose weights are kept."""
    epochs = np.array([epoch.get("epoch", i + 1) for i, epoch in enumerate(history)], float)
    if not len(epochs):
        return []

    def line(key: str, name: str, color: int) -> list[Line]:
        values = np.array([epoch.get(key, np.nan) for epoch in history], float)
        return [Line(name, epochs, values, COLORS[color])] if np.isfinite(values).any() else []

    losses = [*line("focal_loss", tr("classes (focal loss)"), 0), *line("box_loss", tr("boxes"), 1)]
    drawn_figures = ("ap30", "ap50", "ap50_95", "f1")
    scores = [found for i, key in enumerate(drawn_figures) for found in line(key, figure_of(key), i)]
    marks = [] if best is None else [Mark(float(best), None, tr("best: epoch {epoch:g}").format(epoch=best))]
    span = (float(epochs.min()), float(max(epochs.max(), epochs.min() + 1)))
    drawn = []
    if losses:
        drawn.append(figure(line_chart(losses, tr("epoch"), tr("loss"), span), tr("Loss on the training crops.")))
    if scores:
        told = tr("Figures on the images that choose the best epoch.")
        drawn.append(figure(line_chart(scores, tr("epoch"), tr("share"), span, (0.0, 1.0), marks), told))
    return drawn


def _sizes(anchors: Mapping[str, Any]) -> str:
    """The objects' sizes and the anchors, as the anchor fit tells them."""
    histogram, chosen, default = (anchors.get(key) or {} for key in ("histogram", "chosen", "default"))
    if not histogram.get("counts") or not chosen.get("sizes"):
        return ""
    sides = [size * scale for size in chosen["sizes"] for scale in chosen.get("scales", (1.0,))]
    told = tr("{objects:,} objects, {median:g} px wide in the median.").format(
        objects=anchors["objects"], median=anchors["median_px"]
    )
    if "reached" in default:
        reached = tr("The anchors reach {share:.0%} of them at IoU 0.5; the default ones would reach {default:.0%}.")
        told += " " + reached.format(share=chosen["reached"], default=default["reached"])
    else:
        told += " " + tr("The anchors reach {share:.0%} of them at IoU 0.5.").format(share=chosen["reached"])
    drawn = figure(size_histogram(histogram["edges_px"], histogram["counts"], sides))
    rows = {
        tr("Pyramid levels"): ", ".join(chosen.get("levels", ())),
        tr("Base sizes"): ", ".join(f"{size:g} px" for size in chosen["sizes"]),
        tr("Scales"): ", ".join(f"{scale:g}" for scale in chosen.get("scales", ())),
        tr("Ratios (height over width)"): ", ".join(f"{ratio:g}" for ratio in chosen.get("ratios", ())),
        tr("Cost against the default"): tr("{factor:.2f} times").format(factor=chosen["cost"])
        if "cost" in chosen
        else "",
    }
    return section(tr("Sizes and anchors"), paragraph(told), row([drawn, facts(rows)]))


def _model(card: ModelCard) -> dict[str, str]:
    shape = card.architecture
    metres = card.resolution_m
    network = tr("RetinaNet on {backbone}, {first} to {last}")
    threshold = tr("{score:g}, the score of the highest F1 on the images that chose the epoch")
    return {
        tr("Name"): card.name,
        tr("Finds"): ", ".join(known.name for known in card.classes),
        tr("Bands"): ", ".join(role(band.role) for band in card.bands),
        tr("Resolution"): tr("any") if metres is None else tr("{metres:g} m a pixel").format(metres=metres),
        tr("Network"): network.format(backbone=shape.backbone, first=shape.levels[0], last=shape.levels[-1]),
        tr("Threshold"): threshold.format(score=card.threshold),
        tr("Licence"): card.license,
        tr("Versions"): ", ".join(f"{name} {version}" for name, version in card.versions.items()),
    }


def _data(card: ModelCard) -> dict[str, str]:
    training = card.training
    labels = [f"{file['name']} (SHA-256 {file['sha256'][:12]}…)" for file in training.get("labels") or ()]
    areas = [_corner(west, south) for west, south, *_ in training.get("areas") or ()]
    seconds = training.get("seconds")
    rest = {key: value for key, value in training.items() if key not in TOLD_ELSEWHERE}
    return {
        tr("Labels"): _cut(", ".join(labels)),
        tr("South-west corners of the ground"): _cut("; ".join(areas)),
        **_told(rest),
        tr("Duration"): "" if seconds is None else f"{seconds // 60:,} min {seconds % 60} s",
        tr("Credits"): "; ".join(card.credits),
    }


def _corner(west: float, south: float) -> str:
    latitude = tr("{degrees:g}° S") if south < 0 else tr("{degrees:g}° N")
    longitude = tr("{degrees:g}° W") if west < 0 else tr("{degrees:g}° E")
    return f"{latitude.format(degrees=abs(south))}, {longitude.format(degrees=abs(west))}"


def _told(values: Mapping[str, Any]) -> dict[str, str]:
    """Names and values as text; long ones are cut."""
    kept = {key: value for key, value in values.items() if value not in (None, "", (), [], {})}
    return {
        setting(key): _text([role(name) for name in value] if key == "band_roles" else value)
        for key, value in kept.items()
    }


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        text = ", ".join(f"{split_name(key)} {_text(part)}" for key, part in value.items())
    elif isinstance(value, (list, tuple)) and all(isinstance(part, (str, int, float)) for part in value):
        text = ", ".join(_text(part) for part in value)
    elif isinstance(value, bool):
        text = tr("yes") if value else tr("no")
    elif isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, int):
        text = f"{value:,}"
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"
