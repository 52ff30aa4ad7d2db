"""The algorithm: what it lists, what it refuses and in which words, what it hands to the worker and gives back."""

import os
import threading
from pathlib import Path

import pytest
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProject,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsVectorLayer,
)
from tilehawk.core.job.jobs import DetectJob

from tests.ui.algorithm_calls import refusal, run
from tests.ui.scenery import CARD, CRS, ORIGIN, PIXEL_M, SIDE_PX, wait_until, write_card

SIDE_M = SIDE_PX * PIXEL_M
EXTENT = (ORIGIN[0], ORIGIN[1] - SIDE_M, ORIGIN[0] + SIDE_M, ORIGIN[1])


def polygons(*rectangles, crs=CRS):
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "gardens", "memory")
    features = []
    for rectangle in rectangles:
        feature = QgsFeature()
        feature.setGeometry(QgsGeometry.fromRect(QgsRectangle(*rectangle)))
        features.append(feature)
    layer.dataProvider().addFeatures(features)
    QgsProject.instance().addMapLayer(layer)
    return layer


def test_listed_with_its_parameters(algorithm):
    names = [parameter.name() for parameter in algorithm.parameterDefinitions()]
    assert names == [
        "INPUT", "MODEL", "EXTENT", "MASK", "THRESHOLD", "VIEW",
        "TILE", "OVERLAP", "NMS_OVERLAP", "SCORE_FLOOR", "CLASSES", "BANDS", "VALUE_RANGE", "RESOLUTION",
        "BATCH_SIZE", "DEVICE", "CLUSTER", "RESUME", "OUTPUT",
    ]  # fmt: skip
    assert all(parameter.help() for parameter in algorithm.parameterDefinitions())
    outputs = [output.name() for output in algorithm.outputDefinitions()]
    assert outputs == ["OUTPUT", "OBJECT_COUNT", "THRESHOLD_USED", "NOT_EXAMINED_AREA", "SECONDS", "FOUND"]
    assert not algorithm.icon().isNull()
    assert not algorithm.parameterDefinition("OUTPUT").supportsNonFileBasedOutput()
    assert algorithm.provider().supportedOutputVectorLayerExtensions()[0] == "gpkg"


def test_values_in_order_are_accepted(algorithm, values, context, stand_in):
    assert algorithm.checkParameterValues(values, context) == (True, "")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"MODEL": "fire-hydrants"}, "There is no model 'fire-hydrants'."),
        ({"MODEL": "/nowhere/pools.safetensors"}, "cannot be read"),
        ({"CLASSES": "pool, car"}, "does not know the class 'car'. It knows 'pool', 'tree'."),
        ({"TILE": 128, "OVERLAP": 100}, "The overlap between tiles can be at most half a tile."),
        ({"NMS_OVERLAP": 0.0}, "The overlap for suppression must lie above 0"),
        ({"VALUE_RANGE": "10,5"}, "The value range needs its low value below its high value."),
        ({"VALUE_RANGE": "10,None"}, "The value range needs both its low and its high value."),
        ({"RESOLUTION": "fine"}, "The pixel size is a number of metres, 'model' or 'native', not 'fine'."),
        ({"RESOLUTION": "-1"}, "The resolution must be a positive number of metres."),
        ({"EXTENT": "0,1,0,1 [EPSG:26911]"}, "The extent lies outside the raster 'suburb'."),
        ({"OUTPUT": "/nowhere/found.gpkg"}, "The folder '/nowhere' for the result does not exist."),
        ({"OUTPUT": "/tmp/found.dxf"}, "not as 'found.dxf'"),
        ({"OUTPUT": "memory:"}, "file"),
        ({"OUTPUT": "postgis:dbname=x"}, "file"),
        ({"OUTPUT": "ogr:dbname='/tmp/a.gpkg' table=\"b\""}, "file"),
    ],
)
def test_refused_in_a_sentence(algorithm, values, context, stand_in, changes, sentence):
    assert sentence in refusal(algorithm, {**values, **changes}, context)


def test_target_open_in_the_project_is_refused(algorithm, values, context, stand_in):
    open_layer = QgsVectorLayer(f"{stand_in.gpkg}|layername=detections", "old pools")
    QgsProject.instance().addMapLayer(open_layer)
    said = refusal(algorithm, {**values, "OUTPUT": str(stand_in.gpkg)}, context)
    assert "is open in the project as 'old pools'" in said


def test_missing_interpreter_is_said(algorithm, values, context, monkeypatch):
    monkeypatch.setenv("TILEHAWK_PYTHON", "/nowhere/python")
    ok, said = algorithm.canExecute()
    assert not ok
    assert "'/nowhere/python' set in the variable TILEHAWK_PYTHON does not exist" in said


