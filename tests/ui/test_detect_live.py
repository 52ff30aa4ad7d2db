"""What the dialog shows while it is open: the pre-flight, a try on the map, boxes as they are found."""

import os
from pathlib import Path

import pytest
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsReferencedRectangle,
)
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDialogButtonBox, QPushButton
from tilehawk.core.job.events import Event
from tilehawk.ui.area_picker import RECTANGLE, VISIBLE
from tilehawk.ui.detect_questions import try_extent
from tilehawk.ui.live_boxes import LiveBoxes

from tests.ui.scenery import CRS, ORIGIN, PIXEL_M, SIDE_PX, click, wait_until, write_card

RASTER = QgsRectangle(ORIGIN[0], ORIGIN[1] - SIDE_PX * PIXEL_M, ORIGIN[0] + SIDE_PX * PIXEL_M, ORIGIN[1])
WARNING = {"text": "The picture is hazier.", "remedy": "Use a clearer one."}


@pytest.fixture
def canvas(qgis_iface, raster_layer):
    canvas = qgis_iface.mapCanvas()
    canvas.setDestinationCrs(raster_layer.crs())
    canvas.setExtent(RASTER)
    return canvas


@pytest.fixture
def dialog(canvas, detect_dialog):
    return detect_dialog


def told(dialog):
    """Wait for a whole pre-flight; gives the card's facts."""
    wait_until(lambda: "seconds" in dialog.card.facts)
    return dialog.card.facts


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def boxes_on(canvas):
    return [item for item in canvas.scene().items() if isinstance(item, LiveBoxes)]


def test_card_says_device_tiles_time_and_pixels(dialog):
    told(dialog)
    assert dialog.card.headline.text() == "4 tiles, about 14 s"
    texts = {key: dialog.card.fact(key) for key in ("device", "pixels", "values", "bands", "disk")}
    assert texts == {
        "device": "Tesla T4 (cuda float16)",
        "pixels": "0.6 m raster, 0.6 m model",
        "values": "uint8",
        "bands": "red 1, green 2, blue 3",
        "disk": "50 GB",
    }
    assert dialog.card.sentences() == []


def test_pixels_of_another_size_are_said(dialog, stand_in):
    stand_in.plan(facts={"source_resolution_m": 0.1, "resampled": True, "nodata": 0.0, "tiles": 1})
    dialog.form.slider.setValue(30)
    wait_until(lambda: "0.1 m raster" in dialog.card.fact("pixels"))
    assert dialog.card.fact("pixels") == "0.1 m raster, 0.6 m model: it will be resampled"
    assert dialog.card.fact("values") == "uint8, 0 is no data"
    assert dialog.card.headline.text().startswith("1 tile")


def test_warnings_come_with_their_remedy_and_go(dialog, stand_in):
    stand_in.plan(warnings=[WARNING])
    dialog.form.slider.setValue(30)
    wait_until(lambda: dialog.card.sentences() == ["The picture is hazier.<br><i>Use a clearer one.</i>"])
    stand_in.plan()
    dialog.form.slider.setValue(31)
    wait_until(lambda: dialog.card.sentences() == [])


def test_every_change_is_asked_for_once_it_is_done(dialog, stand_in, canvas):
    told(dialog)
    asked = len(stand_in.preflights())
    for value in range(20, 40):
        dialog.form.slider.setValue(value)  # a drag: one question
        QTest.qWait(20)
    wait_until(lambda: len(stand_in.preflights()) > asked)
    QTest.qWait(400)
    assert len(stand_in.preflights()) == asked + 1
    assert stand_in.preflights()[-1].threshold == 0.39
    dialog.form.area.choose(VISIBLE)
    wait_until(lambda: len(stand_in.preflights()) > asked + 1)
    assert stand_in.preflights()[-1].extent is not None
    dialog.form.classes.item(1).setCheckState(Qt.CheckState.Unchecked)
    wait_until(lambda: len(stand_in.preflights()) > asked + 2)
    assert stand_in.preflights()[-1].classes == ("pool",)


def test_what_cannot_be_run_is_said_on_the_card(dialog, tmp_path):
    told(dialog)
    dialog.form.output.setFilePath(str(tmp_path / "nowhere" / "pools.gpkg"))
    wait_until(lambda: any("does not exist" in said for said in dialog.card.sentences()))
    assert dialog.card.headline.text() == "Not ready yet"
    dialog.form.output.setFilePath("")
    told(dialog)
    dialog.form.classes.choose(["nothing"])
    wait_until(lambda: dialog.card.sentences() == ["Choose at least one class to look for."])


