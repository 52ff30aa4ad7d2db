"""What the tests of the desktop side share: a raster, a card, a result, and a stand-in for the worker."""

import json
import shutil
import struct
import sys
import time
from pathlib import Path

from osgeo import gdal, ogr, osr
from qgis.core import QgsVectorLayer
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, Qt
from qgis.PyQt.QtTest import QTest
from tilehawk.core.job.card import Band, ModelCard, ObjectClass, card_to_json
from tilehawk.core.job.jobs import Job, job_from_json

gdal.UseExceptions()
ogr.UseExceptions()
osr.UseExceptions()
HERE = Path(__file__).parent
CRS = "EPSG:26911"
ORIGIN = (480000.0, 3760000.0)  # metres, top left of the raster
SIDE_PX, PIXEL_M = 96, 0.6
CARD = ModelCard(
    name="pools-and-trees",
    title="Pools and trees",
    classes=(ObjectClass("pool", "#00e5ff"), ObjectClass("tree", "#ffb300")),
    bands=(Band("red"), Band("green"), Band("blue")),
    resolution_m=0.6,
    tile_px=128,
    overlap_px=32,
    threshold=0.4,
    credits=("Nobody's imagery",),
    metrics={"AP50": 0.9},
)
DETECTIONS = (("pool", 0.9), ("pool", 0.6), ("tree", 0.5), ("pool", 0.2), ("tree", 0.1))  # three at or above .4


def wait_until(condition, seconds=20.0):
    """Let Qt work until `condition()` holds; fails the test otherwise."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 50)
        time.sleep(0.01)


def click(widget):
    """Click the middle of a widget."""
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


class StandIn:
    """An executable that answers like the worker: `plan` says how."""

    def __init__(self, folder: Path, result: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.python = folder / "python"
        self.python.write_text(f"#!{sys.executable}\n{(HERE / 'stand_in_worker.py').read_text()}")
        self.python.chmod(0o755)
        self.gpkg = Path(shutil.copy(result, folder / "result.gpkg"))
        self.plan()

    def plan(self, **changes) -> None:
        """Set what the worker does: `seconds` of work, `error` (kind, text), `not_examined_m2`, `notices`, `boxes`.

        `deaf`: it does not hear that it is to stop. `parts_stay`: it leaves parts to go on from. Of a pre-flight:
        `warnings`, and `facts` that differ.
        """
        plan = {
            "seconds": 0.0, "deaf": False, "error": None, "not_examined_m2": 0.0, "notices": [], "boxes": [],
            "parts_stay": False, "warnings": [], "facts": {}, **changes,
        }  # fmt: skip
        (self.folder / "plan.json").write_text(json.dumps(plan))

    def jobs(self) -> list[Job]:
        """Read the jobs that the worker got."""
        path = self.folder / "jobs.jsonl"
        return [job_from_json(line) for line in path.read_text().splitlines()] if path.exists() else []

    def preflights(self) -> list[Job]:
        """Read the detections that the worker was asked about."""
        path = self.folder / "preflights.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [job_from_json(line).detection for line in lines]

    def area(self) -> QgsVectorLayer:
        """Read the area of the last detection that was limited to one."""
        return QgsVectorLayer(str(self.folder / "area.gpkg"))

    def pid(self, name: str = "pid") -> int | None:
        """Process of the last worker with a job, or `warm_pid` of the one kept warm; None before it has started."""
        path = self.folder / name
        text = path.read_text() if path.exists() else ""  # empty while the worker writes it
        return int(text) if text else None


def write_raster(path: Path, side: int) -> Path:
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), side, side, 3, gdal.GDT_Byte)
    reference = osr.SpatialReference()
    reference.SetFromUserInput(CRS)
    dataset.SetProjection(reference.ExportToWkt())
    dataset.SetGeoTransform((ORIGIN[0], PIXEL_M, 0, ORIGIN[1], 0, -PIXEL_M))
    for band in (1, 2, 3):
        dataset.GetRasterBand(band).Fill(60 * band)
    dataset.FlushCache()
    return path


def write_card(path: Path, card: ModelCard) -> Path:
    header = {
        "__metadata__": {"tilehawk": card_to_json(card)},
        "nothing": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]},
    }
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0\0")
    return path


def write_detections(path: Path, detections, gaps: int = 0) -> Path:
    """Write a result as the worker does: layers `detections` and `not_examined`, the latter of `gaps` polygons."""
    dataset = ogr.GetDriverByName("GPKG").CreateDataSource(str(path), ["VERSION=1.2"])
    columns = (("id", ogr.OFTInteger), ("class", ogr.OFTString), ("score", ogr.OFTReal), ("box_area_m2", ogr.OFTReal))
    rows = [(number, name, score, 51.84) for number, (name, score) in enumerate(detections, 1)]
    _add_layer(dataset, "detections", columns, rows)
    _add_layer(dataset, "not_examined", (("reason", ogr.OFTString),), [("no data",)] * gaps)
    return path


def _add_layer(dataset, name, columns, rows) -> None:
    reference = osr.SpatialReference()
    reference.SetFromUserInput(CRS)
    layer = dataset.CreateLayer(name, reference, ogr.wkbPolygon)
    for column, kind in columns:
        layer.CreateField(ogr.FieldDefn(column, kind))
    for place, row in enumerate(rows):
        feature = ogr.Feature(layer.GetLayerDefn())
        for (column, _), value in zip(columns, row, strict=True):
            feature.SetField(column, value)
        x, y = ORIGIN[0] + 3 + 9 * place, ORIGIN[1] - 6
        ring = f"{x} {y},{x + 7.2} {y},{x + 7.2} {y - 7.2},{x} {y - 7.2},{x} {y}"
        feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({ring}))"))
        layer.CreateFeature(feature)
