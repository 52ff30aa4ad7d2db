"""Small labelled scenes of bright blue squares, and a training of a tiny network on them."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from core.job.card import Architecture
from core.job.jobs import TrainJob

TINY: dict[str, Any] = {  # the smallest network that learns squares: fields of an Architecture and of a TrainJob
    "backbone": "resnet18",
    "backbone_stages": 2,
    "levels": ("P2", "P3"),
    "channels": 32,
    "head_channels": 32,
    "head_depth": 1,
    "anchor_sizes": (12.0, 24.0),
    "anchor_ratios": (1.0,),
}
TINY_SHAPE = Architecture(**TINY, integer_anchors=False)
QUICK: dict[str, Any] = {"tile_px": 64, "learning_rate": 2e-3, "ema_decay": 0.9, "device": "cpu"}  # of a TrainJob
SPLIT = ("train",) * 6 + ("val",) * 2


def draw(seed: int, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A picture uint8 (4, side, side) of grey-green ground with bright blue squares, and their boxes."""
    random = np.random.default_rng(seed)
    image = random.normal([[[90]], [[105]], [[80]], [[150]]], 12, (4, side, side))
    corners = random.permutation(16)[:5]
    boxes = []
    for corner in corners:
        x, y = (int(v) * 32 + int(random.integers(2, 16)) for v in divmod(corner, 4))
        w, h = random.integers(11, 15, 2)
        image[:, y : y + h, x : x + w] = np.array([60, 180, 220, 20])[:, None, None]
        boxes.append([x, y, x + w, y + h])
    return image.clip(0, 255).astype(np.uint8), np.array(boxes, float)


def write_csv(path: Path, rows: list[tuple]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_data(folder: Path, split: tuple[str, ...] = SPLIT) -> Path:
    """A folder of labelled scenes, the last of each split without objects in its labels' file alone."""
    (folder / "images").mkdir(parents=True)
    transform = Affine(0.6, 0, 400_000, 0, -0.6, 3_760_000)
    profile = {"driver": "GTiff", "count": 4, "dtype": "uint8", "crs": "EPSG:32611", "transform": transform}
    labels = [("image", "xmin", "ymin", "xmax", "ymax", "label")]
    for i in range(len(split)):
        image, boxes = draw(i)
        name = f"images/{i}.tif"
        with rasterio.open(folder / name, "w", width=128, height=128, photometric="RGB", **profile) as target:
            target.write(image)
        labels += [(name, *box, "pool") for box in boxes.tolist()]
    write_csv(folder / "annotations.csv", labels)
    write_csv(folder / "split.csv", [("image", "split"), *((f"images/{i}.tif", s) for i, s in enumerate(split))])
    return folder


def job_for(data: Path, output: Path, **changes: Any) -> TrainJob:
    job = TrainJob(
        data=(str(data),),
        output=str(output),
        name="squares",
        epochs=1,
        steps_per_epoch=2,
        batch_size=2,
        **TINY,
        **QUICK,
    )
    return replace(job, **changes)