def test_run_gives_file_and_numbers(algorithm, values, context, stand_in):
    stand_in.plan(notices=[["The bands were taken in their order.", "info"], ["The raster has no CRS.", "warning"]])
    feedback = QgsProcessingFeedback()
    results, ok = run(algorithm, values, context, feedback)
    assert ok
    assert results == {
        "OUTPUT": values["OUTPUT"] + "|layername=detections",
        "OBJECT_COUNT": 3,
        "THRESHOLD_USED": 0.4,
        "NOT_EXAMINED_AREA": 0.0,
        "SECONDS": 0.5,
        "FOUND": "3 objects (pool 2, tree 1)",
    }
    assert QgsVectorLayer(results["OUTPUT"]).featureCount() == 5
    log = feedback.textLog()
    assert "The bands were taken in their order." in log
    assert "The raster has no CRS." in log
    assert "3 objects (pool 2, tree 1) in 1 s, on CPU." in log


def test_parameters_reach_the_job(algorithm, values, context, stand_in):
    changes = {
        "THRESHOLD": 0.3, "TILE": 256, "OVERLAP": 64, "NMS_OVERLAP": 0.4, "SCORE_FLOOR": 0.02, "CLASSES": "Tree",
        "BANDS": [3, 2, 1], "VALUE_RANGE": "0,2047", "RESOLUTION": "0.3", "BATCH_SIZE": 2, "DEVICE": "cpu",
        "CLUSTER": " tcp://head:8786 ",
    }  # fmt: skip
    run(algorithm, {**values, **changes}, context)
    assert stand_in.jobs() == [
        DetectJob(
            raster=values["INPUT"], model=values["MODEL"], output=values["OUTPUT"],
            threshold=0.3, score_floor=0.02, nms_overlap=0.4, tile_px=256, overlap_px=64, batch_size=2, device="cpu",
            bands=(3, 2, 1), value_range=(0, 2047), resolution_m=0.3, classes=("tree",),
            cluster="tcp://head:8786",
        )
    ]  # fmt: skip


def test_what_is_left_out_is_left_to_the_card(algorithm, values, context, stand_in):
    run(algorithm, values, context)
    assert stand_in.jobs() == [
        DetectJob(values["INPUT"], values["MODEL"], values["OUTPUT"], device="auto", resolution_m="model")
    ]


def test_the_cluster_of_the_settings_looks_unless_left_out(algorithm, values, context, stand_in, tmp_path):
    from tilehawk.ui.settings import Settings, write_settings

    write_settings(Settings(cluster="tcp://head:8786"))
    run(algorithm.create(), values, context)
    run(algorithm.create(), {**values, "OUTPUT": str(tmp_path / "again.gpkg"), "CLUSTER": ""}, context)
    assert [job.cluster for job in stand_in.jobs()] == ["tcp://head:8786", None]


def test_what_is_no_clusters_address_is_told(algorithm, values, context):
    assert "'head', is not one such as tcp://host:8786" in refusal(algorithm, {**values, "CLUSTER": "head"}, context)


def test_model_by_name(algorithm, values, context, stand_in, tmp_path):
    from tilehawk.ui.settings import Settings, write_settings

    write_card(tmp_path / "boats.safetensors", CARD)
    write_settings(Settings(model_folder=str(tmp_path)))
    run(algorithm, {**values, "MODEL": "Boats"}, context)
    assert stand_in.jobs()[0].model == str(tmp_path / "boats.safetensors")


def test_extent_of_another_crs_is_brought_to_the_rasters(algorithm, values, context, stand_in):
    wanted = QgsRectangle(EXTENT[0] + 6, EXTENT[1] + 6, EXTENT[2] - 6, EXTENT[3] - 6)
    degrees = QgsCoordinateReferenceSystem("EPSG:4326")
    to_degrees = QgsCoordinateTransform(QgsCoordinateReferenceSystem(CRS), degrees, QgsProject.instance())
    there = QgsReferencedRectangle(to_degrees.transformBoundingBox(wanted), degrees)
    run(algorithm, {**values, "EXTENT": there}, context)
    extent = stand_in.jobs()[0].extent
    expected = (wanted.xMinimum(), wanted.yMinimum(), wanted.xMaximum(), wanted.yMaximum())
    # the box of a turned box is larger: less than a pixel here
    assert extent == pytest.approx(expected, abs=PIXEL_M)


def test_area_layer_is_exported_in_the_rasters_crs(algorithm, values, context, stand_in):
    inside = (EXTENT[0] + 6, EXTENT[1] + 6, EXTENT[0] + 18, EXTENT[1] + 18)
    outside = (EXTENT[0] + 6000, EXTENT[1], EXTENT[0] + 6010, EXTENT[1] + 10)
    metres = QgsCoordinateReferenceSystem(CRS)
    mercator = QgsCoordinateReferenceSystem("EPSG:3857")
    transform = QgsCoordinateTransform(metres, mercator, QgsProject.instance())
    there = [transform.transformBoundingBox(QgsRectangle(*each)) for each in (inside, outside)]
    corners = [(box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()) for box in there]
    layer = polygons(*corners, crs="EPSG:3857")
    run(algorithm, {**values, "MASK": layer}, context)
    area = stand_in.area()
    assert not Path(stand_in.jobs()[0].mask).exists()
    assert area.crs() == metres
    (feature,) = area.getFeatures()  # the one off the raster is left behind
    assert feature.geometry().area() == pytest.approx(144, rel=0.02)


