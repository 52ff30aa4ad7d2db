"""Tilehawk's training against torchvision's stock RetinaNet, from scratch, side by side on the same crops.

    .venv/bin/python tests/benchmarks/against_stock.py [--data FOLDER] [--sets pools_naip,…] [--seeds 3] [--steps 800]

Both train a ResNet-18 for the same number of steps on the same random crops in the same order. Tilehawk: the `train`
verb with its defaults, anchors fitted to the labels, the epoch chosen on a part of the training split. Stock:
torchvision's RetinaNet with its default anchors, losses and normalisation at native size (its resize switched off),
AdamW with the same warm-up and cosine, last weights. Both look at whole held-back images, whose part of the data is
printed; AP is given with a 90 % interval from resampling those images. `--stock-resize` adds stock as it comes, which
resizes to 800 px.
"""

import argparse
import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
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
TILE_PX, BATCH, EPOCHS = 256, 8, 10
FLOOR = 0.01
RESAMPLES = 400
EVERY = 8  # one training image in so many chooses the epoch


@dataclass(frozen=True)
class Task:
    """A labelled folder, the IoU that counts, and which images are held back (`test`) or left out (None)."""

    name: str
    iou: float
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
    Task("pools_naip", 0.3, lambda name, given: "test" if given == "val" else "train"),
    Task("fair_buildings", 0.5, lambda name, given: "test" if _block(name)[1] == 1046532 else "train"),
    Task("kit_ais_cars", 0.5, lambda name, given: _frame(name)),
    Task("oil_palm", 0.5, lambda name, given: _column(name)),
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


def ours(folder: Path, classes: tuple[str, ...], options: argparse.Namespace, seed: int, test: list[Picture]) -> list:
    """Train by the verb; detections on the held-back pictures."""
    output = folder / f"seed{seed}.safetensors"
    job = TrainJob(
        data=(str(folder),),
        output=str(output),
        classes=classes,
        backbone="resnet18",
        epochs=EPOCHS,
        steps_per_epoch=options.steps // EPOCHS,
        batch_size=BATCH,
        tile_px=TILE_PX,
        seed=seed,
        device=options.device,
    )
    train(job, lambda event: None, lambda: False)
    card, network = load_model(output)
    detector = Detector(card, network, choose_backend(options.device))
    fill = np.array([round(band.mean) for band in card.bands], np.uint8)
    return [look_at(detector, picture, fill) for picture in test]


def stock(
    sampler: Sampler, classes: int, options: argparse.Namespace, seed: int, test: list[Picture], resize: bool
) -> list:
    """Train torchvision's RetinaNet as it comes; detections on the held-back pictures."""
    torch.manual_seed(seed)
    backend = choose_backend(options.device)
    pyramid = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=torch.nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )
    size = {} if resize else {"min_size": TILE_PX, "max_size": TILE_PX}
    model = RetinaNet(pyramid, classes, score_thresh=FLOOR, **size).to(backend.device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=TrainJob.learning_rate or 7e-4, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_factor(step, options.steps))
    model.train()
    for epoch in range(EPOCHS):
        for batch in sampler.batches(epoch, options.steps // EPOCHS, BATCH):
            images = [image.to(backend.device).float() / 255 for image in batch.images]
            targets = [_target(truth, backend.device) for truth in batch.truths]
            with torch.autocast(backend.device.type, torch.bfloat16, enabled=backend.dtype == torch.bfloat16):
                loss = sum(model(images, targets).values())
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimiser.step()
            schedule.step()
    return [_seen(model.eval(), picture, backend.device, resize) for picture in test]


def _target(truth: Detections, device: torch.device) -> dict[str, torch.Tensor]:
    kept = truth if truth.ignore is None else truth.take(~truth.ignore)
    boxes = torch.from_numpy(kept.boxes).float().reshape(-1, 4).clamp(0, TILE_PX)
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


def main() -> None:
    """Train and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--sets", default=",".join(task.name for task in TASKS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--stock-resize", action="store_true")
    options = parser.parse_args()
    rows = []
    for task in (task for task in TASKS if task.name in options.sets.split(",")):
        folder = part(task, options.data / task.name)
        images, classes = _labels(folder)
        resolution = native_resolution(images)
        pictures = {
            split: load_pictures([i for i in images if i.split in splits], BANDS, (1, 2, 3), resolution, len(classes))
            for split, splits in (("train", ("train", "val")), ("test", ("test",)))
        }
        for seed in range(options.seeds):
            for name in ("tilehawk", "stock", *(["stock at 800"] if options.stock_resize else [])):
                started = time.perf_counter()
                if name == "tilehawk":
                    found = ours(folder, classes, options, seed, pictures["test"])
                else:
                    sampler = Sampler(pictures["train"], TILE_PX, np.full(3, 114, np.uint8), Augmentation(), seed)
                    found = stock(sampler, len(classes), options, seed, pictures["test"], name == "stock at 800")
                pairs = list(zip(found, [picture.truth for picture in pictures["test"]], strict=True))
                value, low, high = interval(pairs, task.iou)
                row = {"data": task.name, "IoU": task.iou, "seed": seed, "model": name, "AP": value, "5 %": low}
                row |= {"95 %": high, "held back": sum(len(truth) for _, truth in pairs)}
                rows.append(row | {"seconds": time.perf_counter() - started})
                print(rows[-1], flush=True)
    for task in TASKS:
        for name in ("tilehawk", "stock", "stock at 800"):
            values = [row["AP"] for row in rows if row["data"] == task.name and row["model"] == name]
            if values:
                rows.append({"data": task.name, "IoU": task.iou, "seed": "mean", "model": name, "AP": np.mean(values)})
    tell("against_stock", rows, steps=options.steps, batch=BATCH, tile_px=TILE_PX)


def _labels(folder: Path) -> tuple[list, tuple[str, ...]]:
    rows = csv.DictReader((folder / "annotations.csv").open())
    classes = tuple(sorted({row["label"] for row in rows}))
    return read_labels(folder, classes, Repairs())[0], classes


if __name__ == "__main__":
    main()
