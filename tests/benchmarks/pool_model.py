"""How good the bundled swimming pool model is, through the `detect` verb of a real worker.

    .venv/bin/python tests/benchmarks/pool_model.py [--model M.safetensors] [--data FOLDER] [--split val]

Prints a table: AP at IoU 0.3 and 0.5, and F1 at the card's threshold, on the labelled tiles of `--data`
(`images/`, `annotations.csv`, `split.csv`), on the same tiles refined from 0.6 m to 0.2 m, and on drawn scenes with
exact truth, the demo's first; beside them a plain colour threshold, the least that a network has to beat.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyogrio.raw
import rasterio
import shapely
import shapely.geometry
from rasterio.enums import Resampling
from rasterio.features import shapes
from report import ROOT, tell

from core.accuracy.metrics import Assessment
from core.detections.detections import Detections
from core.job.card import read_card
from core.job.jobs import DetectJob
from core.job.worker import Worker
from core.scene.files import write_scene
from core.scene.scene import draw_scene
from core.training.formats.reading import read_labels
from core.training.formats.repairs import Repairs

SCENE_PX, SCENE_SEEDS = 2048, (20, 21, 22)  # the first is the demo's
Pair = tuple[Detections, Detections]


def detections_in_pixels(path: Path, raster: Path) -> Detections:
    """Boxes of a result, in px of the raster it was made from."""
    _, _, wkb, (scores,) = pyogrio.raw.read(path, layer="detections", columns=["score"])
    with rasterio.open(raster) as dataset:
        to_pixel = ~dataset.transform
    bounds = shapely.bounds(shapely.from_wkb(wkb)).reshape(-1, 4)
    x, y = to_pixel @ (bounds[:, [0, 2]].T, bounds[:, [3, 1]].T)
    boxes = np.stack([x[0], y[0], x[1], y[1]], axis=1)
    return Detections(boxes, scores.astype(float), np.zeros(len(boxes), np.int64))


def colour_threshold(raster: Path) -> Detections:
    """Connected blue pixels as boxes: the best of a grid of thresholds and areas on the train split of NAIP tiles."""
    with rasterio.open(raster) as dataset:
        red, green, blue = dataset.read((1, 2, 3)).astype(int)
    pools = ((blue > red + 20) & (green > red + 25) & (blue > 100)).astype(np.uint8)
    parts = [shapely.geometry.shape(part) for part, _ in shapes(pools, pools == 1, connectivity=8)]
    boxes = np.array([part.bounds for part in parts if 30 <= part.area <= 2500]).reshape(-1, 4)
    return Detections(boxes, np.ones(len(boxes)), np.zeros(len(boxes), np.int64))


def refined(raster: Path, folder: Path, factor: int) -> Path:
    """The raster with pixels `factor` times finer, by cubic convolution."""
    with rasterio.open(raster) as dataset:
        height, width = dataset.height * factor, dataset.width * factor
        values = dataset.read((1, 2, 3), out_shape=(3, height, width), resampling=Resampling.cubic)
        profile = {
            **dataset.profile,
            "count": 3,
            "width": width,
            "height": height,
            "driver": "GTiff",
            "tiled": True,
            "blockxsize": 256,
            "blockysize": 256,
            "photometric": "rgb",
            "transform": dataset.transform @ rasterio.Affine.scale(1 / factor),
        }
    path = folder / f"{raster.stem}_fine.tif"
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values)
    return path


def figures(pairs: list[Pair], threshold: float) -> dict[str, float]:
    """The columns of the table."""
    assessment = Assessment(pairs)
    return {
        "AP30": assessment.average_precision(0.3),
        "AP50": assessment.average_precision(0.5),
        "F1@.3": assessment.counts(threshold, 0.3).f1,
        "F1@.5": assessment.counts(threshold, 0.5).f1,
        "precision@.3": assessment.counts(threshold, 0.3).precision,
        "recall@.3": assessment.counts(threshold, 0.3).recall,
    }


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "resources/models/swimming-pools.safetensors")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/pools_naip")
    parser.add_argument("--split", default="val")
    options = parser.parse_args()
    card = read_card(options.model)
    images = [image for image in read_labels(options.data, ("pool",), Repairs())[0] if image.split == options.split]
    table: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch, Worker(sys.executable) as worker:
        folder = Path(scratch)

        def found(raster: Path, **settings: object) -> Detections:
            output = folder / "found.gpkg"
            job = DetectJob(str(raster), str(options.model.resolve()), str(output), score_floor=0.01, **settings)
            worker.run(job, lambda event: None, lambda: False)
            return detections_in_pixels(output, raster)

        name = f"{options.data.name} {options.split}"
        table[f"{name}, 0.6 m"] = figures([(found(i.path), i.truth) for i in images], card.threshold)
        fine = [(found(refined(i.path, folder, 3)), i.truth) for i in images]
        fine = [(Detections(d.boxes / 3, d.scores, d.labels), truth) for d, truth in fine]
        table[f"{name}, refined to 0.2 m"] = figures(fine, card.threshold)
        table[f"{name}, colour threshold"] = figures([(colour_threshold(i.path), i.truth) for i in images], 0.5)
        for seed in SCENE_SEEDS:
            scene = draw_scene(SCENE_PX, seed)
            raster = folder / "scene.tif"
            write_scene(raster, scene)
            truth = Detections.truth(scene.boxes)
            table[f"drawn suburb {seed}"] = figures([(found(raster), truth)], card.threshold)
            table[f"drawn suburb {seed}, colour threshold"] = figures([(colour_threshold(raster), truth)], 0.5)
    rows = [{"pictures": name, **values} for name, values in table.items()]
    tell("pool_model", rows, model=options.model.name, threshold=card.threshold)


if __name__ == "__main__":
    main()
