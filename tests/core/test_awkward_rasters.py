"""The bundled model on real files in many encodings: the same pools on the ground, and never a traceback."""

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import rasterio
import shapely
from pyproj import Transformer
from rasterio.warp import Resampling, reproject

from core.accuracy.matching import match
from core.detect import detect
from core.detections.detections import Detections
from core.imagery.raster import open_raster
from core.job.card import read_card
from core.job.errors import TilehawkError
from core.job.jobs import DetectJob

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "resources/models/swimming-pools.safetensors"
DATA = ROOT.parent / "shared/data"
GROUND = "EPSG:26911"
RANGES = {
    "05_uint16_12bit.tif": (0, 4080),
    "06_uint16_full.tif": (0, 65535),
    "08_float32_01.tif": (0, 1),
    "09_int16.tif": (-200, 2350),
}
VARIANTS = sorted(path.name for path in (DATA / "geotiff_variants").glob("*.tif")) or ["absent"]
WILD = sorted(str(path.relative_to(DATA)) for path in (DATA / "geotiff_wild").rglob("*.tif")) or ["absent"]

needs_data = pytest.mark.skipif(not (DATA / "geotiff_variants").exists(), reason="../shared/data is not here")


def pools(raster: Path, folder: Path, **settings) -> Detections:
    """Pools above the card's threshold, boxes as xmin, ymin, xmax, ymax in GROUND."""
    output = folder / f"{raster.stem}.gpkg"
    detect(DetectJob(str(raster), str(MODEL), str(output), **settings), lambda event: None, lambda: False)
    meta, _, wkb, (scores,) = pyogrio.raw.read(output, layer="detections", columns=["score"])
    bounds = shapely.bounds(shapely.from_wkb(wkb)).reshape(-1, 4)
    to_ground = Transformer.from_crs(meta["crs"], GROUND, always_xy=True)
    boxes = np.array([to_ground.transform_bounds(*box) for box in bounds]).reshape(-1, 4)
    kept = scores >= read_card(MODEL).threshold
    return Detections(boxes, scores.astype(float), np.zeros(len(boxes), np.int64)).take(kept)


def valid_share(raster: Path, boxes: np.ndarray) -> np.ndarray:
    """Share of each box (GROUND) that the raster covers with valid pixels."""
    xmin, ymin, xmax, ymax = 543557.4, 3741051.0, 543711.0, 3741204.6
    valid = np.zeros((256, 256), np.uint8)
    with rasterio.open(raster) as dataset:
        mask = dataset.read_masks(1)
        if dataset.count == 4 and dataset.colorinterp[3].name == "alpha" and "nir" not in raster.name:
            mask = dataset.read(4)
        if "nir" in raster.name:
            mask[:] = 255
        to_grid = rasterio.transform.from_bounds(xmin, ymin, xmax, ymax, 256, 256)
        reproject(
            mask,
            valid,
            src_transform=dataset.transform,
            src_crs=dataset.crs,
            dst_transform=to_grid,
            dst_crs=GROUND,
            resampling=Resampling.nearest,
        )
    shares = []
    for box in boxes:
        x0, x1 = ((box[[0, 2]] - xmin) / 0.6).round().astype(int).clip(0, 256)
        y0, y1 = ((ymax - box[[3, 1]]) / 0.6).round().astype(int).clip(0, 256)
        shares.append((valid[y0:y1, x0:x1] > 0).mean() if y1 > y0 and x1 > x0 else 0.0)
    return np.array(shares)


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Detections:
    return pools(DATA / "geotiff_variants/01_rgb_uint8.tif", tmp_path_factory.mktemp("reference"))


@needs_data
@pytest.mark.parametrize("name", VARIANTS)
def test_every_encoding_gives_the_same_pools_on_the_ground(name, reference, tmp_path):
    raster = DATA / "geotiff_variants" / name
    found = pools(raster, tmp_path, value_range=RANGES.get(name))
    share = valid_share(raster, reference.boxes)
    wanted = reference.take(share > 0.99)
    assert len(reference) >= 10
    assert len(wanted) >= 3
    missed = (match(found, wanted, 0.3).taken >= 0).sum()
    assert len(wanted) - missed <= 2
    extra = found.take(match(found, reference, 0.3).taken < 0)
    assert (valid_share(raster, extra.boxes) > 0.99).sum() <= 2


@needs_data
@pytest.mark.parametrize("name", [name for name in VARIANTS if name in RANGES])
def test_without_a_value_range_the_pools_are_still_found(name, reference, tmp_path):
    found = pools(DATA / "geotiff_variants" / name, tmp_path)
    hits = int((match(found, reference, 0.3).taken >= 0).sum())
    print(f"{name}: {hits} of {len(reference)} pools without a value range, {len(found) - hits} others")
    assert hits >= len(reference) / 2


@needs_data
@pytest.mark.parametrize("name", WILD)
def test_wild_files_are_read_or_refused_with_a_sentence(name, tmp_path):
    card = read_card(MODEL)
    try:
        # A whole one takes minutes: its middle shows as much.
        with open_raster(str(DATA / name), card.bands, card.resolution_m) as raster:
            middle = np.array([raster.grid.width, raster.grid.height, raster.grid.width, raster.grid.height]) / 2
            extent = raster.grid.to_map((middle + np.array([-300, -300, 300, 300]))[None])[0]
        job = DetectJob(str(DATA / name), str(MODEL), str(tmp_path / "out.gpkg"), extent=tuple(extent.tolist()))
        result = detect(job, lambda event: None, lambda: False)
    except TilehawkError as refusal:
        assert str(refusal).endswith((".", "?"))
        assert len(str(refusal)) > 20
        assert not list(tmp_path.iterdir())
    else:
        assert Path(result["output"]).exists()
        assert result["tiles"] >= 0
