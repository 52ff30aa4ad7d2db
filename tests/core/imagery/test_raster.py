"""Whole rasters: the same ground comes out whatever the encoding; what cannot be read is refused in a sentence."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS, Transformer
from rasterio.control import GroundControlPoint
from rasterio.enums import Resampling
from rasterio.rpc import RPC

from core.imagery.raster import open_raster
from core.job.card import Band
from core.job.errors import RasterError, TilehawkError

UTM = "EPSG:26911"
EAST, NORTH = 543_600.0, 3_741_200.0
BLOB = (52.3, 31.6)  # column and row of the centre of a bright spot in a file of 120 x 96 px


def spotted(rows=96, columns=120):
    """A bright round spot on dark ground: uint8 (3, rows, columns)."""
    y, x = np.mgrid[:rows, :columns] + 0.5
    spot = 40 + 180 * np.exp(-((x - BLOB[0]) ** 2 + (y - BLOB[1]) ** 2) / (2 * 3.0**2))
    return np.rint(np.stack([spot] * 3)).astype(np.uint8)


def spot_on_map(raster):
    """Map coordinates of the bright spot, and the size of a grid pixel."""
    image, valid = raster.read(0, 0, raster.grid.width, raster.grid.height)
    weight = np.where(valid, np.clip(image[0].astype(float) - 60, 0, None), 0)
    y, x = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    a, _, c, _, e, f = raster.grid.transform
    return c + a * (x * weight).sum() / weight.sum(), f + e * (y * weight).sum() / weight.sum(), a, -e


def assert_in_place(raster, wanted):
    x, y, dx, dy = spot_on_map(raster)
    assert abs(x - wanted[0]) < 0.5 * dx
    assert abs(y - wanted[1]) < 0.5 * dy


TRANSFORMS = {
    "north-up": Affine(0.6, 0, EAST, 0, -0.6, NORTH),
    "south-up": Affine(0.6, 0, EAST, 0, 0.6, NORTH),
    "mirrored": Affine(-0.6, 0, EAST, 0, -0.6, NORTH),
    "quarter turn": Affine(0, 0.6, EAST, 0.6, 0, NORTH),
    "rotated 30": Affine.translation(EAST, NORTH) @ Affine.rotation(30) @ Affine.scale(0.6, -0.6),
    "rotated 200, south-up": Affine.translation(EAST, NORTH) @ Affine.rotation(200) @ Affine.scale(0.6, 0.6),
    "finer": Affine(0.37, 0, EAST, 0, -0.37, NORTH),
    "much finer": Affine(0.11, 0, EAST, 0, -0.11, NORTH),
    "coarser": Affine(1.5, 0, EAST, 0, -1.5, NORTH),
    "oblong": Affine(0.4, 0, EAST, 0, -0.9, NORTH),
    "rotated and finer": Affine.translation(EAST, NORTH) @ Affine.rotation(-50) @ Affine.scale(0.3, -0.3),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_the_ground_stays_in_place(write_raster, rgb, transform):
    with open_raster(write_raster(spotted(), transform=transform, crs=UTM), rgb, 0.6) as raster:
        assert raster.grid.resolution_m == pytest.approx(0.6, rel=0.1)
        assert_in_place(raster, transform @ BLOB)


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(6e-6, 0, -116.5, 0, -6e-6, 33.8)),
        ("EPSG:3857", Affine(0.36, 0, -12_971_992, 0, -0.36, 4_003_336)),
        ("EPSG:2229", Affine(1.0, 0, 6_480_000, 0, -1.0, 1_840_000)),  # US survey feet
    ],
)
def test_the_ground_stays_in_place_in_other_systems(write_raster, rgb, crs, transform):
    with open_raster(write_raster(spotted(), transform=transform, crs=crs), rgb, 0.6) as raster:
        assert raster.grid.resolution_m == pytest.approx(0.6)
        assert_in_place(raster, transform @ BLOB)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326"])
def test_ground_control_points(write_raster, rgb, crs):
    size = 0.6 if crs == UTM else 6e-6
    origin = (EAST, NORTH) if crs == UTM else (-116.5, 33.8)
    transform = Affine.translation(*origin) @ Affine.rotation(15) @ Affine.scale(size, -size)
    points = [GroundControlPoint(row, col, *(transform @ (col, row))) for row in (0, 48, 96) for col in (0, 60, 120)]

    def finish(dataset):
        dataset.gcps = (points, rasterio.crs.CRS.from_user_input(crs))

    path = write_raster(spotted(), transform=None, crs=None, finish=finish)
    with open_raster(path, rgb, 0.6) as raster:
        assert "9 ground control points" in raster.notices[0]
        assert raster.grid.resolution_m == pytest.approx(0.6, rel=0.1)
        assert_in_place(raster, transform @ BLOB)
        assert not raster.read(0, 0, 3, 3)[1].any()  # the corner beside the turned image


def test_near_infrared_tagged_alpha_beside_control_points(write_raster, rgb):
    infrared = np.random.default_rng(0).integers(1, 200, (1, 96, 120), dtype=np.uint8)
    infrared[:, 20:40, 40:60] = 0
    transform = TRANSFORMS["rotated 30"]
    points = [GroundControlPoint(row, col, *(transform @ (col, row))) for row in (0, 48, 96) for col in (0, 60, 120)]

    def finish(dataset):
        dataset.gcps = (points, rasterio.crs.CRS.from_user_input(UTM))

    image = np.concatenate([spotted(), infrared])
    path = write_raster(image, transform=None, crs=None, finish=finish, photometric="RGB", alpha="YES")
    with open_raster(path, rgb, 0.6) as raster:
        assert "Band 4" in raster.notices[1]
        assert_in_place(raster, transform @ BLOB)
        _, valid = raster.read(0, 0, raster.grid.width, raster.grid.height)
    assert valid.sum() == pytest.approx(96 * 120, rel=0.02)


def test_rational_polynomials(write_raster, rgb):
    rpc = RPC(
        height_off=0, height_scale=100, lat_off=34.0, lat_scale=3e-4, line_off=48, line_scale=48, long_off=-117.0,
        long_scale=4e-4, samp_off=60, samp_scale=60, line_num_coeff=[0, 0, -1] + [0] * 17,
        line_den_coeff=[1] + [0] * 19, samp_num_coeff=[0, 1] + [0] * 18, samp_den_coeff=[1] + [0] * 19,
    )  # fmt: skip

    def finish(dataset):
        dataset.rpcs = rpc

    with open_raster(write_raster(spotted(), transform=None, crs=None, finish=finish), rgb, 0.6) as raster:
        assert "without a height model" in raster.notices[0]
        # RPCs count from the centre of the first pixel
        wanted = (-117 + 4e-4 * (BLOB[0] - 0.5 - 60) / 60, 34 - 3e-4 * (BLOB[1] - 0.5 - 48) / 48)
        assert_in_place(raster, wanted)


def test_without_georeference_rows_run_down_from_0(write_raster, rgb):
    with open_raster(write_raster(spotted(), transform=None, crs=None), rgb, 0.6) as raster:
        assert raster.grid.transform == (1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
        assert raster.grid.crs_wkt is None
        assert any("no coordinate reference system" in notice for notice in raster.notices)
        assert_in_place(raster, (BLOB[0], -BLOB[1]))


def test_rotated_without_crs(write_raster, rgb):
    transform = Affine.rotation(30) @ Affine.scale(2, -2)
    with open_raster(write_raster(spotted(), transform=transform, crs=None), rgb, 0.6) as raster:
        assert raster.grid.resolution_m is None
        assert_in_place(raster, transform @ BLOB)


@pytest.mark.parametrize("name", ["south-up", "rotated 30", "finer", "much finer", "coarser"])
def test_reading_by_windows_equals_reading_at_once(write_raster, scene, rgb, name):
    with open_raster(write_raster(scene(), transform=TRANSFORMS[name], crs=UTM), rgb, 0.6) as raster:
        width, height = raster.grid.width, raster.grid.height
        image, valid = raster.read(0, 0, width, height)
        columns, rows = [0, 7, width // 2, width], [0, 5, height // 3, height]
        for left, right in itertools.pairwise(columns):
            for top, bottom in itertools.pairwise(rows):
                part, seen = raster.read(left, top, right - left, bottom - top)
                assert np.abs(part.astype(int) - image[:, top:bottom, left:right]).max(initial=0) <= 1
                assert (seen == valid[top:bottom, left:right]).all()


def test_large_reads_are_split_without_seams(write_raster, scene, rgb, monkeypatch):
    path = write_raster(scene(), transform=TRANSFORMS["finer"], crs=UTM)
    with open_raster(path, rgb, 0.6) as raster:
        whole = raster.read(0, 0, raster.grid.width, raster.grid.height)
        monkeypatch.setattr("core.imagery.raster.MAX_SOURCE_PX", 900)
        split = raster.read(0, 0, raster.grid.width, raster.grid.height)
    assert np.abs(whole[0].astype(int) - split[0]).max() <= 1
    assert (whole[1] == split[1]).all()


def test_overviews_are_used_for_coarsening(write_raster, scene, rgb):
    path = write_raster(scene(512, 512), transform=Affine(0.1, 0, EAST, 0, -0.1, NORTH), crs=UTM)
    with open_raster(path, rgb, 0.8) as raster:
        plain, _ = raster.read(0, 0, 64, 64)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4, 8], Resampling.average)
    with open_raster(path, rgb, 0.8) as raster:
        reduced, valid = raster.read(0, 0, 64, 64)
        assert raster._source.width == 128
        assert raster.to_source @ (64, 64) == pytest.approx((512, 512), rel=1e-2)
    assert valid.all()
    assert np.abs(plain.astype(int) - reduced).max() <= 3


def test_invalid_ground_stays_invalid_when_resampled(write_raster, scene, rgb):
    values = scene()
    values[:, :48] = 0
    path = write_raster(values, transform=TRANSFORMS["much finer"], crs=UTM, nodata=0)
    with open_raster(path, rgb, 0.6) as raster:
        image, valid = raster.read(0, 0, raster.grid.width, raster.grid.height)
    half = raster.grid.height // 2
    assert not valid[: half - 1].any()
    assert valid[half + 1 :].all()
    assert (image[:, : half - 1] == np.array([100, 110, 120])[:, None, None]).all()


def test_what_was_done_is_said(write_raster, rgb):
    with open_raster(write_raster(spotted()[:1], transform=TRANSFORMS["finer"], crs=UTM), rgb, 0.6) as raster:
        assert raster.notices == (
            "'raster.tif' has been resampled from 0.37 m to 0.6 m a pixel.",
            "'raster.tif' has one band; it is used as grey in place of red, green, blue.",
        )
        assert raster.source_resolution_m == pytest.approx(0.37, rel=1e-3)


def test_what_is_no_raster_is_refused(tmp_path, rgb):
    (tmp_path / "notes.tif").write_text("not a raster")
    with pytest.raises(RasterError, match=r"'notes\.tif' cannot be read: .*not recognized"):
        open_raster(str(tmp_path / "notes.tif"), rgb, 0.6)
    with pytest.raises(RasterError, match=r"'missing\.tif' cannot be read: .*No such file"):
        open_raster(str(tmp_path / "missing.tif"), rgb, 0.6)


def test_a_url_is_named_without_its_secrets(rgb):
    with pytest.raises(RasterError) as refused:
        open_raster("/vsicurl/http://localhost:1/a.tif?token=secret", rgb, 0.6)
    assert "'a.tif'" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_damaged_file_is_refused_when_its_damage_is_met(write_raster, rgb):
    noise = np.random.default_rng(0).integers(0, 255, (3, 400, 400), dtype=np.uint8)
    path = write_raster(noise, tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    with Path(path).open("r+b") as file:
        file.truncate(300_000)
    with pytest.raises(RasterError, match=r"'raster\.tif' cannot be read"), open_raster(path, rgb, 0.6) as raster:
        raster.read(0, 0, 400, 400)


def test_complex_numbers_are_refused(write_raster, rgb):
    with pytest.raises(RasterError, match="complex numbers"):
        open_raster(write_raster(np.ones((1, 8, 8), np.complex64)), rgb, 0.6)


def test_files_of_several_rasters_name_them(rgb, monkeypatch):
    parts = [f"NETCDF:a.nc:{name}" for name in "uv"]

    class Several:
        count, subdatasets = 0, parts

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr("rasterio.open", lambda *_, **__: Several())
    with pytest.raises(RasterError, match=r"'NETCDF:a\.nc:u', 'NETCDF:a\.nc:v'"):
        open_raster("a.nc", rgb, 0.6)
    parts.clear()
    with pytest.raises(RasterError, match="holds no bands"):
        open_raster("a.nc", rgb, 0.6)


# Real files


VARIANTS = [
    "02_rgbn_uint8_nir_tagged_alpha",
    "03_rgbn_uint8_nir_undefined",
    "04_bgr_uint8",
    "05_uint16_12bit",
    "06_uint16_full",
    "08_float32_01",
    "09_int16",
    "11_uint8_nodata0_collar",
    "12_rgba_transparent",
    "16_jpeg_ycbcr_tiled_overviews",
    "19_epsg4326",
    "20_epsg3857",
    "24_odd_size_201x131",
]
STRETCHED = ("05_uint16_12bit", "06_uint16_full", "09_int16")


@pytest.mark.parametrize("name", VARIANTS)
def test_one_tile_in_many_encodings_looks_the_same_on_the_ground(shared_data, rgb, name):
    folder = shared_data / "geotiff_variants"
    with open_raster(str(folder / "01_rgb_uint8.tif"), rgb, 0.6) as first:
        wanted, _ = first.read(0, 0, first.grid.width, first.grid.height)
    with open_raster(str(folder / f"{name}.tif"), rgb, 0.6) as raster:
        grid = raster.grid
        image, valid = raster.read(0, 0, grid.width, grid.height)
    assert grid.resolution_m == pytest.approx(0.6, rel=1e-3)

    y, x = np.mgrid[: grid.height, : grid.width] + 0.5
    to_first = Transformer.from_crs(CRS.from_wkt(grid.crs_wkt), CRS.from_wkt(first.grid.crs_wkt), always_xy=True)
    east, north = to_first.transform(*(Affine(*grid.transform) @ (x, y)))
    columns, rows = ~Affine(*first.grid.transform) @ (np.asarray(east), np.asarray(north))
    columns, rows = columns - 0.5, rows - 0.5
    seen = valid & (columns >= 0) & (rows >= 0) & (columns <= 255) & (rows <= 255)
    j, i = np.clip(rows.astype(int), 0, 254), np.clip(columns.astype(int), 0, 254)
    v, u = rows - j, columns - i
    there = (wanted[:, j, i] * (1 - u) + wanted[:, j, i + 1] * u) * (1 - v)
    there += (wanted[:, j + 1, i] * (1 - u) + wanted[:, j + 1, i + 1] * u) * v

    assert seen.sum() > 0.35 * 256 * 256
    for band in range(3):
        assert np.corrcoef(there[band][seen], image[band][seen])[0, 1] > 0.98
    if name not in STRETCHED:
        assert np.abs(there[:, seen] - image[:, seen]).mean() < 5


@pytest.mark.parametrize("resolution", ["model", "native"])
def test_files_in_the_wild_are_read_or_refused_in_a_sentence(shared_data, rgb, resolution):
    refused, read = {}, 0
    paths = sorted((shared_data / "geotiff_wild").glob("*/*.tif"))
    for path in paths:
        try:
            with open_raster(str(path), rgb, 0.6, resolution_m=resolution) as raster:
                grid = raster.grid
                image, valid = raster.read(grid.width // 2 - 64, grid.height // 2 - 64, 128, 128)
        except TilehawkError as problem:
            refused[path.name] = str(problem)
            continue
        read += 1
        assert image.shape == (3, 128, 128)
        assert valid.shape == (128, 128)
        assert (image[:, ~valid] == np.array([[100], [110], [120]])).all()
        assert all(notice.endswith(".") for notice in raster.notices)
    assert read + len(refused) == len(paths) > 40
    assert all(name in sentence and sentence.endswith(".") for name, sentence in refused.items())
    if resolution == "native":
        assert set(refused) == {"cog_scale.tif"}  # two bands of which nobody says what they are
    else:
        assert all("has pixels of" in sentence for sentence in refused.values())


def test_masks_in_the_wild_agree(shared_data):
    """One image with its collar told by alpha, internal and external mask, and nodata; shares as GDAL has them."""
    folder = shared_data / "geotiff_wild" / "riotiler"
    card = (Band("red"), Band("green"), Band("blue"))
    shares = {}
    for kind in ("alpha", "mask", "extmask", "nodata"):
        with open_raster(str(folder / f"201404_13SED190110_201404_0x1500m_CL_1_{kind}.tif"), card, None) as raster:
            _, valid = raster.read(0, 0, raster.grid.width, raster.grid.height)
        shares[kind] = valid.mean()
    assert shares["mask"] == shares["extmask"] == pytest.approx(0.9692, abs=1e-4)
    assert shares["nodata"] == pytest.approx(shares["mask"], abs=0.01)
    assert shares["alpha"] == pytest.approx(0.8870, abs=1e-4)  # this file's alpha leaves out more
