"""Files over the network, virtual mosaics and cloud-optimised GeoTIFFs give the pixels of the plain file."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from core.imagery.gdal import is_remote
from core.imagery.raster import open_raster
from core.imagery.reader import read_batches
from core.imagery.tiles import plan_tiles
from core.job.errors import RasterError

SOURCE = """<SimpleSource>
<SourceFilename relativeToVRT="1">{name}</SourceFilename><SourceBand>{band}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="{size}" ySize="{size}"/><DstRect xOff="{x}" yOff="{y}" xSize="{size}" ySize="{size}"/>
</SimpleSource>"""


class Served(NamedTuple):
    """A web server over the test's folder; `sent` tells how many bytes it has sent so far."""

    address: str
    sent: Callable[[], int]


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    log = tmp_path / "served.log"
    command = [sys.executable, str(Path(__file__).with_name("range_server.py")), str(tmp_path)]
    with log.open("w") as output, subprocess.Popen(command, stdout=output) as process:
        while not (text := log.read_text()).endswith("\n"):
            time.sleep(0.02)
        yield Served(f"http://127.0.0.1:{text.split()[0]}", lambda: sum(map(int, log.read_text().split()[1:])))
        process.kill()


def tiles(path: str, rgb, resolution_m: float = 0.6) -> dict[int, np.ndarray]:
    with open_raster(path, rgb, resolution_m) as raster:
        plan = plan_tiles(raster.grid, 128, 32, 32)
        return {
            index: image.copy()
            for batch in read_batches(raster, plan, 4)
            for index, image in zip(*batch[:2], strict=True)
        }


def assert_equal(one: dict[int, np.ndarray], other: dict[int, np.ndarray]) -> None:
    assert list(one) == list(other)
    assert len(one) > 4
    assert all((one[index] == other[index]).all() for index in one)


def test_remote_names():
    for name in ("https://host/a.tif", "/vsicurl/https://host/a.tif", "/vsizip//vsis3/bucket/a.zip/a.tif", "s3://b/a"):
        assert is_remote(name), name
    for name in ("/data/vsicurl.tif", "C:/a.tif", "/vsizip/a.zip/a.tif", "zip://a.zip!a.tif", "/vsimem/a.tif"):
        assert not is_remote(name), name


@pytest.mark.parametrize("prefix", ["/vsicurl/", ""])
def test_a_file_over_the_network(write_raster, scene, rgb, served, prefix):
    path = write_raster(scene(300, 500), tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    assert_equal(tiles(f"{prefix}{served.address}/raster.tif", rgb), tiles(path, rgb))


def test_of_a_coarse_look_at_a_remote_file_little_is_fetched(write_raster, rgb, served):
    noise = np.random.default_rng(0).integers(0, 255, (3, 2048, 2048), np.uint8)
    plain = write_raster(noise, "plain.tif")
    cog = str(Path(plain).with_name("cog.tif"))
    rasterio.shutil.copy(plain, cog, driver="COG", compress="deflate", overview_resampling="average", blocksize=256)
    found = tiles(f"/vsicurl/{served.address}/cog.tif", rgb, 2.4)
    assert_equal(found, tiles(cog, rgb, 2.4))
    assert 0 < served.sent() < 0.5 * Path(cog).stat().st_size


def test_a_file_that_is_not_there_and_a_server_that_is_not_there(rgb, served):
    for path in (f"/vsicurl/{served.address}/none.tif", "/vsicurl/http://127.0.0.1:9/none.tif"):
        with pytest.raises(RasterError, match=r"'none\.tif' cannot be read"):
            tiles(path, rgb)


def test_a_virtual_mosaic(write_raster, scene, rgb):
    image = scene(512, 512)
    parts = [(x, y) for y in (0, 256) for x in (0, 256)]
    for x, y in parts:
        write_raster(image[:, y : y + 256, x : x + 256], f"{x}_{y}.tif", tiled=True, blockxsize=128, blockysize=128)
    whole = write_raster(image, "whole.tif")
    with rasterio.open(whole) as dataset:
        wkt, transform = dataset.crs.to_wkt(), ", ".join(map(str, dataset.transform.to_gdal()))
    bands = ""
    for band, colour in enumerate(("Red", "Green", "Blue"), 1):
        sources = "".join(SOURCE.format(name=f"{x}_{y}.tif", band=band, size=256, x=x, y=y) for x, y in parts)
        bands += (
            f'<VRTRasterBand dataType="Byte" band="{band}"><ColorInterp>{colour}</ColorInterp>{sources}</VRTRasterBand>'
        )
    mosaic = Path(whole).with_name("mosaic.vrt")
    mosaic.write_text(
        f'<VRTDataset rasterXSize="512" rasterYSize="512"><SRS>{wkt.replace(chr(34), "&quot;")}</SRS>'
        f"<GeoTransform>{transform}</GeoTransform>{bands}</VRTDataset>"
    )
    assert_equal(tiles(str(mosaic), rgb), tiles(whole, rgb))


def test_a_twin_reads_the_same_overview(write_raster, scene, rgb):
    path = write_raster(scene(400, 400), tiled=True, blockxsize=64, blockysize=64)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4], Resampling.average)
    with open_raster(path, rgb, 2.4) as raster:
        twin = raster.twin()
        for ours, theirs in zip(raster.read(0, 0, 90, 90), twin.read(0, 0, 90, 90), strict=True):
            assert (ours == theirs).all()
        twin.close()
        assert raster.read(0, 0, 90, 90)[1].all()
