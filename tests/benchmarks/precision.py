"""Whether other backends find what torch finds in float32, with a trained model.

    .venv/bin/python tests/benchmarks/precision.py [--model M.safetensors] [--data FOLDER] [--scenes 4] [--margin 0.05]

A detection that scores at least the threshold plus a margin in one backend counts as found in the other if that has a
detection of the class at the threshold with an IoU of 0.5. On the labelled tiles of `--data`, where it is there, and on
drawn suburbs.
"""

import argparse
import dataclasses
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from report import ROOT, tell

from core.accuracy.matching import find_overlaps
from core.detections.detections import Detections
from core.imagery.raster import open_raster
from core.job.card import ModelCard
from core.retinanet.detector import Detector
from core.retinanet.device import Backend, choose_backend
from core.retinanet.weights import load_model
from core.scene.scene import draw_scene

CPU = torch.device("cpu")
SCENE_PX = 512


def pictures(folder: Path, card: ModelCard, scenes: int) -> list[np.ndarray]:
    """Images uint8 (bands, H, W) in the model's resolution."""
    found = []
    for path in sorted((folder / "images").glob("*.tif")) if folder.is_dir() else []:
        with open_raster(str(path), card.bands, card.resolution_m) as raster:
            found.append(raster.read(0, 0, raster.grid.width, raster.grid.height)[0])
    drawn = [draw_scene(SCENE_PX, 900 + seed).image[: len(card.bands)] for seed in range(scenes)]
    return found + drawn


def found_again(one: Detections, other: Detections, threshold: float, margin: float) -> tuple[int, int]:
    """How many detections of `one` clear of the threshold `other` has, and how many there are."""
    clear, known = one.take(one.scores >= threshold + margin), other.take(other.scores >= threshold)
    overlaps = find_overlaps(clear, known)
    return len(np.unique(overlaps.detected[overlaps.iou >= 0.5])), len(clear)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "resources/models/swimming-pools.safetensors"))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/pools_naip")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--margin", type=float, default=0.05)
    options = parser.parse_args()
    card, network = load_model(options.model)
    images = pictures(options.data, card, options.scenes)
    name = choose_backend("cpu").name
    others = [Backend(CPU, torch.bfloat16, name)]
    if find_spec("openvino"):
        others += [dataclasses.replace(others[0], engine="openvino", dtype=d) for d in (torch.bfloat16, torch.float32)]
    if torch.cuda.is_available():
        others.append(choose_backend("cuda"))

    def look(backend: Backend) -> list[Detections]:
        detector = Detector(card, network, backend)
        return [detector(image[None], card.score_floor, card.nms_overlap)[0] for image in images]

    exact, rows = look(Backend(CPU, torch.float32, name)), []
    for backend in others:
        row = {"backend": backend.key}
        seen = look(backend)
        for way, pairs in (
            ("of float32's found", zip(exact, seen, strict=True)),
            ("found in float32", zip(seen, exact, strict=True)),
        ):
            again, clear = np.sum([found_again(a, b, card.threshold, options.margin) for a, b in pairs], axis=0)
            row[f"clear, {way}"], row[f"share {way}"] = int(clear), float(again / max(clear, 1))
        rows.append(row)
        print(row, flush=True)
    tell("precision", rows, model=card.name, images=len(images), threshold=card.threshold, margin=options.margin)


if __name__ == "__main__":
    main()
