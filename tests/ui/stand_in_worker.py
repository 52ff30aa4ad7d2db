"""Stands in for `python -m core run`: answers each job as the plan beside it says."""

import json
import os
import select
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mM6ceIEAAS8AlvmOEr+AAAAAElFTkSuQmCC"  # grey, 1 px


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def work(seconds: float, deaf: bool) -> bool:
    """Work so long, or until there is a file `finish`, with signs of life; False where asked to stop, unless deaf."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (HERE / "finish").exists():
        done = 1 - (end - time.monotonic()) / seconds
        say(event="progress", done=done, text="Looking at tiles", seconds_left=end - time.monotonic())
        if deaf:
            time.sleep(0.1)
        elif select.select([sys.stdin], [], [], 0.1)[0]:
            return False  # a cancel line, or the end of whoever asked
    return True


@contextmanager
def unfinished(job: dict, parts_stay: bool) -> Iterator[None]:
    """Have a file and a folder beside a detection's output, as the worker does, for as long as it works."""
    if job["job"] != "detect":
        yield
        return
    output = Path(job["output"])
    part, parts = output.with_name(f".{output.name}.{os.getpid()}.part"), output.with_name(f"{output.name}.partial")
    part.write_text("half of it")
    parts.mkdir(exist_ok=True)
    (parts / "job.json").write_text(json.dumps({"pid": os.getpid(), "job": job}))
    yield
    part.unlink()
    if not parts_stay:
        shutil.rmtree(parts)


def survey(job: dict) -> None:
    """Say what a survey says of thirty pools."""
    chosen = {"sizes": [10, 20], "reached": 0.99}
    histogram = {"edges_px": [0, 8, 12, 16], "counts": [0, 10, 20, 0]}
    facts = {
        "classes": {"pool": {"train": 20, "val": 5, "test": 5}},
        "images": {"train": 1, "val": 1, "test": 1},
        "resolution_m": 0.6,
        "anchors": {"median_px": 12, "histogram": histogram, "chosen": chosen, "default": {**chosen, "reached": 0.4}},
        "warnings": ["There are only 20 objects to learn from."],
    }
    say(event="survey", **facts)
    say(event="result", **facts, device="CPU", seconds=300, epochs=job["training"]["epochs"])


def augment(job: dict) -> None:
    """Say what `augment` says: a dot of an image, with a box, as often as asked for."""
    shown = {"png": DOT, "boxes": [[0, 0, 1, 1]]}
    say(event="result", tile_px=1, plain=shown, versions=[shown] * job["versions"])


def train(job: dict) -> None:
    """Say what a training says that gets better for three epochs."""
    x, y = 480000.0, 3760000.0  # the top left of the test raster
    sample = {
        "image": job["rasters"][0] if job["rasters"] else "",
        "crs": None,
        "extent": [x, y - 48, x + 48, y],
        "truth": [[x + 6, y - 12, x + 12, y - 6]],
    }
    for epoch in (1, 2, 3):
        boxes = [[x + 6 + i, y - 12, x + 12 + i, y - 6] for i in range(epoch)]
        say(event="sample", boxes=boxes, scores=[0.3 * i + 0.3 for i in range(epoch)], labels=[0] * epoch, **sample)
        figures = {"ap30": 0.3 * epoch, "ap50": 0.25 * epoch, "f1": 0.2 * epoch, "threshold": 0.4}
        say(event="epoch", epoch=epoch, focal_loss=1 / epoch, box_loss=0.5 / epoch, **figures)
    trained = json.loads((HERE / "plan.json").read_text()).get("trained", {})
    output = trained.get("output", job["output"])
    Path(output).write_bytes(b"weights")
    Path(output).with_suffix(".html").write_text("report")
    figures["compared"] = trained.get("compared")
    say(event="result", output=output, kept=trained.get("kept"), metrics=figures, history=[], seconds=75)


def evaluate(job: dict) -> None:
    """Say what an evaluation of two classes says, of which one has no truth."""
    figures = {"average_precision": 0.875, "precision": 0.8, "recall": 0.9, "f1": 0.847}
    counts = {"true_positives": 9, "false_positives": 2, "false_negatives": 1}
    overall = {**figures, **counts}
    if job["output"]:
        Path(job["output"]).write_text("<html></html>")
    classes = {"pool": overall, "tub": {**overall, "average_precision": None}}
    iou, threshold = job["iou"], 0.4 if job["threshold"] is None else job["threshold"]
    say(event="result", output=job["output"], iou=iou, threshold=threshold, overall=overall, classes=classes)


def export(job: dict) -> None:
    """Say what an export says."""
    Path(job["output"]).mkdir(exist_ok=True)
    say(event="result", output=job["output"], format=job["format"], chips=4, objects=7, classes=["pool"], seconds=0.1)


OTHERS = {"train": train, "survey": survey, "augment": augment, "evaluate": evaluate, "export": export}
FACTS = {
    "raster": "suburb.tif", "width": 96, "height": 96, "source_resolution_m": 0.6, "resolution_m": 0.6,
    "model_resolution_m": 0.6, "resampled": False, "dtype": "uint8", "nodata": None,
    "bands": {"red": 1, "green": 2, "blue": 3}, "notices": [], "tiles": 4, "tile_px": 128, "free_bytes": 5e10,
}  # fmt: skip


def tell_preflight(line: str, plan: dict) -> None:
    """Answer in two steps, as the worker does: the raster at once, the device later."""
    (HERE / "warm_pid").write_text(str(os.getpid()))
    with (HERE / "preflights.jsonl").open("a") as preflights:
        preflights.write(line)
    facts = {**FACTS, "warnings": plan["warnings"], **plan["facts"]}
    say(event="preflight", **facts)
    say(event="result", **facts, device="Tesla T4", backend="cuda float16", seconds=14.2)


def main() -> None:
    for line in sys.stdin:
        plan = json.loads((HERE / "plan.json").read_text())
        job = json.loads(line)
        if job["job"] == "cancel":  # of the job before, which has ended
            continue
        if job["job"] == "preflight":
            tell_preflight(line, plan)
            continue
        (HERE / "pid").write_text(str(os.getpid()))
        with (HERE / "jobs.jsonl").open("a") as jobs:
            jobs.write(line)
        if job.get("mask"):
            shutil.copy(job["mask"], HERE / "area.gpkg")  # the job's own is gone when a test looks
        for text, level in plan["notices"]:
            say(event="notice", text=text, level=level)
        if plan["boxes"]:
            say(event="boxes", boxes=plan["boxes"], scores=[0.9] * len(plan["boxes"]), labels=[0] * len(plan["boxes"]))
        with unfinished(job, plan["parts_stay"]):
            done = work(plan["seconds"], plan["deaf"])
        if not done:
            say(event="error", kind="Cancelled", text="Cancelled.")
            continue
        if plan["error"] and (plan["error"][0] != "CannotResume" or job["resume"]):
            say(event="error", kind=plan["error"][0], text=plan["error"][1])
            continue
        if job["job"] in OTHERS:
            OTHERS[job["job"]](job)
            continue
        shutil.copy(HERE / "result.gpkg", job["output"])
        say(
            event="result",
            output=job["output"],
            layers={"detections": "detections", "not_examined": "not_examined"},
            objects={"pool": 2, "tree": 1},
            above_floor=5,
            threshold=0.4 if job["threshold"] is None else job["threshold"],
            tiles=1,
            seconds=0.5,
            tiles_per_second=2.0,
            device="CPU",
            backend="none",
            not_examined_m2=plan["not_examined_m2"],
            notices=[],
            model=job["model"],
            raster=job["raster"],
        )


main()
