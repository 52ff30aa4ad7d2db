"""Tilehawk's training against torchvision's stock RetinaNet, from scratch, side by side on the same crops.

    .venv/bin/python tests/benchmarks/against_stock.py [--data FOLDER] [--sets pools_naip,…] [--seeds 3] [--steps 800]
        [--afresh]

Both train a ResNet-18 for the same number of steps on the same random crops in the same order. Tilehawk: the `train`
verb with its defaults, anchors fitted to the labels, the epoch chosen on a part of the training split. Stock:
torchvision's RetinaNet with its default anchors, losses and normalisation at native size (its resize switched off),
AdamW with the same warm-up and cosine, last weights. Both look at whole held-back images, whose part of the data is
printed; AP is given with a 90 % interval from resampling those images. `--stock-resize` adds stock as it comes, which
resizes to 800 px. Each training that is done is noted at once in build/benchmarks/against_stock/done.jsonl; another
start with the same settings goes on from there (`--afresh`: begins again).
"""

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ledger import Ledger
from report import FOLDER, ROOT, tell
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from core.accuracy.metrics import Assessment
from core.detections.detections import Detections
from core.job.augmentation import Augmentation
from core.job.card import Band
from core.job.jobs import TrainJob
from core.retinanet.detector import Detector
from core.retinanet.device import choose_backend
from core.retinanet.weights import load_model
from core.train import train
from core.training.formats.reading import read_labels
from core.training.formats.repairs import Repairs
from core.training.optimisation import learning_rate_factor
from core.training.pictures import Picture, load_pictures, native_resolution
from core.training.samples import Sampler
from core.training.validation import look_at

BANDS = tuple(Band(role) for role in ("red", "green", "blue"))
BATCH, EPOCHS = 8, 6
FLOOR = 0.01
RESAMPLES = 400
EVERY = 8  # one training image in so many chooses the epoch


@dataclass(frozen=True)
class Task:
    """A labelled folder, the IoU that counts, the crops' side; which images are held back (`test`), left out (None)."""

    name: str
    iou: float
    tile_px: int
    split: Callable[[str, str], str | None]  # of a file's name and the split it has come with


def _block(name: str) -> tuple[int, int]:
    _, x, y, _ = name.split("-")
    return int(x) // 4 * 4, int(y) // 4 * 4


def _frame(name: str) -> str | None:
    frame = int(Path(name).stem[-2:])  # consecutive frames overlap: one lies between the two parts
    return "test" if frame >= 88 else "train" if frame <= 84 else None


def _column(name: str) -> str | None:
    x = int(name.split("_")[1])  # neighbours overlap by 128 px of 512
    return "test" if x >= 4608 else "train" if x + 512 <= 4608 else None


TASKS = (
    Task("pools_naip", 0.3, 128, lambda name, given: "test" if given == "val" else "train"),
    Task("fair_buildings", 0.5, 192, lambda name, given: "test" if _block(name)[1] == 1046532 else "train"),
    Task("kit_ais_cars", 0.5, 192, lambda name, given: _frame(name)),
    Task("oil_palm", 0.5, 192, lambda name, given: _column(name)),
)