def test_try_shows_boxes_and_adds_nothing(dialog, canvas, stand_in):
    layers = set(QgsProject.instance().mapLayers())
    click(dialog.try_button)
    wait_until(lambda: boxes_on(canvas))
    (boxes,) = boxes_on(canvas)
    assert boxes.count() == 3
    assert "Preview: 3 objects (pool 2, tree 1) in what the map shows" in dialog.status.text()
    dialog.form.slider.setValue(70)  # no new run
    assert boxes.count() == 1
    assert "Preview: 1 object (pool 1)" in dialog.status.text()
    assert set(QgsProject.instance().mapLayers()) == layers
    (job,) = stand_in.jobs()
    assert not Path(job.output).exists()
    assert job.extent == pytest.approx((RASTER.xMinimum(), RASTER.yMinimum(), RASTER.xMaximum(), RASTER.yMaximum()))
    click(dialog.buttons.button(QDialogButtonBox.StandardButton.Close))
    assert boxes_on(canvas) == []


def test_a_cluster_is_for_runs_and_a_try_stays_here(dialog, canvas, stand_in):
    dialog.form.set_parameters({**dialog.form.parameters(), "CLUSTER": "tcp://head:8786"})
    click(dialog.try_button)
    wait_until(lambda: boxes_on(canvas))
    click(dialog.run_button)
    wait_until(lambda: not dialog._run.running)
    assert [job.cluster for job in stand_in.jobs()] == [None, "tcp://head:8786"]
    wait_until(lambda: [job.cluster for job in stand_in.preflights()][-1:] == ["tcp://head:8786"])


def test_try_uses_the_warm_worker(dialog, stand_in):
    told(dialog)
    warm = stand_in.pid("warm_pid")
    click(dialog.try_button)
    wait_until(lambda: "Preview" in dialog.status.text())
    assert stand_in.pid() == warm
    assert os.getpriority(os.PRIO_PROCESS, warm) > os.getpriority(os.PRIO_PROCESS, 0)


def test_try_can_be_stopped(dialog, canvas, stand_in):
    told(dialog)
    stand_in.plan(seconds=60)
    click(dialog.try_button)
    wait_until(lambda: dialog.status.text() == "Trying: Looking at tiles")
    click(dialog.try_button)
    assert dialog.status.text() == "Stopped."
    assert dialog.try_button.text() == "Try here"
    stand_in.plan()
    click(dialog.try_button)
    wait_until(lambda: boxes_on(canvas))


def test_try_off_the_raster_is_said(dialog, canvas):
    canvas.setExtent(QgsRectangle(0, 0, 10, 10))
    click(dialog.try_button)
    assert "The map does not show 'suburb'" in dialog.messages.currentItem().text()


def test_large_maps_are_tried_in_their_middle(raster_layer, model):
    from types import SimpleNamespace

    from qgis.core import QgsCoordinateTransformContext
    from tilehawk.core.job.card import read_card
    from tilehawk.ui.algorithms.sources import raster_source

    class City:
        name, crs, pixel = "city", raster_layer.crs(), 0.6
        extent = QgsRectangle(480000, 3700000, 500000, 3720000)

    assert raster_source(raster_layer).pixel == pytest.approx(PIXEL_M)
    prepared = SimpleNamespace(raster=City, card=read_card(model), transforms=QgsCoordinateTransformContext())
    shown = QgsReferencedRectangle(QgsRectangle(485000, 3705000, 495000, 3715000), raster_layer.crs())
    extent, cut = try_extent(prepared, shown)
    assert cut
    assert (extent.width(), extent.height()) == pytest.approx((1200 * 0.6, 800 * 0.6), rel=0.001)
    assert extent.center().x() == pytest.approx(490000)
    extent, cut = try_extent(prepared, QgsReferencedRectangle(QgsRectangle(485000, 3705000, 485300, 3705300), City.crs))
    assert not cut
    assert extent.width() == pytest.approx(300)


def test_boxes_show_while_they_are_found(dialog, canvas, stand_in):
    x, y = ORIGIN[0] + 10, ORIGIN[1] - 20
    stand_in.plan(seconds=1.5, boxes=[[x, y, x + 5, y + 5], [x + 9, y, x + 14, y + 5]])
    click(dialog.run_button)
    wait_until(lambda: boxes_on(canvas) and boxes_on(canvas)[0].count() == 2)
    picture = canvas.grab().toImage()
    wait_until(lambda: not dialog._run.running)
    assert boxes_on(canvas) == []
    assert picture.width() > 0


