"""A review as a person does it: keys on the map and in the dock, every answer in the file at once."""

import sqlite3

import pytest
from qgis.core import QgsProject, QgsRectangle
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from tilehawk.ui.layers import add_class
from tilehawk.ui.results.filter import Filter
from tilehawk.ui.review.framing import to_map

from tests.ui.scenery import click, wait_until


@pytest.fixture
def desk(plugin, found, qgis_iface):
    canvas = qgis_iface.mapCanvas()
    canvas.setDestinationCrs(found.crs())
    canvas.resize(600, 400)
    plugin.results.show(found)
    wait_until(lambda: plugin.results.dock.figures.total.text() == "3 objects")
    return plugin.results


@pytest.fixture
def page(desk):
    click(desk.dock.figures.review)
    wait_until(lambda: desk.dock.review.layer is not None)
    return desk.dock.review


def press(widget, *keys):
    for key in keys:
        QTest.keyClick(widget, key)


def states(layer):
    with sqlite3.connect(layer.source().split("|")[0]) as database:
        return dict(database.execute("SELECT id, review FROM detections WHERE review IS NOT NULL"))


def number(page):
    """Number of the object at hand."""
    fid = page.queue.current
    return None if fid is None else page.layer.getFeature(fid)["id"]


def drag(canvas, layer, box):
    """Draw a box of the layer's coordinates with the mouse."""
    there = to_map(canvas, layer).transformBoundingBox(box)
    place = canvas.getCoordinateTransform()
    corners = [
        QPoint(round(place.transform(x, y).x()), round(place.transform(x, y).y()))
        for x, y in ((there.xMinimum(), there.yMaximum()), (there.xMaximum(), there.yMinimum()))
    ]
    viewport = canvas.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[0])
    QTest.mouseMove(viewport, corners[1])
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, corners[1])


def test_from_object_to_object_by_keys(page, found, qgis_iface):
    assert number(page) == 3  # the least sure of those shown
    assert "tree" in page.object.text()
    press(page, Qt.Key.Key_A)
    assert states(found) == {3: "accepted"}
    assert number(page) == 2
    press(qgis_iface.mapCanvas(), Qt.Key.Key_R)  # the map takes the keys too
    assert number(page) == 1
    press(page, Qt.Key.Key_2)
    assert states(found) == {1: "changed", 2: "rejected", 3: "accepted"}
    assert found.getFeature(1)["class"] == "tree"
    assert page.progress.value() == page.progress.maximum() == 3
    assert page.object.text() == "<b>Everything is decided.</b>"


def test_map_goes_to_the_object(page, found, qgis_iface):
    canvas = qgis_iface.mapCanvas()
    for _ in range(3):
        shape = found.getFeature(page.queue.current).geometry().boundingBox()
        wait_until(lambda box=shape: canvas.extent().center().distance(box.center()) < 0.1)
        wait_until(lambda box=shape: 3 < canvas.extent().height() / box.height() < 9.5)  # it flies there
        press(page, Qt.Key.Key_Right)
    press(page, Qt.Key.Key_Left)
    assert number(page) == 2


def test_skipped_objects_come_back(page):
    press(page, Qt.Key.Key_Space)
    assert number(page) == 2
    press(page, Qt.Key.Key_A, Qt.Key.Key_A)
    assert number(page) == 3


