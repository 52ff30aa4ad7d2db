from xml.etree import ElementTree

import numpy as np
import pytest

from core.accuracy.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Line, Mark, line_chart, size_histogram

UNIT = (0.0, 1.0)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg.replace(' xmlns="http://www.w3.org/2000/svg"', ""))


def points(svg: str) -> list[tuple[float, float]]:
    (line,) = parsed(svg).iter("polyline")
    return [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]


def test_a_line_runs_from_corner_to_corner_of_its_plot():
    svg = line_chart([Line("a", np.array([0.0, 0.5, 1.0]), np.array([0.0, 0.5, 1.0]), "#000")], "x", "y", UNIT, UNIT)
    first, middle, last = points(svg)
    assert first == (LEFT, HEIGHT - BOTTOM)
    assert last == (WIDTH - RIGHT, TOP)
    assert middle == pytest.approx(((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2), abs=0.06)


def test_gaps_are_passed_over_and_values_beyond_the_range_end_at_its_edge():
    svg = line_chart([Line("a", np.arange(4.0), np.array([0.2, np.nan, 7.0, 0.4]), "#000")], "x", "y", (0, 3), UNIT)
    drawn = points(svg)
    assert len(drawn) == 3
    assert drawn[1][1] == TOP


@pytest.mark.parametrize("values", [[], [np.nan, np.nan], [3.0], [2.0, 2.0]])
def test_lines_with_nothing_to_show_do_no_harm(values):
    x = np.arange(float(len(values)))
    parsed(line_chart([Line("a", x, np.array(values, float), "#000")], "x", "y"))


def test_long_lines_are_thinned_and_keep_their_corners():
    """As of precision over recall: a few good detections first, thousands of false ones at the end."""
    x = np.concatenate([np.linspace(0, 1, 11), np.ones(100_000)])
    y = np.concatenate([np.ones(11), 11 / np.arange(12, 100_012)])
    svg = line_chart([Line("a", x, y, "#000")], "x", "y", UNIT, UNIT)
    assert len(svg) < 10_000
    assert [point for point in points(svg) if point[1] == TOP][-1][0] == WIDTH - RIGHT
    assert points(svg)[-1] == (WIDTH - RIGHT, HEIGHT - BOTTOM)


def test_words_are_escaped_and_a_legend_names_every_line():
    lines = [Line(f"<class {i}>", np.arange(2.0), np.arange(2.0), "#000") for i in range(8)]
    svg = line_chart(lines, "a & b", "y", marks=[Mark(0.5, None, "here"), Mark(1.0, 1.0, "there")])
    words = [text.text for text in parsed(svg).iter("text")]
    assert {"a & b", "here", "there", *(line.name for line in lines)} <= set(words)
    width, height = (float(part) for part in parsed(svg).get("viewBox").split()[2:])
    assert all(0 <= float(text.get("x")) <= width for text in parsed(svg).iter("text"))
    assert all(float(text.get("y")) <= height for text in parsed(svg).iter("text"))


def test_a_histogram_has_a_bar_for_each_filled_bin_and_a_tick_for_each_anchor():
    svg = parsed(size_histogram((4, 8, 16, 32), (0, 10, 5, 0), (9.0, 12.0, 100.0)))
    told = [title.text for title in svg.iter("title")]
    assert told[:2] == ["8 to 16 px: 10", "16 to 32 px: 5"]
    assert told[2:] == ["anchor of 9.0 px", "anchor of 12.0 px", "anchor of 100.0 px"]
    heights = [float(bar.get("height")) for bar in svg.iter("rect")]
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.11)


def test_a_histogram_of_nothing_is_drawn():
    parsed(size_histogram((4, 8, 16), (0, 0, 0), ()))
