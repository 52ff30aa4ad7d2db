"""How good detections are, as parts of a page: figures, curves, samples, and what went most wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from .charts import COLORS, Line, Mark, line_chart
from .language import tr
from .looks import Judged, Look, Place, chip_around, judge, sample_windows, worst_false_finds, worst_misses
from .metrics import Assessment
from .page import facts, figure, headline, keys, page, paragraph, row, section, table
from .pictures import FALSE, FOUND, IGNORED, MISSED, TRUE, Outline, picture

SAMPLES, SAMPLE_SIDE = 6, 216  # how many, px on the page
SAMPLE_SIDES, LEAST_SAMPLE_PX, MOST_SAMPLE_PX = 14, 128, 600  # in sides of the median object; px of imagery
WORST, CHIP_SIDE = 12, 150
MOST_LINES = 8


def evaluation_page(look: Look, classes: Sequence[str], iou: float, threshold: float, about: Mapping[str, str]) -> str:
    """A page on the detections of one layer; `about`: what was compared, and how."""
    parts = accuracy_parts([look], classes, iou, threshold)
    title = tr("Accuracy of {name}").format(name=look.name)
    return page(title, [*parts, section(tr("What was compared"), facts(about))])


def accuracy_parts(looks: Sequence[Look], classes: Sequence[str], iou: float, threshold: float) -> list[str]:
    """Parts of a page on detections: at IoU `iou`, and counts at scores from `threshold` on.

    `classes`: names by label. Pictures are drawn of looks that can read their imagery.
    """
    assessment = Assessment([(look.found, look.truth) for look in looks])
    judged = [judge(look, threshold, iou) for look in looks]
    return [
        _overall(assessment, iou, threshold),
        section(
            tr("By class"),
            paragraph(
                tr(
                    "A detection is right where it overlaps an object of its class by an IoU (shared area over joint "
                    "area) of {iou:g} or more; each object is found once. Counts are of detections with a score of "
                    "{threshold:.3g} or more; AP, the average precision over all scores (101 recall points), is told "
                    "at the IoU beside it."
                ).format(iou=iou, threshold=threshold),
                "soft",
            ),
            _table(assessment, classes, iou, threshold),
        ),
        section(tr("Precision and recall"), row(_curves(assessment, classes, iou, threshold))),
        section(tr("Samples"), *samples(judged)),
        _worst(judged, classes),
    ]


def samples(judged: Sequence[Judged], count: int = SAMPLES) -> list[str]:
    """Windows of imagery with what is there beside what was found; nothing where there is no imagery."""
    looks = [each.look for each in judged]
    windows = sample_windows(looks, count, _sample_px(looks))
    if not windows:
        return []
    return [
        paragraph(tr("Left what is there, right what was found. Windows are spread evenly, not picked."), "soft"),
        keys(
            {
                tr("object"): TRUE,
                tr("missed"): MISSED,
                tr("right"): FOUND,
                tr("wrong"): FALSE,
                tr("not counted"): IGNORED,
            }
        ),
        row([_sample(judged[i], window) for i, window in windows]),
    ]


def _overall(assessment: Assessment, iou: float, threshold: float) -> str:
    counts = assessment.counts(threshold, iou)
    truth, wrong = counts.true_positives + counts.false_negatives, counts.false_positives
    if not truth:
        return paragraph(tr("There is no object among the truth: nothing can be said of recall."), "warning")
    if wrong == 1:
        told = tr(
            "Of {truth:,} objects {found:,} were found and {missed:,} missed; {wrong} of the detections is wrong."
        )
    else:
        told = tr(
            "Of {truth:,} objects {found:,} were found and {missed:,} missed; {wrong:,} of the detections are wrong."
        )
    told = told.format(truth=truth, found=counts.true_positives, missed=counts.false_negatives, wrong=wrong)
    at = tr("That is at an overlap (IoU) of {iou:g} and a score of {threshold:.3g} or more.")
    figures = {
        tr("precision: share of detections that are right"): _share(counts.precision),
        tr("recall: share of objects found"): _share(counts.recall),
        tr("F1 of both"): _share(counts.f1),
        tr("AP at IoU {iou:g}").format(iou=iou): _share(assessment.average_precision(iou)),
    }
    return paragraph(f"{told} {at.format(iou=iou, threshold=threshold)}") + headline(figures)


def _table(assessment: Assessment, classes: Sequence[str], iou: float, threshold: float) -> str:
    ious = sorted({iou, 0.3, 0.5})
    titles = [tr("class"), tr("precision"), tr("recall"), "F1"]
    titles += [tr("AP at IoU {iou:g}").format(iou=each) for each in ious]
    titles += [tr("found (TP)"), tr("wrong (FP)"), tr("missed (FN)")]
    rows = []
    for name, label in [*((name, label) for label, name in enumerate(classes)), (tr("all"), None)]:
        counts = assessment.counts(threshold, iou, label)
        shares = [counts.precision, counts.recall, counts.f1]
        shares += [assessment.average_precision(each, label) for each in ious]
        numbers = (counts.true_positives, counts.false_positives, counts.false_negatives)
        rows.append([name, *map(_share, shares), *(f"{number:,}" for number in numbers)])
    return table(titles, rows if len(classes) > 1 else rows[:1])


def _curves(assessment: Assessment, classes: Sequence[str], iou: float, threshold: float) -> list[str]:
    overall = [
        Line(f"IoU {each:g}", curve.recall, curve.precision, COLORS[i], dashed=each != iou)
        for i, each in enumerate(sorted({iou, 0.3, 0.5}))
        for curve in [assessment.curve(each)]
    ]
    counts = assessment.counts(threshold, iou)
    chosen = Mark(counts.recall, counts.precision, tr("score {threshold:.2f}").format(threshold=threshold))
    unit, precision, recall = (0.0, 1.0), tr("precision"), tr("recall")
    told = tr("All classes, by the overlap asked.")
    drawn = [figure(line_chart(overall, recall, precision, unit, unit, [chosen]), told)]
    curve = assessment.curve(iou)
    lines = [
        Line(name, curve.score, values, color)
        for name, values, color in (
            (precision, curve.precision, COLORS[0]),
            (recall, curve.recall, COLORS[1]),
            ("F1", curve.f1, COLORS[2]),
        )
    ]
    line = Mark(threshold, None, tr("threshold {threshold:.2f}").format(threshold=threshold))
    if len(np.unique(curve.score)) > 1:
        told = tr("What another threshold would give, at IoU {iou:g}.").format(iou=iou)
        x_label = tr("score from which an object counts")
        drawn.append(figure(line_chart(lines, x_label, tr("share"), unit, unit, [line]), told))
    if len(assessment.labels) > 1:
        by_class = [
            Line(classes[label], curve.recall, curve.precision, COLORS[i % len(COLORS)])
            for i, label in enumerate(assessment.labels[:MOST_LINES])
            for curve in [assessment.curve(iou, label)]
        ]
        told = tr("By class, at IoU {iou:g}.").format(iou=iou)
        drawn.append(figure(line_chart(by_class, recall, precision, unit, unit), told))
    return drawn


def _sample_px(looks: Sequence[Look]) -> int:
    """Side of the windows shown: wide enough for a dozen objects side by side."""
    boxes = np.concatenate(
        [look.truth.boxes if look.truth.ignore is None else look.truth.boxes[~look.truth.ignore] for look in looks]
    )
    side = float(np.median((boxes[:, 2:] - boxes[:, :2]).max(axis=1))) if len(boxes) else 0.0
    return round(min(max(SAMPLE_SIDES * side, LEAST_SAMPLE_PX), MOST_SAMPLE_PX))


def _sample(judged: Judged, window: tuple[int, int, int, int]) -> str:
    look = judged.look
    x, y, width, height = window
    values = look.read(x, y, width, height) if look.read else np.zeros((3, height, width), np.uint8)
    panels = [_true_outlines(judged, window), _found_outlines(judged, window)]
    missed, wrong = (
        sum(outline.color == color for outline in outlines)
        for outlines, color in zip(panels, (MISSED, FALSE), strict=True)
    )
    told = tr("{name}: {missed} missed, {wrong} wrong").format(name=look.name, missed=missed, wrong=wrong)
    return figure(picture(values, panels, SAMPLE_SIDE), told)


def _worst(judged: Sequence[Judged], classes: Sequence[str]) -> str:
    misses = [_missed(judged[place.look], place, classes) for place in worst_misses(judged, WORST)]
    wrong = [_wrong(judged[place.look], place, classes) for place in worst_false_finds(judged, WORST)]
    if not any(each.look.read for each in judged):
        return ""
    return "\n".join(
        [
            section(
                tr("Worst misses"),
                paragraph(
                    tr("Objects that were not found: those that nothing lies on first, the largest of them."), "soft"
                ),
                keys({tr("missed"): MISSED, tr("other objects"): TRUE, tr("detections"): FOUND}) if misses else "",
                row(misses, small=True) or paragraph(tr("Every object was found.")),
            ),
            section(
                tr("Worst false finds"),
                paragraph(
                    tr("Wrong detections, those with the highest score first. Some may be objects nobody drew."), "soft"
                ),
                keys({tr("wrong"): FALSE, tr("objects"): TRUE, tr("other detections"): FOUND}) if wrong else "",
                row(wrong, small=True) or paragraph(tr("No detection is wrong.")),
            ),
        ]
    )


def _missed(judged: Judged, place: Place, classes: Sequence[str]) -> str:
    truth, kept = judged.look.truth, judged.kept
    box = truth.boxes[place.row]
    name, size = classes[truth.labels[place.row]], _size(box)
    if place.other < 0:
        return _chip(judged, box, MISSED, f"{name}, {size}")
    said = tr("{name}, {size}; best overlap {overlap:.2f}, with a {other} of score {score:.2f}")
    other, score = classes[kept.labels[place.other]], kept.scores[place.other]
    said = said.format(name=name, size=size, overlap=place.overlap, other=other, score=score)
    return _chip(judged, box, MISSED, said)


def _wrong(judged: Judged, place: Place, classes: Sequence[str]) -> str:
    truth, kept = judged.look.truth, judged.kept
    box = kept.boxes[place.row]
    name, score = classes[kept.labels[place.row]], kept.scores[place.row]
    said = tr("{name} of score {score:.2f}, {size}").format(name=name, score=score, size=_size(box))
    if place.other >= 0:
        if judged.missed[place.other]:
            more = tr("{said}; overlaps a {other} by {overlap:.2f}")
        else:
            more = tr("{said}; overlaps a {other} by {overlap:.2f}, which another detection found")
        said = more.format(said=said, other=classes[truth.labels[place.other]], overlap=place.overlap)
    return _chip(judged, box, FALSE, said)


def _chip(judged: Judged, box: np.ndarray, color: str, said: str) -> str:
    if judged.look.read is None:
        return ""
    x, y, side = chip_around(box)
    window = (x, y, side, side)
    around = [*_true_outlines(judged, window, plain=True), *_found_outlines(judged, window, plain=True)]
    corners = tuple((box - [x, y, x, y]).tolist())
    others = [outline for outline in around if not np.allclose(outline.box, corners)]
    values = judged.look.read(*window)
    return figure(picture(values, [[*others, Outline(corners, color)]], CHIP_SIDE), said)


def _true_outlines(judged: Judged, window: tuple[int, int, int, int], plain: bool = False) -> list[Outline]:
    truth, outlines = judged.look.truth, []
    for i, box in _within(truth.boxes, window):
        if truth.ignore is None or not truth.ignore[i]:  # what is to ignore may be ground without any object
            outlines.append(Outline(box, MISSED if judged.missed[i] and not plain else TRUE, dashed=True))
    return outlines


def _found_outlines(judged: Judged, window: tuple[int, int, int, int], plain: bool = False) -> list[Outline]:
    outlines = []
    for i, box in _within(judged.kept.boxes, window):
        color = FOUND if judged.hit[i] or plain else IGNORED if judged.excused[i] else FALSE
        outlines.append(Outline(box, color, text="" if plain else f"{judged.kept.scores[i]:.2f}"))
    return outlines


def _within(boxes: np.ndarray, window: tuple[int, int, int, int]) -> list[tuple[int, tuple[float, ...]]]:
    """Rows and boxes, in px of a window, of the boxes that reach into it."""
    x, y, width, height = window
    moved = boxes.astype(np.float64) - [x, y, x, y]
    inside = np.flatnonzero((moved[:, 2:] > 0).all(axis=1) & (moved[:, :2] < [width, height]).all(axis=1))
    return [(i, tuple(moved[i].tolist())) for i in inside.tolist()]


def _size(box: np.ndarray) -> str:
    width, height = (box[2:] - box[:2]).round().astype(int).tolist()
    return f"{width} × {height} px"


def _share(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "–"
