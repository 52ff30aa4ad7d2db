"""GDAL's errors become sentences, its chatter stays inside."""

import pytest
import rasterio
from rasterio.errors import RasterioIOError

from core.imagery.gdal import gdal_session, raster_name
from core.job.errors import RasterError


def test_names_of_rasters():
    assert raster_name("/data/ortho/a.tif") == "a.tif"
    assert raster_name("/vsicurl/https://host/b.tif?sig=abc&x=1") == "b.tif"
    assert raster_name("") == ""


def test_the_cause_is_told_and_not_its_wrapping():
    with pytest.raises(RasterError) as told, gdal_session("a.tif"):
        try:
            raise OSError("TIFFReadEncodedTile() failed.")
        except OSError as cause:
            raise RasterioIOError("Read failed. See previous exception for details.") from cause
    assert str(told.value) == "'a.tif' cannot be read: TIFFReadEncodedTile() failed."


def test_secrets_of_a_url_are_not_told():
    with pytest.raises(RasterError) as told, gdal_session("a.tif"):
        raise RasterioIOError("'/vsicurl/https://host/a.tif?token=secret' does not exist")
    assert str(told.value) == "'a.tif' cannot be read: '/vsicurl/https://host/a.tif' does not exist."


def test_errors_of_our_own_pass_through():
    with pytest.raises(RasterError, match=r"^As it is\.$"), gdal_session("a.tif"):
        raise RasterError("As it is.")


def test_nothing_is_printed(write_raster, scene, capfd):
    path = write_raster(scene())
    with gdal_session("a.tif"), rasterio.open(path) as dataset:
        dataset.read()
    with pytest.raises(RasterError), gdal_session("a.tif"):
        rasterio.open(path + ".missing")
    assert capfd.readouterr() == ("", "")
