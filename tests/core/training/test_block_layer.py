from pathlib import Path

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from core.detections.detections import Detections
from core.job.errors import OutputError
from core.training.block_layer import write_blocks
from core.training.labels import LabelledImage


def block(folder: Path, name: str, split: str, crs: str | None = "EPSG:32611", area=None) -> LabelledImage:
    path = folder / name
    place = {"crs": crs, "transform": Affine(0.5, 0, 400_000, 0, -0.5, 3_760_000)} if crs else {}
    if crs == "EPSG:4326":
        place["transform"] = Affine(5e-6, 0, -118.0842, 0, -5e-6, 33.9748)  # about the same place
    with rasterio.open(path, "w", driver="GTiff", width=80, height=40, count=1, dtype="uint8", **place) as target:
        target.write(np.zeros((1, 40, 80), np.uint8))
    truth = Detections.truth(np.array([[1, 1, 5, 5], [9, 9, 12, 12]]), ignore=np.array([False, True]))
    return LabelledImage(path, truth, split, area or shapely.box(10, 20, 30, 40))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_blocks_are_polygons_on_the_map_with_split_and_objects(tmp_path):
    two = shapely.MultiPolygon([shapely.box(0, 0, 10, 10), shapely.box(20, 20, 30, 30)])
    blocks = [
        block(tmp_path, "a.tif", "train"),
        block(tmp_path, "b.tif", "test", "EPSG:4326", two),
        block(tmp_path, "c.tif", "val", None),
    ]
    assert write_blocks(tmp_path / "m.blocks.gpkg", blocks)
    meta, _, wkb, (splits, objects, images) = pyogrio.raw.read(tmp_path / "m.blocks.gpkg", layer="blocks")
    assert "32611" in meta["crs"]
    assert splits.tolist() == ["train", "test"]
    assert objects.tolist() == [1, 1]
    assert images.tolist() == ["a.tif", "b.tif"]
    first, second = shapely.from_wkb(wkb)
    assert first.bounds == (400_005, 3_759_980, 400_015, 3_759_990)
    assert second.distance(first) < 200
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif", "c.tif", "m.blocks.gpkg"]


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_without_a_place_on_the_map_nothing_is_written(tmp_path):
    assert not write_blocks(tmp_path / "m.blocks.gpkg", [block(tmp_path, "c.tif", "val", None)])
    assert not (tmp_path / "m.blocks.gpkg").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="The layer of blocks"):
        write_blocks(tmp_path / "nowhere" / "m.blocks.gpkg", [block(tmp_path, "a.tif", "train")])
