from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from core.detections.detections import Detections
from core.training.blocks import Ground, small_samples, split_by_blocks, to_map
from core.training.labels import LabelledImage


def scene(count: int = 400, side: int = 2000, seed: int = 0, area: shapely.Polygon | None = None) -> LabelledImage:
    corners = np.random.default_rng(seed).uniform(0, side - 12, (count, 2))
    return LabelledImage(Path("scene.tif"), Detections.truth(np.hstack([corners, corners + 12])), "train", area)


def parted(image: LabelledImage, size: tuple[int, int], tile_px: float, seed: int) -> list[LabelledImage]:
    return split_by_blocks([Ground(image, size, tile_px)], seed)


def counted(parts: list[LabelledImage]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        ignored = 0 if part.truth.ignore is None else int(part.truth.ignore.sum())
        found[part.split] = found.get(part.split, 0) + len(part.truth) - ignored
    return found


def test_blocks_part_the_ground_without_gap_or_overlap():
    parts = parted(scene(), (2000, 2000), 256, 0)
    assert shapely.union_all([part.area for part in parts]).equals(shapely.box(0, 0, 2000, 2000))
    assert sum(part.area.area for part in parts) == pytest.approx(2000 * 2000)
    assert {part.split for part in parts} == {"train", "val", "test"}
    for part in parts:
        x0, y0, x1, y1 = part.area.bounds
        assert min(x1 - x0, y1 - y0) >= 1.5 * 256
        assert max(x1 - x0, y1 - y0) <= 2 * 4 * 256


@pytest.mark.parametrize("seed", range(4))
def test_objects_are_shared_out_and_each_counts_once(seed):
    parts = parted(scene(seed=seed), (2000, 2000), 256, seed)
    found = counted(parts)
    whole = sum(found.values())
    assert 300 < whole <= 400
    assert found["train"] / whole == pytest.approx(0.7, abs=0.08)
    assert found["val"] / whole == pytest.approx(0.15, abs=0.06)
    asked = [tuple(box) for part in parts for box in part.truth.boxes[~part.truth.ignore].tolist()]
    assert len(set(asked)) == len(asked)


def test_an_object_on_a_border_is_to_ignore_on_both_sides():
    truth = Detections.truth(np.array([[1590, 10, 1610, 30], [100, 100, 120, 120]]))
    parts = parted(LabelledImage(Path("scene.tif"), truth, "train"), (4000, 1000), 512, 0)
    met = [part for part in parts if (part.truth.boxes[:, 0] == 1590).any()]
    assert len(met) == 2
    assert all(part.truth.ignore[part.truth.boxes[:, 0] == 1590].all() for part in met)


def test_the_same_seed_gives_the_same_parts_and_another_one_others():
    one, same, other = ([part.split for part in parted(scene(40), (2000, 2000), 128, seed)] for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_only_labelled_ground_is_parted():
    area = shapely.Point(1000, 1000).buffer(700)
    parts = parted(scene(area=area), (2000, 2000), 256, 0)
    assert shapely.union_all([part.area for part in parts]).symmetric_difference(area).area < 1e-3


@pytest.mark.parametrize(("count", "splits"), [(1, {"train"}), (2, {"train", "val"}), (0, {"train"})])
def test_too_few_blocks_with_objects_leave_parts_empty(count, splits):
    boxes = np.array([[10, 10, 20, 20], [1900, 1900, 1910, 1910]], float)[:count]
    image = LabelledImage(Path("scene.tif"), Detections.truth(boxes), "train")
    assert {part.split for part in parted(image, (2000, 2000), 256, 0)} == splits


def test_a_small_image_is_one_block():
    assert len(parted(scene(20, 300), (300, 300), 256, 0)) == 1


def test_several_images_share_one_split():
    """Ten small images, each of one block, and one large image at half the resolution."""
    small = [Ground(replace(scene(20, 300, i), path=Path(f"{i}.tif")), (300, 300), 256) for i in range(10)]
    parts = split_by_blocks([*small, Ground(scene(200), (2000, 2000), 512)], 0)
    assert len([part for part in parts if part.path.name != "scene.tif"]) == 10
    found = counted(parts)
    assert found["train"] / sum(found.values()) == pytest.approx(0.7, abs=0.08)
    assert {part.split for part in parts} == {"train", "val", "test"}
    large = [np.array(part.area.bounds) for part in parts if part.path.name == "scene.tif"]
    assert len(large) > 1
    assert min(min(bounds[2:] - bounds[:2]) for bounds in large) >= 1.5 * 512 - 1e-6


def test_blocks_are_told_on_the_map():
    part = LabelledImage(Path("scene.tif"), Detections.empty(), "train", shapely.box(10, 20, 30, 40))
    assert to_map(part, (0.5, 0, 1000, 0, -0.5, 5000)).bounds == (1005, 4980, 1015, 4990)


def test_small_samples_are_said_to_be_small():
    assert small_samples({"train": 500, "val": 100, "test": 90}) == []
    assert small_samples({"train": 500, "val": 0}) == []
    few = small_samples({"train": 12, "val": 9, "test": 16})
    assert few[0].startswith("There are only 12 objects to learn from")
    assert few[1] == "There are only 9 objects to choose the best epoch: a recall of 0.80 is known to ±0.26."
    assert few[2] == "There are only 16 objects to test the model: a recall of 0.80 is known to ±0.20."
