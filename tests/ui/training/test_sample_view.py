"""What a model finds in one window, painted over its imagery."""

import pytest
from tilehawk.ui.training.sample_view import GREY, SURE, UNSURE, SampleView, color_of

from tests.ui.scenery import ORIGIN, PIXEL_M, SIDE_PX

WIDE = SIDE_PX * PIXEL_M


@pytest.fixture
def view(qgis_app):
    view = SampleView()
    view.resize(400, 460)
    return view


def event(raster, found=(), truth=()):
    """A `sample` event on the whole of the test raster; boxes in metres from its top left, downwards."""

    def placed(box):
        return [ORIGIN[0] + box[0], ORIGIN[1] - box[3], ORIGIN[0] + box[2], ORIGIN[1] - box[1]]

    return {
        "image": raster,
        "extent": [ORIGIN[0], ORIGIN[1] - WIDE, ORIGIN[0] + WIDE, ORIGIN[1]],
        "boxes": [placed(box) for _, box in found],
        "scores": [score for score, _ in found],
        "labels": [0] * len(found),
        "truth": [placed(box) for box in truth],
    }


def frame_of(view):
    line = view.fontMetrics().height()
    return 0, 1.5 * line, min(400, 460 - 1.5 * line - 1.4 * line * view._legend_lines())


def color_at(view, x, y):
    """Colour of the picture at a place in metres from the raster's top left, downwards."""
    left, top, side = frame_of(view)
    return view.grab().toImage().pixelColor(round(left + x / WIDE * side), round(top + y / WIDE * side))


def test_boxes_lie_where_they_are_on_the_imagery(view, raster):
    view.show_sample(event(raster, [(1.0, (10, 20, 30, 40))]), 1)
    assert color_at(view, 10, 30) == SURE
    assert color_at(view, 20, 20) == SURE
    ground = color_at(view, 20, 30)
    assert ground == color_at(view, 50, 50)
    assert ground != GREY  # the raster, as QGIS draws it
    assert ground.red() <= ground.green() <= ground.blue()


def test_labels_are_dashed_and_what_is_found_is_not(view, raster):
    view.show_sample(event(raster, [(1.0, (5, 5, 25, 25))], [(35, 5, 55, 25)]), 1)

    def along(x):
        return {color_at(view, x, y / 10).name() for y in range(70, 230, 3)}

    assert len(along(5)) == 1
    assert len(along(35)) > 2


def test_colours_go_with_the_score():
    assert color_of(0.0).name() == UNSURE.name()
    assert color_of(1.0).name() == SURE.name()
    hues = [color_of(score / 10).hueF() for score in range(11)]
    assert hues == sorted(hues)
    assert color_of(2.0) == color_of(1.0)


def test_the_imagery_is_drawn_once_and_anew_for_another_window(view, raster):
    first = event(raster, [(0.5, (10, 20, 30, 40))])
    view.show_sample(first, 1)
    drawn = view.image
    view.show_sample(event(raster, [(0.9, (12, 20, 32, 40))]), 2)
    assert view.image is drawn
    assert view.round == 2
    view.show_sample({**first, "extent": [ORIGIN[0], ORIGIN[1] - 20, ORIGIN[0] + 20, ORIGIN[1]]}, 3)
    assert view.image is not drawn


def test_imagery_that_is_not_there_is_grey_and_nothing_is_a_sentence(view, tmp_path):
    empty = view.grab().toImage()
    view.show_sample(event(str(tmp_path / "gone.tif")), 1)
    assert view.image is None
    assert color_at(view, 20, 20) == GREY
    view.clear()
    assert view.grab().toImage() == empty
