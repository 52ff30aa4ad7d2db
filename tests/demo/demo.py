"""The demo: draws a suburb, finds its swimming pools through QGIS, draws a map of them, and tells how right it was.

    demo.py [--folder build/demo] [--model MODEL.safetensors] [--size PX] [--seed N]

Leaves `scene.tif`, `detections.gpkg`, `map.png` and `summary.json` in the folder. Seconds, tiles and device are what
the run itself has written; the score is against the scene's exact truth, which the model never sees.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from core.evaluate import evaluate
from core.job.jobs import EvaluateJob
from tests.ui.installed import ROOT, make_profile, qgis_environment, qgis_process

MODEL = ROOT / "resources" / "models" / "swimming-pools.safetensors"
QGIS_PYTHON = ROOT / ".venv-qgis" / "bin" / "python"
IOU = 0.5


def main() -> None:
    options = parse_options()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw_scene(folder, options.size, options.seed)
    print("Looking for objects with qgis_process…", flush=True)
    environment = qgis_environment(make_profile(folder / "profile"))
    outputs = detect(scene, options.model.resolve(), folder / "detections.gpkg", environment)
    draw_map(folder, scene, options.model.resolve(), environment)
    summary = summarise(scene, outputs)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    print_summary(summary)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "demo", help="where everything is written")
    parser.add_argument("--model", type=Path, default=MODEL, help="model file")
    parser.add_argument("--size", type=int, default=2048, help="side of the scene in px")
    parser.add_argument("--seed", type=int, default=20, help="which suburb")
    return parser.parse_args()


def draw_scene(folder: Path, size: int, seed: int) -> Path:
    """Draw the suburb, unless the folder holds this one already."""
    scene = folder / "scene.tif"
    asked = folder / "scene.txt"
    drawn_by = hashlib.sha256(b"".join(path.read_bytes() for path in sorted((ROOT / "core/scene").glob("*.py"))))
    wanted = f"size {size}, seed {seed}, drawn by {drawn_by.hexdigest()}\n"
    if not scene.exists() or not asked.exists() or asked.read_text() != wanted:
        command = [sys.executable, "-m", "core.scene", "demo", str(scene), "--size", str(size), "--seed", str(seed)]
        subprocess.run(command, cwd=ROOT, check=True)
        asked.write_text(wanted)
    return scene


def detect(scene: Path, model: Path, output: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Run the algorithm as any script would, and return its outputs."""
    inputs = {"INPUT": str(scene), "MODEL": str(model), "OUTPUT": str(output)}
    printed = qgis_process(["run", "tilehawk:detect", "-"], environment, json.dumps({"inputs": inputs}))
    return json.loads(printed)["results"]


def draw_map(folder: Path, scene: Path, model: Path, environment: dict[str, str]) -> None:
    plugins = folder / "profile" / "profiles" / "default" / "python" / "plugins"
    paths = (plugins, scene, folder / "detections.gpkg", model, folder / "map.png")
    script = Path(__file__).with_name("draw_map.py")
    command = [str(QGIS_PYTHON), str(script), *map(str, paths)]
    subprocess.run(command, env=environment, check=True)


def summarise(scene: Path, outputs: dict[str, Any]) -> dict[str, Any]:
    """Bring together what the run has written and how it agrees with the truth."""
    detections = Path(outputs["OUTPUT"].partition("|")[0])
    run = run_values(detections)
    truth = scene.with_name(f"{scene.stem}_truth.gpkg")
    job = EvaluateJob(str(detections), str(truth), iou=IOU, threshold=run["threshold"])
    figures = evaluate(job, lambda _: None, lambda: False)["overall"]
    return {
        "objects": run["objects"],
        "threshold": run["threshold"],
        "seconds": outputs["SECONDS"],
        "tiles": run["tiles"],
        "tiles_per_second": run["tiles_per_second"],
        "device": run["device"],
        "backend": run["backend"],
        "truth": figures["true_positives"] + figures["false_negatives"],
        "iou": IOU,
        **{name: figures[name] for name in ("f1", "precision", "recall", "average_precision")},
        "raster": str(scene),
        "model": run["model"],
        "detections": str(detections),
        "map": str(scene.with_name("map.png")),
    }


def run_values(detections: Path) -> dict[str, Any]:
    """Values of the run that made a GeoPackage, which it carries in its layers' metadata."""
    with closing(sqlite3.connect(detections)) as database:
        (text,) = database.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    return json.loads(ElementTree.fromstring(text).findtext("history"))


def print_summary(summary: dict[str, Any]) -> None:
    found = ", ".join(f"{name} {count:,}" for name, count in summary["objects"].items())
    speed = f"{summary['tiles']:,} tiles in {summary['seconds']:.1f} s ({summary['tiles_per_second']:.2f} a second)"
    print(f"Found with a confidence of {summary['threshold']:g} or more: {found}; true are {summary['truth']:,}.")
    print(f"{speed} on {summary['device']}, {summary['backend']}.")
    print(
        f"F1 {summary['f1']:.3f} at IoU {summary['iou']:g}: precision {summary['precision']:.3f}, "
        f"recall {summary['recall']:.3f}."
    )
    for name in ("detections", "map"):
        print(summary[name])


if __name__ == "__main__":
    main()
