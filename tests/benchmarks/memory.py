"""The worker's peak memory against the size of the raster, with a simulated detector.

    .venv/bin/python tests/benchmarks/memory.py [--sizes 6000,20000,60000] [--per-tile 140]

Each size is a process of its own: a sparse GeoTIFF of one value, tiles of 512 px with an overlap of 128 px, and a
detector that sees the same number of boxes on every tile (140: some 2 million objects on 60,000 x 60,000 px). `over the
smallest` is what counts: imports, GDAL's cache and the reader's blocks are in all of them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from report import tell

from core.detect import detect
from core.detections.detections import Detections
from core.job.card import CARD_KEY, Architecture, Band, ModelCard, ObjectClass, card_to_json
from core.job.jobs import DetectJob

TILE_PX = 512


class Simulated:
    """Sees boxes of 12 to 40 px, the same number on every tile, at random places that do not repeat."""

    backend = SimpleNamespace(name="simulated", key="cpu simulated", device=SimpleNamespace(type="cpu"))
    batch_limit = 1024

    def __init__(self, per_tile: int) -> None:
        self._per_tile = per_tile
        self._rng = np.random.default_rng(0)

    def __call__(self, images: np.ndarray, score_floor: float, nms_overlap: float) -> list[Detections]:
        return [self._look() for _ in images]

    def _look(self) -> Detections:
        n, rng = self._per_tile, self._rng
        corner, size = rng.uniform(0, TILE_PX - 12, (n, 2)), rng.uniform(12, 40, (n, 2))
        boxes = np.hstack([corner, (corner + size).clip(max=TILE_PX)]).astype(np.float32)
        return Detections(boxes, rng.uniform(0.1, 1, n).astype(np.float32), np.zeros(n, np.int64))


def write_raster(path: Path, width: int, height: int) -> None:
    """A sparse GeoTIFF: blocks that are not written read as 0, which is no nodata here."""
    import rasterio
    from rasterio.transform import from_origin

    rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=3,
        dtype="uint8",
        crs="EPSG:32611",
        transform=from_origin(400_000, 3_760_000, 0.6, 0.6),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        compress="deflate",
        sparse_ok=True,
    ).close()


def write_model(path: Path) -> None:
    """A model of a card alone."""
    card = ModelCard(
        "simulated",
        (ObjectClass("thing"),),
        tuple(Band(role) for role in ("red", "green", "blue")),
        0.6,
        architecture=Architecture(),
    )
    header = json.dumps({"__metadata__": {CARD_KEY: card_to_json(card)}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)


def peak_mb() -> float:
    """High-water mark of this process (Linux)."""
    line = next(s for s in Path("/proc/self/status").read_text().splitlines() if s.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def run_one(width: int, height: int, per_tile: int) -> dict[str, float]:
    """Detect on a sparse raster of so many px, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        raster, model = Path(folder, "sparse.tif"), Path(folder, "model.safetensors")
        write_raster(raster, width, height)
        write_model(model)
        job = DetectJob(str(raster), str(model), f"{folder}/out.gpkg", tile_px=TILE_PX, overlap_px=128)
        started = time.perf_counter()
        result = detect(job, lambda event: None, lambda: False, lambda path, device: Simulated(per_tile))
        seconds = time.perf_counter() - started
        megabytes = Path(job.output).stat().st_size / 2**20
    return {
        "width px": width,
        "height px": height,
        "tiles": result["tiles"],
        "objects": result["above_floor"],
        "peak MB": peak_mb(),
        "result MB": megabytes,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="6000,20000,60000")
    parser.add_argument("--per-tile", type=int, default=140)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(run_one(options.one, options.one, options.per_tile)))
        return
    rows: list[dict[str, float]] = []
    for size in sorted(int(size) for size in options.sizes.split(",")):
        command = [sys.executable, __file__, "--one", str(size), "--per-tile", str(options.per_tile)]
        row = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
        row["over the smallest MB"] = row["peak MB"] - rows[0]["peak MB"] if rows else 0.0
        rows.append(row)
        print(row, flush=True)
    tell("memory", rows, per_tile=options.per_tile)


if __name__ == "__main__":
    main()
