"""The product against what else runs RetinaNets over large rasters, with the same weights, tiles and thresholds.

    .venv/bin/python tests/benchmarks/peers.py [--size 2048] [--rounds 1] [--backends best] [--peers torchvision,sahi]

torchvision's model in a loop of one's own, DeepForest's `predict_tile` and SAHI's sliced prediction, each as it comes;
with `-tile` its silent enlarging of every tile to 800 px is switched off. They live in an environment of their own,
build/benchmarks/peers, which the first run makes with uv (about 6 GB on disk, most of it linked from uv's cache).
Every program is a process of its own, and those of a round run one after another, the product first and last.
`seconds`: the detection alone, from an opened model to the merged boxes (the product: to the written GeoPackage);
`start s`: imports, loading, and the product's first tile, with OpenVINO's compiling. `times ours`: seconds over the
product's in the same round, the median of the rounds. The weights are fresh, shifted to find some 40 boxes a tile of
512 px; at 800 px their number is another.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import FOLDER, ROOT, tell
from suburb import NMS_OVERLAP, OVERLAP_PX, THRESHOLD, TILE_PX, resnet50, suburb

HERE = Path(__file__).parent
PYTHON = FOLDER / "peers" / "bin" / "python"
PEERS = ("torchvision", "torchvision-tile", "deepforest", "deepforest-tile", "sahi", "sahi-tile")


def install() -> None:
    """Make the peers' environment where there is none, with this one's torch."""
    import torch
    import torchvision

    if PYTHON.exists() and subprocess.run([PYTHON, "-c", "import deepforest, sahi"], check=False).returncode == 0:
        return
    same = [f"{package.__name__}=={package.__version__.split('+')[0]}" for package in (torch, torchvision)]
    subprocess.run(["uv", "venv", "--quiet", "--clear", "--python", sys.executable, PYTHON.parents[1]], check=True)
    packages = ["-r", HERE / "peers.txt", *same]
    subprocess.run(["uv", "pip", "install", "--quiet", "--python", PYTHON, *packages], check=True)


def weights_of(model: Path) -> tuple[Path, Path]:
    """The weights as torchvision keeps them, and the model that `import` makes of them."""
    from safetensors.torch import save_file

    from core.retinanet.weights import load_model

    weights, imported = model.with_name("torchvision.safetensors"), model.with_name("imported.safetensors")
    save_file(load_model(model)[1].state_dict(), weights)
    command = [sys.executable, "-m", "core", "import", weights, "--output", imported, "--classes", "thing"]
    subprocess.run([*command, "--batch-norm-eps", "1e-5", "--resolution", "0.6"], check=True, cwd=ROOT)
    return weights, imported


def ours(backend: str, raster: str, model: str, launched: str) -> dict[str, Any]:
    """The product, in this process."""
    import numpy as np
    from end_to_end import backends
    from memory import peak_mb

    from core.detect import detect
    from core.job.jobs import DetectJob
    from core.retinanet.detector import Detector
    from core.retinanet.device import usual_batch
    from core.retinanet.weights import load_model

    detector = Detector(*load_model(model), backends()[backend])
    batch = usual_batch(detector.backend.device, TILE_PX)
    detector(np.zeros((batch, 3, TILE_PX, TILE_PX), np.uint8), THRESHOLD, NMS_OVERLAP)
    with tempfile.TemporaryDirectory() as folder:
        job = DetectJob(
            raster,
            model,
            f"{folder}/out.gpkg",
            threshold=THRESHOLD,
            score_floor=THRESHOLD,
            nms_overlap=NMS_OVERLAP,
            tile_px=TILE_PX,
            overlap_px=OVERLAP_PX,
        )
        started = time.time() - float(launched)
        ready = time.perf_counter()
        result = detect(job, lambda event: None, lambda: False, lambda path, device: detector)
        seconds = time.perf_counter() - ready
    return {
        "input px": TILE_PX,
        "tiles": result["tiles"],
        "seconds": seconds,
        "boxes": result["above_floor"],
        "peak MB": peak_mb(),
        "start s": started,
    }


def run(name: str, raster: Path, weights: Path, model: Path) -> dict[str, Any]:
    """One program in its own process; what it says, or its error."""
    if name.startswith("tilehawk "):
        command = [sys.executable, __file__, "--ours", name.removeprefix("tilehawk "), raster, model]
    else:
        settings = [TILE_PX, OVERLAP_PX, THRESHOLD, NMS_OVERLAP]
        command = [PYTHON, HERE / "peer.py", name, raster, weights, *map(str, settings)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        command.append(str(time.time()))
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    result = json.loads(lines[-1]) if lines and not done.returncode else {"error": done.stderr.strip()[-300:]}
    print(name, result, flush=True)
    return result


def row_of(name: str, runs: list[dict[str, Any]], of_ours: list[float]) -> dict[str, Any]:
    """One line of the table: a program's runs, one a round, against the product's seconds in those rounds."""
    error = next((run["error"] for run in runs if "error" in run), None)
    if error is not None:
        return {"program": name, "error": error}
    seconds = [run["seconds"] for run in runs]
    return {
        "program": name,
        **runs[0],
        "seconds": statistics.median(seconds),
        "tiles/s": runs[0]["tiles"] / statistics.median(seconds),
        "times ours": statistics.median(one / our for one, our in zip(seconds, of_ours, strict=True)),
    }


def main() -> None:
    if sys.argv[1:2] == ["--ours"]:
        print("\n" + json.dumps(ours(*sys.argv[2:6])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, help="side of the raster, px")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--backends", default="best", help="of end_to_end.py, with commas; the first is `ours`")
    parser.add_argument("--peers", default=",".join(PEERS))
    options = parser.parse_args()
    install()
    raster = suburb(options.size)
    weights, model = weights_of(resnet50(raster))
    products = [f"tilehawk {backend}" for backend in options.backends.split(",")]
    rounds: list[dict[str, dict[str, Any]]] = []
    of_ours: list[float] = []
    for _ in range(options.rounds):
        results = {name: run(name, raster, weights, model) for name in (*products, *options.peers.split(","))}
        again = run(products[0], raster, weights, model)
        of_ours.append((results[products[0]]["seconds"] + again["seconds"]) / 2)
        rounds.append(results)
    rows = [row_of(name, [results[name] for results in rounds], of_ours) for name in rounds[0]]
    tell("peers", rows, size=options.size, tile_px=TILE_PX, overlap_px=OVERLAP_PX, rounds=options.rounds)


if __name__ == "__main__":
    main()
