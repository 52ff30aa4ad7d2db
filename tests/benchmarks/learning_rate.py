"""Is the learning rate that is found by trial as good as the best of a grid?

    .venv/bin/python tests/benchmarks/learning_rate.py [--data FOLDER] [--sets pools_naip,kit_ais_cars] [--seeds 3]
        [--steps 400] [--device auto]

Trains a small network on each data set with the rate that `find_learning_rate` suggests and with five others, and
prints AP on the images that choose the epoch. The suggestion should end within 0.05 of the best, and never diverge.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from report import ROOT, tell

from core.job.errors import ModelError
from core.job.train_job import TrainJob
from core.retinanet.device import choose_backend
from core.training.loop import fit
from core.training.preparation import prepare
from core.training.rate import find_learning_rate
from core.training.setup import set_up, with_rate

GRID = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
EPOCHS, NEAR = 8, 0.05


def trained(job: TrainJob, rate: float | None) -> tuple[float, float | None]:
    """The rate, found where it is None, and the best AP at the decisive IoU; None where the training diverged."""
    prepared = prepare(job, lambda event: None)
    setup = set_up(job, prepared, choose_backend(job.device), lambda event: None)
    used = rate or find_learning_rate(setup, lambda event: None, lambda: False)[0]
    setup = with_rate(setup, used)
    parts = (setup.card, setup.network, setup.sampler, setup.recipe, setup.backend, setup.judge)
    try:
        return used, fit(*parts, lambda event: None).best[setup.recipe.choose_on]
    except ModelError:
        return used, None


def main() -> int:
    """Print the table; 1 where a suggestion is not near the best of the grid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sets", default="pools_naip,kit_ais_cars")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    rows, failed = [], False
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets.split(","):
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
                tile_px=192,
                ema_decay=0.98,
                device=options.device,
            )
            seeds = [replace(job, seed=seed) for seed in range(options.seeds)]
            means = []
            for rate in (*GRID, None):
                found = [trained(each, rate) for each in seeds]
                scores = [score for _, score in found if score is not None]
                rates = " ".join(f"{used:.2g}" for used in sorted({used for used, _ in found}))
                means.append(float(np.mean(scores)) if scores else 0.0)
                diverged = len(found) - len(scores)
                how = "found" if rate is None else "given"
                rows.append({"data": name, "rate": rates, "how": how, "AP": means[-1], "diverged": diverged})
                failed |= rate is None and (diverged > 0 or means[-1] < max(means) - NEAR)
    tell("learning_rate", rows, steps=options.steps, seeds=options.seeds)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