def test_boxes_stay_with_their_project_and_the_result_comes_to_the_new_one(dialog, canvas, stand_in):
    x, y = ORIGIN[0] + 10, ORIGIN[1] - 20
    stand_in.plan(seconds=60, boxes=[[x, y, x + 5, y + 5]])
    click(dialog.run_button)
    wait_until(lambda: boxes_on(canvas))
    QgsProject.instance().clear()
    assert boxes_on(canvas) == []
    (stand_in.folder / "finish").touch()
    wait_until(lambda: not dialog._run.running)
    assert dialog._run.layer.id() in QgsProject.instance().mapLayers()
    assert boxes_on(canvas) == []


def test_boxes_are_drawn_where_they_lie(canvas):
    canvas.resize(400, 400)
    canvas.setExtent(RASTER)
    boxes = LiveBoxes(canvas, canvas.mapSettings().destinationCrs(), ["#ff0000"])
    centre = RASTER.center()
    box = QgsRectangle.fromCenterAndSize(centre, 10, 10)
    boxes.add([(box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())], [0.5], [0])
    path = boxes._paths[0].boundingRect()
    pixel = canvas.getCoordinateTransform().transform(centre)
    assert (path.center().x(), path.center().y()) == pytest.approx((pixel.x(), pixel.y()), abs=1)
    assert path.width() == pytest.approx(10 / canvas.mapUnitsPerPixel(), rel=0.05)
    boxes.set_threshold(0.6)
    assert boxes._paths == {}
    boxes.remove()
    assert boxes_on(canvas) == []


def test_boxes_follow_the_map_into_other_coordinates(canvas):
    boxes = LiveBoxes(canvas, QgsCoordinateReferenceSystem(CRS), ["#ff0000"])
    boxes.add([(480010, 3759940, 480020, 3759950)], [0.5], [0])
    own = canvas.mapSettings().destinationCrs()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    there = QgsCoordinateTransform(boxes._crs, canvas.mapSettings().destinationCrs(), QgsProject.instance())
    canvas.setExtent(there.transformBoundingBox(RASTER))
    middle = canvas.getCoordinateTransform().transform(there.transform(480015, 3759945))
    path = boxes._paths[0].boundingRect()
    assert (path.center().x(), path.center().y()) == pytest.approx((middle.x(), middle.y()), abs=1)
    boxes.remove()
    canvas.setDestinationCrs(own)


def test_closing_ends_the_warm_worker_and_reopening_starts_one(dialog, plugin, stand_in):
    told(dialog)
    warm = stand_in.pid("warm_pid")
    click(dialog.buttons.button(QDialogButtonBox.StandardButton.Close))
    wait_until(lambda: gone(warm))
    dialog.card.show_facts({})
    plugin.show_dialog()
    told(dialog)
    assert stand_in.pid("warm_pid") != warm


def test_closing_the_project_ends_the_warm_worker(dialog, stand_in):
    told(dialog)
    QgsProject.instance().clear()
    wait_until(lambda: gone(stand_in.pid("warm_pid")))


def test_a_project_that_closes_leaves_no_old_facts(dialog, stand_in):
    wait_until(lambda: "seconds" in dialog.card.facts)
    QgsProject.instance().clear()
    wait_until(lambda: dialog.card.headline.text() == "Not ready yet")


def test_five_idle_minutes_end_the_warm_worker(dialog, stand_in):
    told(dialog)
    assert dialog.warm._idle.interval() == 300_000
    dialog.warm._idle.timeout.emit()
    wait_until(lambda: gone(stand_in.pid("warm_pid")))
    dialog.card.show_facts({})
    dialog.form.slider.setValue(33)  # and it comes back when it is needed
    told(dialog)


def test_unloading_leaves_no_warm_worker(dialog, plugin, stand_in):
    told(dialog)
    plugin.unload()
    assert gone(stand_in.pid("warm_pid"))


def test_removing_the_raster_in_a_try_is_no_crash(dialog, canvas, stand_in, raster_layer):
    told(dialog)
    stand_in.plan(seconds=1)
    click(dialog.try_button)
    wait_until(lambda: dialog.status.text() == "Trying: Looking at tiles")
    QgsProject.instance().removeMapLayer(raster_layer.id())
    wait_until(lambda: dialog.try_button.text() == "Try here")


