"""The verb on made rasters, with an ideal detector: what is bright is an object, its box exact to the pixel."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.features import shapes
from rasterio.transform import from_origin

from core import detect as verb
from core.detect import detect
from core.detections.detections import Detections
from core.job.card import CARD_KEY, Architecture, Band, ModelCard, ObjectClass, card_to_json
from core.job.errors import Cancelled, InvalidJob, ModelError, RasterError
from core.job.jobs import DetectJob
from core.settings import open_for

CARD = ModelCard(
    name="ideal",
    classes=(ObjectClass("red thing"), ObjectClass("green thing")),
    bands=(Band("red", mean=20.0), Band("green", mean=20.0), Band("blue", mean=20.0)),
    resolution_m=0.6,
    tile_px=128,
    overlap_px=64,
    architecture=Architecture(levels=("P3", "P4"), anchor_sizes=(16.0, 32.0)),
)
LEFT, TOP, PX = 500_000.0, 4_000_000.0, 0.6
DARK, BRIGHT = 20, 220


class IdealDetector:
    """Sees bright rectangles, also parts of them; red ones are class 0, green ones class 1. Blue is the score."""

    backend = SimpleNamespace(name="an ideal", key="cpu exact", device=SimpleNamespace(type="cpu"))
    batch_limit = 1024

    def __init__(self):
        self.batches = []

    def __call__(self, images, score_floor, nms_overlap):
        self.batches.append(images.shape)
        return [self.look(image, score_floor) for image in images]

    def look(self, image, score_floor):
        found = []
        for label in (0, 1):
            bright = image[label] > (DARK + BRIGHT) // 2
            for outline, _ in shapes(bright.astype(np.uint8), bright, 4):
                x0, y0, x1, y1 = shapely.geometry.shape(outline).bounds
                score = image[2, int(y0 + y1) // 2, int(x0 + x1) // 2] / 255
                found.append((x0, y0, x1, y1, score, label))
        columns = np.array([row for row in found if row[4] >= score_floor]).reshape(-1, 6)
        return Detections(
            columns[:, :4].astype(np.float32), columns[:, 4].astype(np.float32), columns[:, 5].astype(int)
        )


class Scene:
    """A dark raster with bright rectangles that do not touch; `boxes` (N, 4) px, `labels` (N,), `scores` (N,)."""

    def __init__(self, width, height, sizes=(4, 48), count=120, seed=0):
        rng = np.random.default_rng(seed)
        self.image = np.full((3, height, width), DARK, np.uint8)
        taken = np.zeros((height, width), bool)
        boxes, labels, scores = [], [], []
        for _ in range(count * 10):
            w, h = rng.integers(*sizes, size=2)
            x, y = rng.integers(0, width - w), rng.integers(0, height - h)
            if taken[max(y - 3, 0) : y + h + 3, max(x - 3, 0) : x + w + 3].any() or len(boxes) == count:
                continue
            taken[y : y + h, x : x + w] = True
            label, blue = int(rng.integers(2)), int(rng.integers(100, 250))
            self.image[label, y : y + h, x : x + w] = BRIGHT
            self.image[2, y : y + h, x : x + w] = blue
            boxes.append((x, y, x + w, y + h))
            labels.append(label)
            scores.append(blue / 255)
        self.boxes, self.labels, self.scores = np.array(boxes, float), np.array(labels), np.array(scores)

    def write(self, path, px=PX, **profile):
        height, width = self.image.shape[1:]
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=width,
            height=height,
            count=3,
            dtype="uint8",
            **{"crs": "EPSG:32611", "transform": from_origin(LEFT, TOP, px, px), **profile},
        ) as raster:
            raster.write(self.image)
        return str(path)

    def on_map(self, px=PX):
        """The true boxes in map coordinates."""
        x0, y0, x1, y1 = self.boxes.T
        return np.stack([LEFT + px * x0, TOP - px * y1, LEFT + px * x1, TOP - px * y0], axis=1)


def write_model(path, card=CARD):
    text = json.dumps({"__metadata__": {CARD_KEY: card_to_json(card)}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    return str(path)


@pytest.fixture
def scene():
    return Scene(420, 330)


@pytest.fixture
def job(tmp_path, scene):
    (tmp_path / "out").mkdir()
    return DetectJob(
        raster=scene.write(tmp_path / "scene.tif"),
        model=write_model(tmp_path / "ideal.safetensors"),
        output=str(tmp_path / "out" / "found.gpkg"),
        threshold=0.0,
        score_floor=0.0,
    )


def never():
    return False


def run(job, report=lambda event: None, cancelled=never, detector=None):
    return detect(job, report, cancelled, lambda path, device: detector or IdealDetector())


def read(path, layer=None):
    meta, _, wkb, columns = pyogrio.raw.read(path, layer=layer)
    return shapely.from_wkb(wkb), dict(zip(meta["fields"], columns, strict=True)), meta


def bounds_of(path, layer=None):
    """Boxes in the file, in a fixed order."""
    boxes = shapely.bounds(read(path, layer)[0]).reshape(-1, 4)
    return boxes[np.lexsort(boxes.T)]


def ordered(boxes):
    return boxes[np.lexsort(boxes.T)]


@pytest.mark.parametrize(
    ("tile", "overlap"), [(None, None), (64, 32), (96, 48), (128, 16), (128, 48), (160, 80), (256, 64), (1024, 128)]
)
def test_every_object_is_found_once_at_its_place_whatever_the_tiles(job, scene, tile, overlap):
    result = run(dataclasses.replace(job, tile_px=tile, overlap_px=overlap))
    assert np.allclose(bounds_of(job.output, "detections"), ordered(scene.on_map()), atol=1e-6)
    assert sum(result["objects"].values()) == len(scene.boxes)


@pytest.mark.parametrize("extent", [None, (LEFT + 200, TOP - 198, LEFT + 252, TOP - 100)])
def test_boxes_end_where_the_raster_ends(job, scene, extent):
    class Generous(IdealDetector):
        """Sees one object that sticks out of every tile by far, and one that lies beyond the raster."""

        def look(self, image, score_floor):
            boxes = np.array([[-30, -30, 180, 190], [121, 10, 127, 20]], np.float32)
            return Detections(boxes, np.full(2, 0.9, np.float32), np.array([0, 1]))

    events = []
    run(dataclasses.replace(job, extent=extent), events.append, detector=Generous())
    width, height = (PX * side for side in scene.image.shape[:0:-1])
    shown = [box for event in events if event["event"] == "boxes" for box in event["boxes"]]
    for boxes in (bounds_of(job.output, "detections"), np.array(shown)):
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        assert boxes[:, 0].min() >= LEFT - 1e-6
        assert boxes[:, 1].min() == pytest.approx(TOP - height, abs=1e-6)
        assert boxes[:, 2].max() == pytest.approx(LEFT + width, abs=1e-6)
        assert boxes[:, 3].max() <= TOP + 1e-6


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_batch_does_not_matter(job, scene, batch_size):
    detector = IdealDetector()
    run(dataclasses.replace(job, batch_size=batch_size), detector=detector)
    assert np.allclose(bounds_of(job.output, "detections"), ordered(scene.on_map()), atol=1e-6)
    assert max(shape[0] for shape in detector.batches) <= batch_size


def test_a_batch_too_large_for_the_device_is_told_once(job, scene):
    class Cramped(IdealDetector):
        def __call__(self, images, score_floor, nms_overlap):
            self.batch_limit = min(self.batch_limit, 3)
            return super().__call__(images, score_floor, nms_overlap)

    result = run(dataclasses.replace(job, batch_size=8), detector=Cramped())
    told = [sentence for sentence in result["notices"] if "memory" in sentence]
    assert told == ["The device's memory was too small for so many tiles at once; from now on 3."]
    assert result["batch_size"] == 3


def test_augmentation_looks_again_and_finds_the_same(job, scene):
    detector = IdealDetector()
    plain = run(dataclasses.replace(job, extent=(LEFT, TOP - 60, LEFT + 60, TOP)), detector=detector)
    looks, boxes = len(detector.batches), bounds_of(job.output, "detections")
    job = dataclasses.replace(job, extent=(LEFT, TOP - 60, LEFT + 60, TOP), augment=("flips", "turns"))
    result = run(job, detector=detector)
    assert len(detector.batches) == looks + 6 * looks
    assert np.array_equal(bounds_of(job.output, "detections"), boxes)
    assert result["objects"] == plain["objects"]
    assert (plain["augment"], result["augment"]) == ([], ["flips", "turns"])


def test_other_merging_rules_are_there_to_compare_with(job, scene):
    boxes = {}
    for rule in ("seams", "centre", "nms"):
        result = run(dataclasses.replace(job, tile_px=64, overlap_px=32, merge=rule))
        assert result["merge"] == rule
        boxes[rule] = bounds_of(job.output, "detections")
    assert len(boxes["seams"]) == len(scene.boxes)
    assert not np.array_equal(boxes["centre"], boxes["seams"]), "objects wider than the overlap stay in parts"
    assert len(boxes["nms"]) > len(boxes["centre"])


def test_the_result_tells_what_was_done(job, scene):
    result = run(dataclasses.replace(job, threshold=0.6, score_floor=0.5))
    counted = {"red thing": int(((scene.labels == 0) & (scene.scores >= 0.6)).sum())}
    counted["green thing"] = int((scene.scores >= 0.6).sum()) - counted["red thing"]
    assert result["objects"] == counted
    assert result["above_floor"] == (scene.scores >= 0.5).sum()
    assert result["output"] == job.output
    assert set(result["layers"]) == {"detections", "not_examined"}
    assert (result["device"], result["backend"]) == ("an ideal", "cpu exact")
    assert (result["model"], result["raster"]) == (job.model, job.raster)
    assert result["threshold"] == 0.6
    assert result["tiles"] == 6 * 5  # 420 x 330 px in tiles of 128 px, 64 px apart
    assert result["seconds"] > 0 and result["tiles_per_second"] > 0
    assert result["not_examined_m2"] == 0
    json.dumps(result, allow_nan=False)


def test_keys_and_logins_of_an_address_are_not_written_down(job, monkeypatch):
    secret = dataclasses.replace(job, raster="/vsicurl/https://me:hush3141@example.org/scene.tif?key=hush3141")
    monkeypatch.setattr(verb, "open_for", lambda _, card: open_for(job, card))
    said = []
    result = run(secret, said.append)
    assert result["raster"] == "/vsicurl/https://example.org/scene.tif"
    assert "hush3141" not in json.dumps([result, *said])
    assert b"hush3141" not in Path(result["output"]).read_bytes()


def test_attributes_say_class_score_and_area(job, scene):
    run(job)
    shapes, fields, _ = read(job.output, "detections")
    by_box = {tuple(np.round(box, 3)): i for i, box in enumerate(scene.on_map())}
    true = [by_box[tuple(np.round(box, 3))] for box in shapely.bounds(shapes)]
    assert fields["class"].tolist() == [CARD.classes[scene.labels[i]].name for i in true]
    assert np.allclose(fields["score"], scene.scores[true], atol=1e-4)
    sides = scene.boxes[true, 2:] - scene.boxes[true, :2]
    assert np.allclose(fields["box_area_m2"], sides.prod(axis=1) * PX**2, rtol=2e-3)


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb"])
def test_each_format_holds_the_same_boxes(job, scene, suffix):
    path = str(Path(job.output).with_suffix(f".{suffix}"))
    run(dataclasses.replace(job, output=path))
    shapes, _, meta = read(path, "detections" if suffix == "gpkg" else None)
    back = Transformer.from_crs(meta["crs"], "EPSG:32611", always_xy=True)  # GeoJSON is in degrees, to 8 decimals
    there = shapely.transform(shapes, lambda xy: np.column_stack(back.transform(xy[:, 0], xy[:, 1])))
    off = np.abs(shapely.bounds(there)[:, None] - scene.on_map()).max(axis=2)
    assert len(shapes) == len(scene.boxes)
    assert max(off.min(axis=0).max(), off.min(axis=1).max()) < 0.005


def test_a_geopackage_keeps_all_above_the_floor_and_other_formats_what_counts(job, scene):
    run(dataclasses.replace(job, threshold=0.7, score_floor=0.5))
    assert len(bounds_of(job.output, "detections")) == (scene.scores >= 0.5).sum()
    path = str(Path(job.output).with_suffix(".fgb"))
    run(dataclasses.replace(job, threshold=0.7, score_floor=0.5, output=path))
    assert len(bounds_of(path)) == (scene.scores >= 0.7).sum()


def test_a_threshold_below_the_models_floor_lowers_the_floor(job, tmp_path, scene):
    card = dataclasses.replace(CARD, score_floor=0.6)
    job = dataclasses.replace(job, threshold=0.5, score_floor=None, model=write_model(tmp_path / "m.safetensors", card))
    assert sum(run(job)["objects"].values()) == (scene.scores >= 0.5).sum()


def test_an_extent_takes_whole_objects_whose_centre_lies_in_it(job, scene):
    extent = (LEFT + 60.3, TOP - 150.3, LEFT + 180.3, TOP - 30.3)  # 200 px a side, across many objects
    run(dataclasses.replace(job, extent=extent))
    truth = scene.on_map()
    x, y = (truth[:, 0] + truth[:, 2]) / 2, (truth[:, 1] + truth[:, 3]) / 2
    inside = (x > extent[0]) & (x < extent[2]) & (y > extent[1]) & (y < extent[3])
    assert 10 < inside.sum() < len(truth)
    assert np.allclose(bounds_of(job.output, "detections"), ordered(truth[inside]), atol=1e-6)


def test_a_mask_takes_whole_objects_whose_centre_lies_in_it_and_spares_the_rest(job, scene, tmp_path):
    ring = shapely.Point(LEFT + 126, TOP - 99).buffer(90) - shapely.Point(LEFT + 126, TOP - 99).buffer(60)
    pyogrio.raw.write(
        tmp_path / "area.gpkg",
        geometry=shapely.to_wkb(np.array([ring], object)),
        field_data=[],
        fields=[],
        geometry_type="Polygon",
        crs="EPSG:32611",
    )
    detector = IdealDetector()
    run(dataclasses.replace(job, mask=str(tmp_path / "area.gpkg"), tile_px=64, overlap_px=32), detector=detector)
    truth = scene.on_map()
    inside = shapely.contains_xy(ring, (truth[:, 0] + truth[:, 2]) / 2, (truth[:, 1] + truth[:, 3]) / 2)
    assert 10 < inside.sum() < len(truth)
    found = bounds_of(job.output, "detections")
    assert np.allclose(found, ordered(truth[inside]), atol=1e-6)
    assert sum(shape[0] for shape in detector.batches) < 12 * 10


def test_only_the_classes_asked_for_are_kept(job, scene):
    result = run(dataclasses.replace(job, classes=("Green Thing",)))
    assert result["objects"] == {"green thing": int((scene.labels == 1).sum())}
    assert np.allclose(bounds_of(job.output, "detections"), ordered(scene.on_map()[scene.labels == 1]), atol=1e-6)


def test_a_raster_of_another_resolution_is_looked_at_in_the_models(job, tmp_path):
    scene = Scene(800, 640, sizes=(24, 90), count=40, seed=3)
    result = run(dataclasses.replace(job, raster=scene.write(tmp_path / "fine.tif", px=0.3)))
    found = bounds_of(job.output, "detections")
    assert len(found) == len(scene.boxes)
    off = np.abs(found[:, None] - scene.on_map(0.3)).max(axis=2)
    assert off.min(axis=1).max() < PX  # a pixel of the model's
    assert sorted(off.argmin(axis=1)) == list(range(len(found)))
    assert result["tiles"] < 50
    assert any("resampled" in sentence for sentence in result["notices"])


def test_in_native_resolution_nothing_is_resampled(job, tmp_path):
    scene = Scene(800, 640, sizes=(24, 90), count=40, seed=3)
    job = dataclasses.replace(job, raster=scene.write(tmp_path / "fine.tif", px=0.3), resolution_m="native")
    run(dataclasses.replace(job, tile_px=256, overlap_px=128))
    assert np.allclose(bounds_of(job.output, "detections"), ordered(scene.on_map(0.3)), atol=1e-6)


def test_ground_without_data_is_told_and_holds_no_objects(job, scene, tmp_path):
    scene.image[:, 128:256, 128:256] = 0
    raster = scene.write(tmp_path / "holes.tif", nodata=0)
    # A detector that sees something everywhere: one box in the middle of each 32 px cell.
    centres = np.stack(np.meshgrid(np.arange(16, 128, 32), np.arange(16, 128, 32)), axis=-1).reshape(-1, 2)
    boxes = np.concatenate([centres - 4, centres + 4], axis=1).astype(np.float32)
    everywhere = Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))

    class Dreamer(IdealDetector):
        def look(self, image, score_floor):
            return everywhere

    result = run(dataclasses.replace(job, raster=raster), detector=Dreamer())
    hole = shapely.box(LEFT + PX * 128, TOP - PX * 256, LEFT + PX * 256, TOP - PX * 128)
    missing = shapely.union_all(read(job.output, "not_examined")[0])
    assert missing.symmetric_difference(hole).area < 1e-6 * hole.area
    assert result["not_examined_m2"] == pytest.approx(hole.area, rel=2e-3)
    centroids = shapely.centroid(read(job.output, "detections")[0])
    assert len(centroids) > 50
    assert not shapely.intersects(centroids, hole).any()


def test_a_raster_without_a_crs_is_examined_in_its_pixels(job, scene, tmp_path):
    raster = scene.write(tmp_path / "plain.tif", crs=None)
    result = run(dataclasses.replace(job, raster=raster))
    assert np.allclose(bounds_of(job.output, "detections"), ordered(scene.on_map()), atol=1e-6)
    json.dumps(result, allow_nan=False)


def test_progress_boxes_and_notices_are_told(job, scene):
    events = []
    run(dataclasses.replace(job, threshold=0.6, score_floor=0.3), events.append)
    steps = [event for event in events if event["event"] == "progress"]
    done = [event["done"] for event in steps]
    assert done == sorted(done) and done[0] == 0 and done[-1] == 1
    assert any(event["seconds_left"] is not None for event in steps)
    previews = [event for event in events if event["event"] == "boxes"]
    shown = np.concatenate([event["boxes"] for event in previews])
    assert max(len(event["boxes"]) for event in previews) <= 1000
    assert min(score for event in previews for score in event["scores"]) >= 0.6
    for box in scene.on_map()[scene.scores >= 0.6]:
        assert np.abs(shown - box).max(axis=1).min() < 1e-6
    assert any(event["event"] == "notice" and "30 tiles of 128 px on an ideal" in event["text"] for event in events)
    for event in events:
        json.dumps(event, allow_nan=False)


def test_a_crowd_is_previewed_in_portions(job):
    class Crowd(IdealDetector):
        def look(self, image, score_floor):
            x, y = np.meshgrid(np.arange(0, 126, 2.0), np.arange(0, 126, 2.0))
            boxes = np.stack([x, y, x + 2, y + 2], axis=-1).reshape(-1, 4).astype(np.float32)
            return Detections(boxes, np.full(len(boxes), 0.9, np.float32), np.zeros(len(boxes), np.int64))

    events = []
    run(dataclasses.replace(job, extent=(LEFT, TOP - 60, LEFT + 60, TOP)), events.append, detector=Crowd())
    sizes = [len(event["boxes"]) for event in events if event["event"] == "boxes"]
    assert max(sizes) == 1000
    assert sum(sizes) >= 100 * 100 / 4  # boxes of 2 px on an extent of 100 px a side


@pytest.mark.parametrize("after", [0, 1, 2, 5, 20])
def test_cancelling_leaves_nothing_and_keeps_what_was_there(job, after):
    Path(job.output).write_text("an older result")
    asked = iter(range(1000))
    with pytest.raises(Cancelled):
        run(job, cancelled=lambda: next(asked) >= after)
    assert list(Path(job.output).parent.iterdir()) == [Path(job.output)]
    assert Path(job.output).read_text() == "an older result"


def test_a_failure_leaves_nothing(job):
    class Broken(IdealDetector):
        def look(self, image, score_floor):
            raise MemoryError

    with pytest.raises(MemoryError):
        run(job, detector=Broken())
    assert list(Path(job.output).parent.iterdir()) == []


def test_an_older_result_is_replaced(job, scene):
    run(dataclasses.replace(job, classes=("red thing",)))
    run(job)
    assert len(bounds_of(job.output, "detections")) == len(scene.boxes)
    assert list(Path(job.output).parent.iterdir()) == [Path(job.output)]


def test_an_empty_raster_gives_an_empty_layer(job, tmp_path, scene):
    scene.image[:] = DARK
    result = run(dataclasses.replace(job, raster=scene.write(tmp_path / "empty.tif")))
    assert result["objects"] == {"red thing": 0, "green thing": 0}
    assert len(bounds_of(job.output, "detections")) == 0


@pytest.mark.parametrize(
    ("values", "kind", "sentence"),
    [
        ({"classes": ("blue thing",)}, ModelError, "does not know the class 'blue thing'"),
        ({"extent": (0.0, 0.0, 1.0, 1.0)}, InvalidJob, "extent"),
        ({"bands": (1, 2, 7)}, RasterError, "Band 7"),
        ({"threshold": 2.0}, InvalidJob, "threshold"),
        ({"merge": "greedy"}, InvalidJob, "no merging rule 'greedy'; choose among seams, centre, nms"),
        ({"augment": ("mirrors",)}, InvalidJob, "no augmentation 'mirrors'; choose among flips, turns, scales"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_before_the_model_is_opened(job, values, kind, sentence):
    def open_detector(path, device):
        raise AssertionError("opened")

    with pytest.raises(kind, match=sentence):
        detect(dataclasses.replace(job, **values), lambda event: None, never, open_detector)
    assert list(Path(job.output).parent.iterdir()) == []
