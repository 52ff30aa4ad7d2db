"""Values and validity of files of many kinds, read in their own pixels."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from core.imagery.raster import open_raster
from core.job.card import Band


@pytest.fixture
def whole(write_raster, rgb):
    """Write, open at its own resolution and read all of it: image, valid, raster."""

    def read(image, card=rgb, bands=None, value_range=None, **profile):
        path = write_raster(image, **profile)
        with open_raster(path, card, None, bands=bands, value_range=value_range) as raster:
            return *raster.read(0, 0, raster.grid.width, raster.grid.height), raster

    return read


def test_8_bit_is_read_as_it_is(whole, scene):
    image, valid, raster = whole(scene())
    assert (image == scene()).all()
    assert valid.all()
    assert raster.ranges == ((0.0, 255.0),) * 3
    assert raster.notices == ()


@pytest.mark.parametrize(
    "options",
    [
        {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "lzw"},
        {"interleave": "band", "compress": "zstd"},
        {"compress": "deflate", "predictor": 2, "BIGTIFF": "YES"},
        {"driver": "PNG", "name": "raster.png"},
    ],
)
def test_layouts_of_the_file_do_not_matter(whole, scene, options):
    assert (whole(scene(), **options)[0] == scene()).all()


def test_bits_declared_in_the_file(whole, scene):
    image, _, raster = whole((scene().astype(np.uint16) << 4), nbits=12)
    assert raster.ranges == ((0.0, 4095.0),) * 3
    assert np.abs(image.astype(int) - scene()).max() <= 1


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_any_type_gives_the_same_picture(whole, scene, kind):
    values = (scene().astype(np.float64) * 12 + 300).astype(kind)
    image, valid, raster = whole(values)
    low, high = raster.ranges[0]
    wanted = np.clip((values - low) * 255 / (high - low), 0, 255)
    assert valid.all()
    np.testing.assert_allclose(image, wanted, atol=0.51)
    assert len(set(raster.ranges)) == 1
    assert "percentile" in raster.notices[-1]


def test_a_range_from_the_user(whole, scene):
    image, _, _ = whole(scene().astype(np.uint16), value_range=(0.0, 510.0))
    assert np.abs(image.astype(float) - scene() / 2).max() <= 0.51


def test_scale_and_offset_in_the_file(whole, scene):
    def finish(dataset):
        dataset.scales, dataset.offsets = (1e-4,) * 3, (-0.1,) * 3

    values = np.rint(scene() / 255.0 * 10_000 + 1000).astype(np.uint16)
    image, _, raster = whole(values, finish=finish)
    assert raster.ranges[0] == pytest.approx((1000, 11_000))
    assert np.abs(image.astype(int) - scene()).max() <= 1


def test_nodata_where_all_bands_have_it(whole, scene):
    values = scene()
    values[:, :20] = 0
    values[0, 50:] = 0  # black in one band only
    image, valid, _ = whole(values, nodata=0)
    assert not valid[:20].any()
    assert valid[20:].all()
    assert (image[:, :20] == np.array([100, 110, 120])[:, None, None]).all()  # the card's means


def test_nodata_of_the_bands_that_are_used(whole, scene):
    values = np.concatenate([scene(), scene()[:1]])
    values[:3, :20] = 7
    assert not whole(values, nodata=7)[1][:20].any()
    assert whole(values, bands=(2, 3, 4), nodata=7)[1].all()


@pytest.mark.parametrize("nodata", [-9999.0, -3.4028234663852886e38, -3.3999999521443642e38, float("nan")])
def test_nodata_of_floats(whole, scene, nodata):
    values = (scene() / 255).astype(np.float32)
    values[:, :, :30] = nodata
    image, valid, raster = whole(values, nodata=nodata)
    assert raster.ranges[0] == (0.0, 1.0)
    assert not valid[:, :30].any()
    assert valid[:, 30:].all()
    assert np.abs(image[:, :, 30:].astype(int) - scene()[:, :, 30:]).max() <= 1


def test_what_is_not_finite_is_invalid_though_undeclared(whole, scene):
    values = (scene() / 255).astype(np.float32)
    values[0, 3, 4], values[1, 5, 6], values[2, 7, 8], values[2, 9, 9] = np.nan, np.inf, -np.inf, -3.4e38
    _, valid, raster = whole(values)
    assert sorted(map(tuple, np.argwhere(~valid).tolist())) == [(3, 4), (5, 6), (7, 8), (9, 9)]
    assert raster.ranges[0] == (0.0, 1.0)


def test_nodata_that_the_type_cannot_hold_is_no_nodata(write_raster, scene, rgb, tmp_path):
    path = write_raster(scene())
    text = (
        '<VRTDataset rasterXSize="120" rasterYSize="96">'
        + "".join(
            f'<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>-9999</NoDataValue><SimpleSource>'
            f"<SourceFilename>{path}</SourceFilename><SourceBand>{band}</SourceBand></SimpleSource></VRTRasterBand>"
            for band in (1, 2, 3)
        )
        + "</VRTDataset>"
    )
    virtual = tmp_path / "virtual.vrt"
    virtual.write_text(text)
    with open_raster(str(virtual), rgb, None) as raster:
        image, valid = raster.read(0, 0, 120, 96)
    assert valid.all()
    assert (image == scene()).all()


def test_bands_of_different_types(write_raster, scene, tmp_path):
    paths = [
        write_raster(scene()[:1], name="one.tif"),
        write_raster(scene()[1:2].astype(np.float32) / 255, name="two.tif"),
    ]
    text = (
        '<VRTDataset rasterXSize="120" rasterYSize="96">'
        + "".join(
            f'<VRTRasterBand dataType="{kind}" band="{band}"><SimpleSource><SourceFilename>{path}</SourceFilename>'
            f"<SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
            for band, (kind, path) in enumerate(zip(("Byte", "Float32"), paths, strict=True), 1)
        )
        + "</VRTDataset>"
    )
    virtual = tmp_path / "virtual.vrt"
    virtual.write_text(text)
    with open_raster(str(virtual), (Band("red"), Band("green")), None) as raster:
        image, _ = raster.read(0, 0, 120, 96)
    assert raster.ranges == ((0.0, 255.0), (0.0, 1.0))
    assert np.abs(image.astype(int) - scene()[:2]).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_true_transparency_is_invalid(whole, scene, kind):
    alpha = np.full((1, 96, 120), np.iinfo(kind).max, kind)
    alpha[:, :, 100:] = 0
    values = np.concatenate([scene().astype(kind), alpha])
    _, valid, _ = whole(values, photometric="RGB", alpha="YES")
    assert not valid[:, 100:].any()
    assert valid[:, :100].all()


def test_near_infrared_tagged_alpha_hides_nothing(whole, scene):
    infrared = scene(96, 121)[:1, :, 1:]
    infrared[0, 40:60, 40:60] = 0  # water: the pool
    image, valid, raster = whole(np.concatenate([scene(), infrared]), photometric="RGB", alpha="YES")
    assert valid.all()
    assert (image == scene()).all()
    assert "Band 4" in raster.notices[0]


def test_transparency_and_nodata_together(whole, scene):
    values = np.concatenate([scene(), np.full((1, 96, 120), 255, np.uint8)])
    values[3, :10] = 0
    values[:3, 80:] = 0
    _, valid, _ = whole(values, photometric="RGB", alpha="YES", nodata=0)
    assert not valid[:10].any()
    assert not valid[80:].any()
    assert valid[10:80].all()


@pytest.mark.parametrize("internal", [True, False])
def test_masks_inside_and_beside_the_file(whole, scene, internal):
    mask = np.full((96, 120), 255, np.uint8)
    mask[30:40] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        _, valid, _ = whole(scene(), finish=lambda dataset: dataset.write_mask(mask))
    assert (valid == (mask > 0)).all()


def test_a_palette_is_shown_in_its_colours(write_raster, rgb, tmp_path):
    path = write_raster(np.repeat([[0, 1, 2, 3]], 4, axis=0).astype(np.uint8)[None])
    colours = [(0, 0, 0, 255), (255, 0, 0, 255), (10, 200, 30, 255), (9, 9, 9, 0)]
    entries = "".join(f'<Entry c1="{r}" c2="{g}" c3="{b}" c4="{a}"/>' for r, g, b, a in colours)
    virtual = tmp_path / "palette.vrt"
    virtual.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">'
        f"<ColorInterp>Palette</ColorInterp><ColorTable>{entries}</ColorTable><SimpleSource>"
        f"<SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with open_raster(str(virtual), rgb, None) as raster:
        image, valid = raster.read(0, 0, 4, 4)
        assert raster.band_indexes == (1, 1, 1)
    assert image[:, 0, :3].T.tolist() == [[0, 0, 0], [255, 0, 0], [10, 200, 30]]
    assert valid[0].tolist() == [True, True, True, False]


def test_reading_outside_of_the_file(write_raster, scene, rgb):
    with open_raster(write_raster(scene()), rgb, None) as raster:
        image, valid = raster.read(-10, 90, 50, 20)
        nothing, seen = raster.read(500, 500, 4, 4)
    assert not valid[6:].any()
    assert not valid[:, :10].any()
    assert (image[:, :6, 10:] == scene()[:, 90:, :40]).all()
    assert (nothing[:, 0, 0] == [100, 110, 120]).all()
    assert not seen.any()


def test_one_range_however_it_is_read(write_raster, rgb):
    """A gradient: a range by window would make every window look alike."""
    values = np.repeat(np.linspace(1000, 9000, 400)[None, None], 64, axis=1).astype(np.uint16).repeat(3, axis=0)
    with open_raster(write_raster(values), rgb, None) as raster:
        once, _ = raster.read(0, 0, 400, 64)
        parts = [raster.read(x, 0, 100, 64)[0] for x in range(0, 400, 100)]
    assert (np.concatenate(parts, axis=2) == once).all()
    assert once[0, 0, 0] == 0
    assert once[0, 0, -1] == 255


def test_large_files_are_sampled_at_scattered_windows(write_raster, rgb, monkeypatch):
    monkeypatch.setattr("core.imagery.sampling.MAX_DECODED_PX", 1000)
    monkeypatch.setattr("core.imagery.sampling.WINDOWS_A_SIDE", 6)
    rng = np.random.default_rng(3)
    values = rng.integers(2000, 6000, (3, 700, 900), dtype=np.uint16)
    with open_raster(write_raster(values, transform=Affine(0.6, 0, 5e5, 0, -0.6, 4e6)), rgb, None) as raster:
        assert raster.ranges[0] == pytest.approx((2020, 5980), abs=5)