def test_rectangle_is_drawn_on_the_map(dialog, canvas, raster_layer, qgis_iface):
    canvas.resize(400, 400)
    canvas.setExtent(RASTER)
    dialog.form.area.choose(RECTANGLE)
    wait_until(lambda: dialog.card.sentences() == ["Draw the rectangle to look at, or choose another area."])
    second = QgsRasterLayer(raster_layer.source(), "second")
    QgsProject.instance().addMapLayer(second)
    qgis_iface.setActiveLayer(second)  # what is active in QGIS counts when the dialog is opened, not when it comes back
    click(dialog.form.area.draw)
    assert not dialog.isVisible()
    viewport = canvas.viewport()
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(100, 100))
    QTest.mouseMove(viewport, QPoint(200, 220))
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(200, 220))
    wait_until(dialog.isVisible)
    assert dialog.form.parameters()["INPUT"] == raster_layer.id()
    extent = dialog.form.parameters()["EXTENT"]
    unit = canvas.mapUnitsPerPixel()
    assert (extent.width(), extent.height()) == pytest.approx((100 * unit, 120 * unit), rel=0.05)
    assert extent.crs().authid() == CRS
    assert "meters" in dialog.form.area.drawn.text() or " m" in dialog.form.area.drawn.text()


def test_online_layers_are_told_with_their_size_and_licence(dialog, stand_in):
    layer = QgsRasterLayer("type=xyz&url=http://127.0.0.1:1/{z}/{x}/{y}.png&zmin=0&zmax=18", "web", "wms")
    QgsProject.instance().addMapLayer(layer)
    dialog.form.set_raster(layer)
    wait_until(lambda: any("too much to fetch" in said for said in dialog.card.sentences()))
    dialog.form.area.choose(VISIBLE)
    wait_until(lambda: any("comes from a server" in said for said in dialog.card.sentences()))
    assert "terms of use" in dialog.card.sentences()[0]
    assert stand_in.preflights()[-1].raster.endswith(".vrt")


def test_message_bar_leads_on(dialog, qgis_iface, plugin):
    reviewed = []
    plugin.runs.review_asked.connect(reviewed.append)
    click(dialog.run_button)
    wait_until(lambda: not dialog._run.running)
    item = qgis_iface.messageBar().currentItem()
    buttons = {button.text(): button for button in item.findChildren(QPushButton)}
    assert {"Open table", "Review…", "Export…"} <= set(buttons)
    click(buttons["Review…"])
    assert [layer.name() for layer in reviewed] == ["Pools and trees: suburb"]


def test_many_classes_can_be_chosen_among(dialog, tmp_path):
    from dataclasses import replace

    from tilehawk.core.job.card import ObjectClass

    from tests.ui.scenery import CARD

    card = replace(CARD, classes=tuple(ObjectClass(f"kind {n}") for n in range(40)))
    dialog.form.model.set_path(str(write_card(tmp_path / "many.safetensors", card)))
    classes = dialog.form.classes
    assert classes.count() == 40
    assert dialog.form.parameters().get("CLASSES") is None  # all of them
    classes.choose(["kind 3", "kind 39"])
    assert dialog.form.parameters()["CLASSES"] == "kind 3, kind 39"
    assert classes.height() < 10 * classes.fontMetrics().height()  # the rest is scrolled to


def test_an_event_of_another_question_is_passed_over(dialog):
    facts = told(dialog)
    stranger: Event = {"event": "preflight", "tiles": 99}
    dialog._hear(-1, stranger)
    assert dialog.card.facts == facts


def test_a_result_can_be_detected_again(dialog, plugin, qgis_iface, stand_in, raster_layer, canvas):
    rectangle = QgsReferencedRectangle(QgsRectangle(480010, 3759960, 480030, 3759980), raster_layer.crs())
    dialog.form.area.set_rectangle(rectangle)
    dialog.form.slider.setValue(25)
    dialog.form.classes.choose(["tree"])
    first = dialog.form.parameters()
    click(dialog.run_button)
    wait_until(lambda: not dialog._run.running)
    layer = dialog._run.layer
    dialog.form.set_parameters({})  # all as it comes
    assert "EXTENT" not in dialog.form.parameters()
    qgis_iface.setActiveLayer(layer)
    plugin.runs.again.action.trigger()
    again = dialog.form.parameters()
    assert again["EXTENT"].crs() == rectangle.crs()
    assert QgsRectangle(again["EXTENT"]) == QgsRectangle(rectangle)
    for name in ("MODEL", "THRESHOLD", "CLASSES"):
        assert again[name] == first[name]
    click(dialog.run_button)
    wait_until(lambda: not dialog._run.running)
    one, other = stand_in.jobs()
    assert (one.extent, one.classes, one.raster, one.threshold) == (
        other.extent, other.classes, other.raster, other.threshold,
    )  # fmt: skip
