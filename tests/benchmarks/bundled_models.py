"""How good the bundled models for trees, roofs and cars are, through the `detect` verb of a real worker.

    .venv/bin/python tests/benchmarks/bundled_models.py [--data FOLDER] [--models FOLDER]

On the pictures that `model_data.py` holds back. They also chose the epoch and the threshold, so the figures flatter.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from model_data import SOURCES, prepare
from pool_model import detections_in_pixels
from report import ROOT, tell

from core.accuracy.metrics import Assessment
from core.job.card import read_card
from core.job.jobs import DetectJob
from core.job.worker import Worker
from core.training.formats.reading import read_labels
from core.training.formats.repairs import Repairs


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--models", type=Path, default=ROOT / "resources/models")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch, Worker(sys.executable) as worker:
        for name, source in SOURCES.items():
            folder, output = Path(scratch, name), Path(scratch, "found.gpkg")
            prepare(source, options.data, folder)
            model = (options.models / f"{name}.safetensors").resolve()
            card = read_card(model)
            classes = tuple(known.name for known in card.classes)
            pairs = []
            for image in read_labels(folder, classes, Repairs())[0]:
                if image.split == "val":
                    job = DetectJob(str(image.path), str(model), str(output), score_floor=0.01)
                    worker.run(job, lambda event: None, lambda: False)
                    pairs.append((detections_in_pixels(output, image.path), image.truth))
            assessment = Assessment(pairs)
            counts = assessment.counts(card.threshold, card.metrics["iou"])
            rows.append(
                {
                    "model": name,
                    "pictures": len(pairs),
                    "objects": sum(len(truth) for _, truth in pairs),
                    "AP30": assessment.average_precision(0.3),
                    "AP50": assessment.average_precision(0.5),
                    "IoU": card.metrics["iou"],
                    "threshold": card.threshold,
                    "precision": counts.precision,
                    "recall": counts.recall,
                    "F1": counts.f1,
                }
            )
            print(rows[-1], flush=True)
    tell("bundled_models", rows)


if __name__ == "__main__":
    main()