def test_area_follows_a_crs_that_the_user_has_set(algorithm, values, context, stand_in, raster_layer):
    """The file's coordinates count, and its CRS, which is all that the worker sees."""
    raster_layer.setCrs(QgsCoordinateReferenceSystem("EPSG:26910"))
    layer = polygons((EXTENT[0], EXTENT[1], EXTENT[0] + 9, EXTENT[1] + 9), crs="EPSG:26910")
    run(algorithm, {**values, "INPUT": raster_layer, "MASK": layer}, context)
    area = stand_in.area()
    assert area.crs().authid() == CRS
    assert area.extent().xMinimum() == pytest.approx(EXTENT[0])


def test_only_selected_polygons_count_when_asked(algorithm, values, context, stand_in):
    boxes = [(EXTENT[0] + 6 * i, EXTENT[1], EXTENT[0] + 6 * i + 5, EXTENT[1] + 5) for i in range(3)]
    layer = polygons(*boxes)
    layer.selectByIds([2])
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True)
    run(algorithm, {**values, "MASK": selected}, context)
    area = stand_in.area()
    assert area.featureCount() == 1
    assert area.extent().xMinimum() == pytest.approx(boxes[1][0])


def test_crossed_polygon_is_made_valid(algorithm, values, context, stand_in):
    layer = polygons()
    feature = QgsFeature()
    x, y = EXTENT[0], EXTENT[1]
    feature.setGeometry(QgsGeometry.fromWkt(f"POLYGON(({x} {y},{x + 10} {y + 10},{x + 10} {y},{x} {y + 10},{x} {y}))"))
    layer.dataProvider().addFeature(feature)
    run(algorithm, {**values, "MASK": layer}, context)
    (written,) = stand_in.area().getFeatures()
    assert written.geometry().isGeosValid()
    assert written.geometry().area() == pytest.approx(50)


def test_area_layer_off_the_raster_is_refused(algorithm, values, context, stand_in):
    layer = polygons((0, 0, 1, 1))
    with pytest.raises(Exception, match="No polygon of 'gardens' lies on the raster 'suburb'"):
        run(algorithm, {**values, "MASK": layer}, context)
    assert stand_in.jobs() == []


def test_failure_of_the_worker_is_its_sentence(algorithm, values, context, stand_in):
    stand_in.plan(error=["RasterError", "The raster 'suburb.tif' has no pixels."])
    with pytest.raises(Exception, match="has no pixels"):
        run(algorithm, values, context)


def test_cancel_ends_the_worker_and_writes_nothing(algorithm, values, context, stand_in):
    stand_in.plan(seconds=60)
    feedback = QgsProcessingFeedback()
    timer = threading.Timer(1.0, feedback.cancel)
    timer.start()
    results, _ = run(algorithm, values, context, feedback)
    timer.join()
    assert results == {}
    assert not Path(values["OUTPUT"]).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(stand_in.pid(), 0)


def test_progress_comes_with_the_time_left(algorithm, values, context, stand_in):
    stand_in.plan(seconds=0.5)
    seen, texts = [], []

    class Feedback(QgsProcessingFeedback):
        def setProgressText(self, text):
            texts.append(text)

    feedback = Feedback()
    feedback.progressChanged.connect(seen.append)
    run(algorithm, values, context, feedback)
    wait_until(lambda: len(seen) > 1)
    assert seen == sorted(seen)
    assert texts == ["Looking at tiles, about 1 s left"]  # not one line a tick


def test_found_by_the_registry(plugin):
    assert "tilehawk:detect" in [each.id() for each in QgsApplication.processingRegistry().algorithms()]


def leave_parts(values):
    """Have parts beside the output, as a worker leaves them that has died."""
    parts = Path(values["OUTPUT"] + ".partial")
    parts.mkdir()
    (parts / "job.json").write_text('{"pid": 1, "job": {}}')
    return parts


def test_a_run_goes_on_from_what_an_interrupted_one_has_left(algorithm, values, context, stand_in):
    run(algorithm, values, context)
    leave_parts(values)
    run(algorithm, values, context)
    leave_parts(values)
    run(algorithm, {**values, "RESUME": False}, context)
    assert [job.resume for job in stand_in.jobs()] == [False, True, False]


def test_a_run_that_cannot_go_on_from_what_is_left_begins_anew(algorithm, values, context, stand_in):
    leave_parts(values)
    stand_in.plan(error=["CannotResume", "'found.gpkg.partial' was left by another job: not the same tiles."])
    results, ok = run(algorithm, values, context)
    assert ok and results["OBJECT_COUNT"] == 3
    assert [job.resume for job in stand_in.jobs()] == [True, False]


def test_a_run_that_fails_says_that_it_can_go_on(algorithm, values, context, stand_in):
    stand_in.plan(error=["OutputError", "The disk is full."], parts_stay=True)
    with pytest.raises(QgsProcessingException, match=r"disk is full\. What was found so far is kept: start the same"):
        run(algorithm, values, context)
    stand_in.plan(error=["OutputError", "The disk is full."])
    with pytest.raises(QgsProcessingException, match=r"disk is full\.$"):
        run(algorithm, values, context)
