"""Is the learning rate that is found by trial as good as the best of a grid?

    .venv/bin/python tests/benchmarks/learning_rate.py [--data FOLDER] [--sets pools_naip,kit_ais_cars] [--seeds 3]
        [--steps 400] [--device auto] [--afresh]

Trains a small network on each data set with the rate that `find_learning_rate` suggests and with five others, and
prints AP on the images that choose the epoch. The suggestion should end within 0.05 of the best, and never diverge.
Each training that is done is noted at once in build/benchmarks/learning_rate/done.jsonl; another start with the same
settings goes on from there (`--afresh`: begins again).
"""

import argparse
import sys
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ledger import Ledger
from report import ROOT, tell

from core.job.errors import ModelError
from core.job.train_job import TrainJob
from core.retinanet.device import choose_backend
from core.training.loop import fit
from core.training.preparation import prepare
from core.training.rate import find_learning_rate
from core.training.setup import set_up, with_rate

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
EPOCHS, TILE_PX, NEAR = 8, 128, 0.05


def trained(job: TrainJob, rate: float | None) -> dict[str, Any]:
    """The rate used, found where it is None, and the best AP at the decisive IoU; None where the training diverged."""
    prepared = prepare(job, lambda event: None)
    setup = set_up(job, prepared, choose_backend(job.device), lambda event: None)
    used = rate or find_learning_rate(setup, lambda event: None, lambda: False)[0]
    setup = with_rate(setup, used)
    parts = (setup.card, setup.network, setup.sampler, setup.recipe, setup.backend, setup.judge)
    try:
        return {"used": used, "AP": fit(*parts, lambda event: None).best[setup.recipe.choose_on]}
    except ModelError:
        return {"used": used, "AP": None}


def mean(name: str, rate: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One line of the table: a rate's mean over the seeds; a training that diverged has no AP."""
    scores = [row["AP"] or 0.0 for row in rows]
    used = " ".join(f"{value:.2g}" for value in sorted({row["used"] for row in rows}))
    diverged = sum(row["AP"] is None for row in rows)
    seen = {"AP": float(np.mean(scores)), "lowest": min(scores), "highest": max(scores)}
    return {"data": name, "rate": rate, "used": used, **seen, "diverged": diverged, "seeds": len(rows)}


def main() -> int:
    """Print the table; 1 where a suggestion is not near the best of the grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sets", default="pools_naip,kit_ais_cars")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--afresh", action="store_true")
    options = parser.parse_args()
    ledger = Ledger("learning_rate", options.afresh)
    done: dict[str, dict[str, list[dict[str, Any]]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed, name, rate in product(range(options.seeds), options.sets.split(","), (None, *GRID)):
            job = TrainJob(
                output=str(Path(scratch, "m.safetensors")),
                data=(str(options.data / name),),
                backbone="resnet18",
                backbone_stages=3,
                channels=64,
                head_channels=64,
                head_depth=2,
                epochs=EPOCHS,
                steps_per_epoch=max(1, options.steps // EPOCHS),
                tile_px=TILE_PX,
                ema_decay=0.98,
                device=options.device,
                seed=seed,
            )
            key = {"data": name, "rate": "found" if rate is None else f"{rate:g}", "seed": seed}
            key |= {"steps": options.steps, "tile px": TILE_PX}
            row = ledger.row(key, partial(trained, job, rate))
            print(row, flush=True)
            done.setdefault(name, {}).setdefault(row["rate"], []).append(row)
    rows = [mean(name, rate, of) for name, rates in done.items() for rate, of in rates.items()]
    tell("learning_rate", rows, steps=options.steps, seeds=options.seeds, tile_px=TILE_PX)
    best = {name: max(row["AP"] for row in rows if row["data"] == name) for name in done}
    found = [row for row in rows if row["rate"] == "found"]
    return int(any(row["diverged"] or row["AP"] < best[row["data"]] - NEAR for row in found))


if __name__ == "__main__":
    sys.exit(main())