def test_undo_by_both_keys_goes_back_to_the_object(page, found):
    press(page, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_U)
    assert states(found) == {1: "doubtful", 2: "rejected", 3: "accepted"}
    QTest.keyClick(page, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert number(page) == 1
    press(page, Qt.Key.Key_Backspace)
    assert number(page) == 2
    assert states(found) == {3: "accepted"}
    click(page.undo)
    assert states(found) == {}
    assert not page.undo.isEnabled()


def test_buttons_say_their_keys_and_do_the_same(page, found):
    assert page.accept.text().endswith("A")
    assert page.undo.text().endswith("Ctrl+Z")
    click(page.reject)
    click(page.accept)
    assert states(found) == {2: "accepted", 3: "rejected"}
    assert page.tally.text() == "1 accepted · 1 rejected"
    assert found.featureCount() == 3  # what was rejected stays on the map for now


def test_redraw_and_draw_with_the_mouse(page, found, qgis_iface):
    canvas = qgis_iface.mapCanvas()
    tool = canvas.mapTool()
    before = found.getFeature(page.queue.current).geometry().boundingBox()
    wait_until(lambda: canvas.extent().center().distance(before.center()) < 0.1)
    wanted = QgsRectangle(before.xMinimum() + 1, before.yMinimum() + 1, before.xMaximum() + 2, before.yMaximum() + 2)
    press(page, Qt.Key.Key_D)
    assert "Drag a box" in page.hint.text()
    drag(canvas, found, wanted)
    drawn = found.getFeature(3).geometry().boundingBox()
    assert drawn.center().distance(wanted.center()) < 0.3
    assert states(found) == {3: "changed"}
    assert canvas.mapTool() is tool or canvas.mapTool() is None
    press(page, Qt.Key.Key_N)
    press(canvas, Qt.Key.Key_Escape)
    assert "Drag a box" not in page.hint.text()
    press(page, Qt.Key.Key_N)
    x, y = canvas.extent().center().x(), canvas.extent().center().y()
    drag(canvas, found, QgsRectangle(x - 4, y - 4, x + 4, y + 4))
    assert states(found) == {3: "changed", 6: "drawn"}
    assert found.getFeature(6)["class"] == "pool"  # that of the object at hand
    press(page, Qt.Key.Key_Backspace)
    assert states(found) == {3: "changed"}


def test_review_goes_on_where_it_was(desk, page, found):
    press(page, Qt.Key.Key_R, Qt.Key.Key_U)
    click(page.done)
    assert found.subsetString() == Filter(0.4).subset("box_area_m2", True)
    wait_until(lambda: desk.dock.figures.total.text() == "2 objects")
    assert desk.dock.pages.currentWidget() is desk.dock.figures
    click(desk.dock.figures.review)
    wait_until(lambda: page.layer is not None)
    assert number(page) == 1
    assert page.queue.decided == 2
    click(page.done)


def test_order_by_place(page):
    page.order.setCurrentIndex(1)
    assert number(page) == 1
    press(page, Qt.Key.Key_A)
    assert number(page) == 2
    page.order.setCurrentIndex(0)
    assert number(page) == 3


def test_a_checked_sample_tells_the_precision(desk, found):
    click(desk.dock.figures.sample)
    page = desk.dock.review
    wait_until(lambda: page.layer is not None)
    assert len(page.queue.order) == 3
    press(page, Qt.Key.Key_A, Qt.Key.Key_R, Qt.Key.Key_A)
    click(page.done)
    text = desk.dock.figures.estimate.text()
    assert "about 67%" in text
    assert "21% to 94% (2 of 3 right)" in text


def test_training_inputs_are_handed_on(desk, page):
    given = []
    desk.train_asked.disconnect()  # from the Train dialog
    desk.train_asked.connect(given.append)
    press(page, Qt.Key.Key_A)
    click(page.train)
    wait_until(lambda: given)
    assert given[0].positives == 1


def test_a_removed_layer_ends_the_review(desk, page, found):
    QgsProject.instance().removeMapLayer(found)
    assert page.layer is None
    assert desk.dock.pages.currentWidget() is desk.dock.empty


def test_unloading_in_mid_review(plugin, page, qgis_iface):
    plugin.unload()
    press(qgis_iface.mapCanvas(), Qt.Key.Key_A)


def test_a_read_only_layer_is_said(desk, found):
    found.startEditing()
    click(desk.dock.figures.review)
    assert "being edited" in desk.dock.messages.text()
    found.rollBack()


def test_closing_the_dock_ends_the_review(desk, page, found, qgis_iface):
    press(page, Qt.Key.Key_A)
    desk.dock.close()
    assert page.layer is None
    press(qgis_iface.mapCanvas(), Qt.Key.Key_R)
    assert states(found) == {3: "accepted"}


def test_a_long_class_name_does_not_widen_the_dock(desk, found):
    name = "a residential building with a flat roof & no garden"
    add_class(found, name)
    page = desk.dock.review
    desk.review()
    wait_until(lambda: page.layer is not None)
    button = page._class_buttons[2]
    assert button.text().endswith("…  ·  3")
    assert name in button.toolTip()
    assert button.sizeHint().width() < 12 * page.fontMetrics().height()
    fid = page.queue.current
    press(page, Qt.Key.Key_3)
    assert page.layer.getFeature(fid)["class"] == name