def part(task: Task, source: Path) -> Path:
    """A folder like `source` with the task's split."""
    folder = FOLDER / "against_stock" / task.name
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = list(csv.DictReader((source / "annotations.csv").open()))
    given = {Path(row["image"]).name: row["split"] for row in csv.DictReader((source / "split.csv").open())}
    splits = {name: task.split(name, split) for name, split in sorted(given.items())}
    training = [name for name, split in splits.items() if split == "train"]
    splits.update(dict.fromkeys(training[EVERY // 2 :: EVERY], "val"))
    kept = {name: split for name, split in splits.items() if split is not None}
    for name in kept:
        link = folder / "images" / name
        link.unlink(missing_ok=True)
        link.symlink_to(source / "images" / name)
    with (folder / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "split"), *((f"images/{name}", split) for name, split in kept.items())])
    with (folder / "annotations.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if Path(row["image"]).name in kept)
    return folder


@dataclass
class Data:
    """A task's labels and pictures: `train` with the part that chooses the epoch, and `test`, which is held back."""

    folder: Path
    classes: tuple[str, ...]
    train: list[Picture]
    test: list[Picture]

    @classmethod
    def of(cls, task: Task, source: Path) -> "Data":
        """Read a labelled folder, parted as the task says."""
        folder = part(task, source)
        classes = tuple(sorted({row["label"] for row in csv.DictReader((folder / "annotations.csv").open())}))
        images = read_labels(folder, classes, Repairs())[0]
        resolution = native_resolution(images)

        def pictures(*splits: str) -> list[Picture]:
            return load_pictures([i for i in images if i.split in splits], BANDS, (1, 2, 3), resolution, len(classes))

        return cls(folder, classes, pictures("train", "val"), pictures("test"))


def ours(data: Data, task: Task, options: argparse.Namespace, seed: int) -> list[Detections]:
    """Train by the verb; detections on the held-back pictures."""
    output = data.folder / f"seed{seed}.safetensors"
    job = TrainJob(
        data=(str(data.folder),),
        output=str(output),
        overwrite=True,
        classes=data.classes,
        backbone="resnet18",
        epochs=EPOCHS,
        steps_per_epoch=options.steps // EPOCHS,
        batch_size=BATCH,
        tile_px=task.tile_px,
        seed=seed,
        device=options.device,
    )
    train(job, lambda event: None, lambda: False)
    card, network = load_model(output)
    detector = Detector(card, network, choose_backend(options.device))
    fill = np.array([round(band.mean) for band in card.bands], np.uint8)
    return [look_at(detector, picture, fill) for picture in data.test]


def stock(data: Data, task: Task, options: argparse.Namespace, seed: int, resize: bool) -> list[Detections]:
    """Train torchvision's RetinaNet as it comes; detections on the held-back pictures."""
    torch.manual_seed(seed)
    sampler = Sampler(data.train, task.tile_px, np.full(3, 114, np.uint8), Augmentation(), seed)
    backend = choose_backend(options.device)
    pyramid = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=torch.nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    size = {} if resize else {"min_size": task.tile_px, "max_size": task.tile_px}
    model = RetinaNet(pyramid, len(data.classes), score_thresh=FLOOR, **size).to(backend.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=TrainJob.learning_rate or 7e-4, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, options.steps))
    model.train()
    for epoch in range(EPOCHS):
        for batch in sampler.batches(epoch, options.steps // EPOCHS, BATCH):
            images = [image.to(backend.device).float() / 255 for image in batch.images]
            targets = [_target(truth, task.tile_px, backend.device) for truth in batch.truths]
            with torch.autocast(backend.device.type, torch.bfloat16, enabled=backend.dtype == torch.bfloat16):
                loss = sum(model(images, targets).values())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
    return [_seen(model.eval(), picture, backend.device, resize) for picture in data.test]


def _target(truth: Detections, side: int, device: torch.device) -> dict[str, torch.Tensor]:
    kept = truth if truth.ignore is None else truth.take(~truth.ignore)
    boxes = torch.from_numpy(kept.boxes).float().reshape(-1, 4).clamp(0, side)
    return {"boxes": boxes.to(device), "labels": torch.from_numpy(kept.labels).to(device)}


@torch.inference_mode()
def _seen(model: RetinaNet, picture: Picture, device: torch.device, resize: bool) -> Detections:
    if not resize:
        sides = picture.values.shape[1:]
        model.transform.min_size, model.transform.max_size = (min(sides),), max(sides)
    (found,) = model([torch.from_numpy(picture.values).to(device).float() / 255])
    return Detections(*(found[key].cpu().numpy() for key in ("boxes", "scores", "labels")))


def interval(pairs: list[tuple[Detections, Detections]], iou: float) -> tuple[float, float, float]:
    """AP of all pictures, and the 5th and 95th percentile of it over pictures drawn with repetition."""
    random = np.random.default_rng(0)
    drawn = [[pairs[i] for i in random.integers(len(pairs), size=len(pairs))] for _ in range(RESAMPLES)]
    values = [Assessment(sample).average_precision(iou) for sample in drawn]
    return Assessment(pairs).average_precision(iou), *np.nanpercentile(values, [5, 95]).tolist()


def trained(data: Data, task: Task, name: str, seed: int, options: argparse.Namespace) -> dict:
    """Train one model and judge it on what was held back."""
    started = time.perf_counter()
    if name == "tilehawk":
        found = ours(data, task, options, seed)
    else:
        found = stock(data, task, options, seed, name == "stock at 800")
    truths = [picture.truth for picture in data.test]
    value, low, high = interval(list(zip(found, truths, strict=True)), task.iou)
    held_back = sum(len(truth) for truth in truths)
    seconds = time.perf_counter() - started
    return {"AP": value, "5 %": low, "95 %": high, "held back": held_back, "seconds": seconds}


def means(rows: list[dict]) -> list[dict]:
    """The mean AP of each model on each data set, over its seeds."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["model"]), []).append(row)
    return [
        {"data": name, "model": model, "seed": f"mean of {len(of)}", "AP": float(np.mean([row["AP"] for row in of]))}
        for (name, model), of in groups.items()
    ]


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sets", default=",".join(task.name for task in TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--stock-resize", action="store_true")
    parser.add_argument("--afresh", action="store_true")
    options = parser.parse_args()
    tasks = [task for task in TASKS if task.name in options.sets.split(",")]
    names = ("tilehawk", "stock", *(["stock at 800"] if options.stock_resize else []))
    ledger = Ledger("against_stock", options.afresh)
    data = {task.name: Data.of(task, options.data / task.name) for task in tasks}
    rows = []
    for seed in range(options.seeds):
        for task in tasks:
            for name in names:
                key = {"data": task.name, "IoU": task.iou, "model": name, "seed": seed}
                key |= {"steps": options.steps, "tile px": task.tile_px}
                rows.append(ledger.row(key, partial(trained, data[task.name], task, name, seed, options)))
                print(rows[-1], flush=True)
    tell("against_stock", rows + means(rows), steps=options.steps, batch=BATCH, backbone="resnet18")


if __name__ == "__main__":
    main()
