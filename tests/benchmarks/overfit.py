"""One image learnt by heart: a loop that cannot do that has a mistake somewhere.

    .venv/bin/python tests/benchmarks/overfit.py [--data FOLDER] [--image OSBS_029.tif] [--threads 2]

Trains from scratch on a single labelled image of trees, without augmentation, until recall at IoU 0.5 and a score of
0.5 is 0.95, and prints epochs, seconds on the wall and of the processor; more than 3 minutes on 2 cores is a failure.
"""

import argparse
import csv
import shutil
import sys
import tempfile
import time
from pathlib import Path

from report import ROOT, tell

import torch  # isort: skip

from core.accuracy.metrics import Assessment
from core.detections.detections import Detections
from core.job.augmentation import NO_AUGMENTATION
from core.job.train_job import TrainJob
from core.retinanet.detector import Detector
from core.retinanet.device import choose_backend
from core.training.loop import fit
from core.training.preparation import prepare
from core.training.recipe import Requests
from core.training.setup import set_up
from core.training.validation import look_at

RECALL, SCORE, IOU, SECONDS = 0.95, 0.5, 0.5, 180.0


def alone(data: Path, image: str, folder: Path) -> Path:
    """A data set of one image, of which all is for training."""
    (folder / "images").mkdir(parents=True)
    shutil.copy(data / "images" / image, folder / "images")
    with (data / "annotations.csv").open() as source, (folder / "annotations.csv").open("w", newline="") as target:
        rows = list(csv.reader(source))
        csv.writer(target).writerows([rows[0], *(row for row in rows[1:] if row[0] == f"images/{image}")])
    (folder / "split.csv").write_text(f"image,split\nimages/{image},train\n")
    return folder


def main() -> int:
    """Train, tell, and fail where it took too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/deepforest_trees")
    parser.add_argument("--image", default="OSBS_029.tif")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = alone(options.data, options.image, Path(scratch, "data"))
        job = TrainJob(
            output=str(Path(scratch, "m.safetensors")),
            data=(str(folder),),
            backbone="resnet18",
            backbone_stages=3,
            channels=96,
            head_channels=96,
            head_depth=2,
            batch_size=4,
            tile_px=256,
            epochs=36,
            steps_per_epoch=10,
            learning_rate=1.5e-3,
            ema_decay=0.95,
            augmentation=NO_AUGMENTATION,
            device="cpu",
        )
        prepared = prepare(job, lambda event: None)
        setup = set_up(job, prepared, choose_backend("cpu"), lambda event: None)
        picture = prepared.pictures["train"][0]
        recalls: list[float] = []

        def validate(network: torch.nn.Module) -> dict[str, float]:
            found: Detections = look_at(Detector(setup.card, network, setup.backend), picture, prepared.fill)
            counts = Assessment([(found, picture.truth)]).counts(SCORE, IOU)
            recalls.append(counts.recall)
            print(f"epoch {len(recalls)}: recall {counts.recall:.3f}, precision {counts.precision:.3f}", flush=True)
            return {"ap30": counts.recall, "ap50": counts.recall}

        started, used = time.monotonic(), time.process_time()
        learnt = Requests(stopped=lambda: bool(recalls) and recalls[-1] >= RECALL)
        fit(setup.card, setup.network, setup.sampler, setup.recipe, setup.backend, validate, lambda e: None, learnt)
        seconds, processor = time.monotonic() - started, time.process_time() - used
    row = {
        "image": options.image,
        "recall": recalls[-1],
        "epochs": len(recalls),
        "s": seconds,
        "processor s": processor,
    }
    tell("overfit", [row], threads=options.threads)
    return int(recalls[-1] < RECALL or processor / options.threads > SECONDS)


if __name__ == "__main__":
    sys.exit(main())
