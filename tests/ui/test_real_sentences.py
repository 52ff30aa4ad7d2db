"""Sentences of the real worker, raised for real, come out wholly in German with their values."""

import dataclasses
import re
import sys

import pytest
from osgeo import gdal
from qgis.core import QgsApplication
from tilehawk.core.job.card import Band
from tilehawk.core.job.errors import TilehawkError
from tilehawk.core.job.jobs import DetectJob, PreflightJob
from tilehawk.core.job.suppress_job import SuppressJob
from tilehawk.core.job.worker import Worker
from tilehawk.ui.told import tr_core

from tests.ui.scenery import CARD, write_card, write_detections, write_raster
from tests.ui.texts import ROOT

WORKER_PYTHON = ROOT / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
pytestmark = pytest.mark.skipif(not WORKER_PYTHON.is_file(), reason="there is no worker's environment in .venv")
ENGLISH = re.compile(r"\b(?:the|is|are|cannot|must|does|has|of|with|not|choose|which|what|as)\b", re.IGNORECASE)


@pytest.fixture(scope="module")
def worker():
    with Worker(str(WORKER_PYTHON)) as worker:
        yield worker


@pytest.fixture(autouse=True)
def german(monkeypatch):
    monkeypatch.setattr(QgsApplication, "locale", lambda: "de")


@pytest.fixture
def job(tmp_path, model):
    def make(raster, **changes):
        return DetectJob(**{"raster": str(raster), "model": model, "output": str(tmp_path / "o.gpkg"), **changes})

    return make


@pytest.fixture
def refusal(worker):
    """What the worker says to a job that it refuses, in German."""

    def ask(job):
        with pytest.raises(TilehawkError) as caught:
            worker.run(job, lambda event: None, lambda: False)
        return tr_core(caught.value)

    return ask


@pytest.fixture
def preflight(worker):
    """Notices and warnings of a pre-flight, in German; it is cancelled before its model is loaded."""

    def ask(job):
        events = []
        with pytest.raises(TilehawkError):
            worker.run(PreflightJob(job), events.append, lambda: any(each["event"] == "preflight" for each in events))
        (facts,) = (event for event in events if event["event"] == "preflight")
        warnings = [text for each in facts["warnings"] for text in each.values()]
        return [tr_core(text) for text in (*facts["notices"], *warnings)]

    return ask


def make_raster(path, bands=3, kind=gdal.GDT_Byte, pixel_m=0.0):
    """A raster without a CRS; without a place on the map, too, unless it has pixels of so many metres."""
    dataset = gdal.GetDriverByName("GTiff").Create(str(path), 96, 96, bands, kind)
    if pixel_m:
        dataset.SetGeoTransform((0, pixel_m, 0, 0, 0, -pixel_m))
    for band in range(1, bands + 1):
        dataset.GetRasterBand(band).Fill(60 * band)
    dataset.FlushCache()
    return path


def test_bands_too_few(refusal, job, tmp_path):
    model = write_card(tmp_path / "nir.safetensors", dataclasses.replace(CARD, bands=(Band("red"), Band("nir"))))
    raster = make_raster(tmp_path / "grau.tif", 1)
    said = refusal(job(raster, model=str(model)))
    assert said == "Das Modell braucht die Kanäle Rot, nahes Infrarot; „grau.tif“ hat nur einen Kanal."


def test_a_band_that_is_not_there(refusal, job, raster):
    said = refusal(job(raster, bands=(1, 2, 7)))
    assert said == "Kanal 7 wurde gewählt, aber „suburb.tif“ hat nur 3 (gezählt ab 1)."


def test_complex_numbers(refusal, job, tmp_path):
    said = refusal(job(make_raster(tmp_path / "radar.tif", 1, gdal.GDT_CFloat32)))
    assert said == (
        "„radar.tif“ enthält komplexe Zahlen, wie Radardaten. Wandeln Sie sie zuerst in Amplitude oder Intensität um."
    )


def test_an_extent_elsewhere(refusal, job, raster):
    said = refusal(job(raster, extent=(0.0, 0.0, 10.0, 10.0)))
    assert said == "Die Ausdehnung trifft das Raster nicht. Sie muss im KBS des Rasters angegeben sein."


def test_a_file_that_is_no_raster(refusal, job, tmp_path):
    path = tmp_path / "brief.tif"
    path.write_text("Sehr geehrte Damen und Herren")
    assert refusal(job(path)).startswith("„brief.tif“ kann nicht gelesen werden: ")  # then GDAL's own words


def test_no_place_on_the_map(preflight, job, tmp_path):
    said = preflight(job(make_raster(tmp_path / "foto.tif")))
    assert "„foto.tif“ hat kein Koordinatenbezugssystem." in said
    assert "Das Raster gibt nicht an, wie groß seine Pixel am Boden sind." in said
    assert [text for text in said if ENGLISH.search(text)] == []


def test_values_and_bands_are_told(preflight, job, tmp_path):
    path = str(write_raster(tmp_path / "stadt.tif", 96))
    gdal.Translate(str(tmp_path / "stadt16.tif"), gdal.Open(path), outputType=gdal.GDT_UInt16, xRes=3, yRes=3)
    said = preflight(job(tmp_path / "stadt16.tif", resolution_m="native"))
    assert [text for text in said if ENGLISH.search(text)] == []
    assert any("5.0-mal gröber" in text for text in said)
    assert any(text.startswith("Die Werte werden von") for text in said)


def test_a_field_that_is_not_there(refusal, tmp_path):
    layer = write_detections(tmp_path / "pools.gpkg", [("pool", 0.9)])
    said = refusal(SuppressJob(f"{layer}|layername=detections", str(tmp_path / "o.gpkg"), score_field="güte"))
    assert re.fullmatch(r"„.*pools.*“ hat kein Feld „güte“\. Vorhanden: .*class, score.*\.", said)
