"""How much of the bare network's speed `detect` keeps from a GeoTIFF to a GeoPackage.

    .venv/bin/python tests/benchmarks/end_to_end.py [--rounds 2] [--size 4096] [--backends torch-bf16,openvino]
    .venv/bin/python tests/benchmarks/end_to_end.py --backends best --repeat 14 --profile    (CUDA: 22,500 tiles)

ResNet-50, tiles of 512 px, overlap 128, fresh weights whose scores are shifted so that some 40 boxes a tile are found.
`bare`: backbone and heads alone as the backend runs them, on normalised tiles in the device's memory, just before and
just after each run of `detect` in the same process. `end to end`: from the end of the first tiles to the written
GeoPackage, merging included. What comes before (opening, the first tiles) is `start s`; `first batch s` is the
network's very first batch, with OpenVINO's compiling. `--profile` tells where the main thread's time went.
"""

import argparse
import cProfile
import pstats
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import rasterio
import torch
from report import tell
from suburb import OVERLAP_PX, TILE_PX, cut, repeated, resnet50, suburb

from core.detect import detect
from core.job.jobs import DetectJob
from core.retinanet.detector import Detector
from core.retinanet.device import Backend, choose_backend, usual_batch
from core.retinanet.weights import load_model

BARE_TILES = 24
CPU = torch.device("cpu")


@torch.inference_mode()
def bare(detector: Detector, values: list[torch.Tensor]) -> float:
    """Seconds a tile of backbone and heads alone, on normalised batches in memory."""
    started = time.perf_counter()
    for batch in values:
        logits, _ = detector.forward(batch)
    logits[0].sum().item()  # waits for the device
    return (time.perf_counter() - started) / sum(len(batch) for batch in values)


def end_to_end(job: DetectJob, detector: Detector, warm_tiles: int) -> tuple[dict, float, float]:
    """The result of `detect`, its seconds a tile after the first tiles, and the seconds before."""
    moments: list[tuple[int, float]] = []

    def note(event: dict) -> None:
        if event["event"] == "progress" and event["text"].startswith("Tile "):
            moments.append((int(event["text"].split()[1].replace(",", "")), time.perf_counter()))

    started = time.perf_counter()
    result = detect(job, note, lambda: False, lambda path, device: detector)
    ended = time.perf_counter()
    tiles, warm = next(moment for moment in moments[1:] if moment[0] >= warm_tiles)
    return result, (ended - warm) / (result["tiles"] - tiles), warm - started


def job_of(raster: Path, model: Path, folder: str, batch: int) -> DetectJob:
    """The detection that is measured."""
    return DetectJob(
        str(raster), str(model), f"{folder}/out.gpkg", tile_px=TILE_PX, overlap_px=OVERLAP_PX, batch_size=batch
    )


def backends() -> dict[str, Backend]:
    """Backends by the names of `--backends`; "best" is the one that a detection would choose."""
    best = choose_backend()
    name = choose_backend("cpu").name
    return {
        "best": best.for_detection(),
        "torch-float32": Backend(CPU, torch.float32, name),
        "torch-bf16": Backend(CPU, torch.bfloat16, name),
        "openvino": Backend(CPU, torch.bfloat16, name, "openvino"),
        "openvino-float32": Backend(CPU, torch.float32, name, "openvino"),
    }


@torch.inference_mode()
def batches_in_memory(detector: Detector, raster: Path, batch: int) -> list[torch.Tensor]:
    """Normalised batches on the device: 24 tiles, or four batches time and again where batches are large."""
    with rasterio.open(raster) as file:
        tiles = np.stack(cut(file.read(), BARE_TILES if batch == 1 else 4 * batch))
    values = [detector.normalise(part) for part in torch.from_numpy(tiles).split(batch)]
    return values if batch == 1 else 8 * values


def main() -> None:
    known = backends()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--size", type=int, default=4096, help="side of the raster, px")
    parser.add_argument("--repeat", type=int, default=1, help="times the raster is repeated along both axes")
    parser.add_argument("--batch", type=int, default=0, help="tiles at once; otherwise by the device")
    parser.add_argument("--backends", default="best", help=f"of {', '.join(known)}, with commas")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    piece = suburb(options.size)
    model = resnet50(piece)
    raster = repeated(piece, options.repeat) if options.repeat > 1 else piece
    rows = []
    for name in options.backends.split(","):
        backend = known[name]
        detector = Detector(*load_model(model), backend)
        batch = options.batch or usual_batch(backend.device, TILE_PX)
        values = batches_in_memory(detector, piece, batch)
        started = time.perf_counter()
        bare(detector, values[:1])
        first = time.perf_counter() - started
        bare(detector, values)
        for _ in range(options.rounds):
            before = bare(detector, values)
            with tempfile.TemporaryDirectory() as folder:
                job = job_of(raster, model, folder, batch)
                with cProfile.Profile() if options.profile else nullcontext() as profile:
                    result, seconds, start = end_to_end(job, detector, 8 if batch == 1 else 16 * batch)
            limit = (before + bare(detector, values)) / 2
            rows.append(
                {
                    "backend": backend.key,
                    "tiles": result["tiles"],
                    "batch": result["batch_size"],
                    "boxes": result["above_floor"],
                    "bare tiles/s": 1 / limit,
                    "end to end tiles/s": 1 / seconds,
                    "ratio": limit / seconds,
                    "over the network ms": 1000 * (seconds - limit),
                    "start s": start,
                    "first batch s": first,
                }
            )
            print(rows[-1], flush=True)
            if profile is not None:
                pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    tell("end_to_end", rows, size=options.size * options.repeat, tile_px=TILE_PX, overlap_px=OVERLAP_PX)


if __name__ == "__main__":
    main()
