"""The command line's arguments, and the jobs they describe. Standard library only: `--help` must be quick."""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import typing
from collections.abc import Callable, Sequence
from typing import Any

from .job.augmentation import Augmentation, parse_augmentation
from .job.checks import LANGUAGES
from .job.errors import InvalidJob
from .job.factors import parse_factors
from .job.jobs import (
    DEVICES,
    JOBS,
    MERGE_RULES,
    Job,
    TrainJob,
    is_gdal_name,
)
from .job.label_jobs import CHIP_FORMATS
from .job.train_job import KNOWN_STARTS

TRAIN_HELP = {
    "rasters": "rasters to learn from, each with a layer of labels",
    "labels": "layer of labels for each raster, or one for all, such as l.gpkg|layername=pools",
    "class_field": "field of the labels that holds the class; otherwise all are of one class",
    "ignore_field": "field of the labels that is true where an object is doubtful",
    "size_m": "side of the box around a point, ground metres",
    "size_field": "field of the labels that holds that side",
    "area": "layer whose polygons hold the ground in which all objects are labelled",
    "extent": "the same as XMIN,YMIN,XMAX,YMAX in the first raster's CRS",
    "name": "the model's name; otherwise the file's",
    "title": "one line for people",
    "description": "what the model is for",
    "classes": "classes to learn, in this order; otherwise all there are",
    "backbone": "resnet18, resnet34, resnet50, resnet101 or resnet152",
    "backbone_stages": "stages of the backbone in use: 4, or 3 without the last",
    "norm": "the backbone's: batch, group, or auto: group below 8 tiles a batch",
    "levels": "pyramid levels, within P2 to P7; otherwise fitted to the labels",
    "channels": "channels of the pyramid",
    "head_channels": "channels of the heads",
    "head_depth": "convolutions in each head",
    "head_norm": "none or group",
    "anchor_sizes": "base size in px for each level; otherwise fitted to the labels",
    "anchor_scales": "factors on each base size, such as '2^0, 2^1/3, 2^2/3' or '1, 0.8, 0.63'",
    "anchor_ratios": "height over width, such as 0.5,1,2; otherwise fitted to the labels",
    "bands": "bands of the images, from 1",
    "band_roles": "their roles: red, green, blue, nir, gray or other",
    "resolution_m": "ground metres a px; otherwise the imagery's own",
    "start_from": "model file or weights to start from; coco or imagenet: torchvision's, downloaded once",
    "mix": "learn from the samples, too, that the model to start from was trained on",
    "tell_sources": "say in the model's card where its samples lie, so that they can be mixed in later",
    "overwrite": "replace a model of the same name even where the new one is not known to be as good",
    "epochs": "rounds, at most",
    "patience": "stop after so many rounds that brought nothing better; otherwise never",
    "steps_per_epoch": "batches a round; otherwise by the number of images",
    "batch_size": "crops a batch",
    "tile_px": "side of a crop, px",
    "optimiser": "adamw or sgd",
    "schedule": "of the learning rate: cosine, one_cycle or steady; otherwise steady with patience, else cosine",
    "learning_rate": "learning rate at its highest; auto: found by trial before the training",
    "weight_decay": "weight decay; otherwise 0.05 for adamw and 0.0001 for sgd",
    "clip_gradient": "norm to which gradients are clipped",
    "freeze_backbone": "first rounds in which the backbone keeps its weights",
    "focal_alpha": "alpha of the focal loss",
    "focal_gamma": "gamma of the focal loss",
    "box_loss": "smooth_l1 or giou",
    "ema_decay": "decay of the averaged weights",
    "augmentation": "default, none, or changes of the default such as scale=1.1,haze=0,mosaic=0.3",
    "seed": "seed of all random choices",
    "device": ", ".join(DEVICES),
    "resume": "go on where this training was interrupted",
    "checkpoint_minutes": "minutes of a round between two files to go on from",
    "credits": "who made the labels and the imagery",
    "license": "licence of the model",
    "language": f"of the page beside the model: {', '.join(LANGUAGES)}",
}
SEVERAL = ("rasters", "labels")  # given with spaces between them, as paths may hold commas


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    root = argparse.ArgumentParser(
        prog="python -m core",
        description="Tilehawk: find objects on aerial and satellite imagery with RetinaNet.",
        allow_abbrev=False,
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_detect(_command(commands, "detect", "find objects on a raster"))
    _add_train(_command(commands, "train", "train a model from labelled images"))
    _add_evaluate(_command(commands, "evaluate", "compare detections with the truth"))
    _add_suppress(_command(commands, "suppress", "keep the best of objects that cover one another"))
    _add_export(_command(commands, "export", "cut a raster with labels into chips to train on elsewhere"))
    _add_import(_command(commands, "import", "make a model of weights from torchvision or DeepForest"))
    card = _command(commands, "card", "show what a model finds, needs and achieves")
    card.add_argument("model", metavar="MODEL", type=full_path, help="model file, .safetensors")
    card.add_argument("--json", action="store_true", help="the whole card as JSON")
    _command(commands, "run", "serve jobs: JSON lines on stdin, events on stdout")
    return root


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Parse a command; a list that begins with a minus (`--extent -10,…`) is a value, not an option."""
    joined: list[str] = []
    for argument in argv:
        if re.match(r"-[\d.]", argument) and joined and re.fullmatch(r"--[a-z-]+", joined[-1]):
            joined[-1] += "=" + argument
        else:
            joined.append(argument)
    return parser().parse_args(joined)


def job_of(arguments: argparse.Namespace) -> Job:
    """Build the job that a command describes; what is not given keeps the job's default."""
    kind = JOBS[arguments.command]
    given = vars(arguments)
    if kind is not TrainJob:  # whose options all have their defaults: None is a choice there
        given = {name: value for name, value in given.items() if value is not None}
    names = {field.name for field in dataclasses.fields(kind)} & set(given)
    return kind(**{name: tuple(given[name]) if isinstance(given[name], list) else given[name] for name in names})


def full_path(path: str) -> str:
    """Make a path absolute."""
    return os.path.abspath(path)  # noqa: PTH100  (keeps links as the user named them)


def _raster(name: str) -> str:
    return name if is_gdal_name(name) else full_path(name)


def _layer(name: str) -> str:
    path, bar, options = name.partition("|")
    return full_path(path) + bar + options


def _resolution(text: str) -> float | str:
    return text if text in ("model", "native") else float(text)


_resolution.__name__ = "resolution"  # named so in argparse's sentences


def _list_of(kind: Callable[[str], Any], length: int | None = None) -> Callable[[str], tuple[Any, ...]]:
    def read(text: str) -> tuple[Any, ...]:
        values = tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        if length is not None and len(values) != length:
            raise argparse.ArgumentTypeError(f"needs {length} values with commas between them, not '{text}'")
        return values

    read.__name__ = "list"
    return read


def _factors(text: str) -> tuple[float, ...]:
    try:
        return parse_factors(text)
    except InvalidJob as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def _start(name: str) -> str:
    return name if name in KNOWN_STARTS else full_path(name)


def _rate(text: str) -> float | None:
    return None if text == "auto" else float(text)


def _augmentation(text: str) -> Augmentation:
    try:
        return parse_augmentation(text)
    except InvalidJob as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


_rate.__name__ = "rate"

TRAIN_READERS = {
    "rasters": full_path,
    "labels": _layer,
    "area": _layer,
    "extent": _list_of(float, 4),
    "start_from": _start,
    "anchor_scales": _factors,
    "anchor_ratios": _factors,
    "learning_rate": _rate,
    "augmentation": _augmentation,
}


def _command(commands: Any, name: str, help_text: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".", allow_abbrev=False
    )


def _add_detect(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("raster", metavar="RASTER", type=_raster, help="raster file, or a name that GDAL understands")
    add("--model", required=True, metavar="MODEL.safetensors", type=full_path, help="model file")
    add("--output", required=True, metavar="OUT.gpkg", type=full_path, help=".gpkg, .shp, .geojson, .fgb or .parquet")
    add("--threshold", type=float, metavar="T", help="score from which an object counts; otherwise the model's")
    add("--score-floor", type=float, metavar="S", help="lowest score that is written; otherwise the model's")
    add(
        "--nms-overlap",
        type=float,
        metavar="IOU",
        help="overlap above which the worse of two boxes in a tile is dropped",
    )
    add("--tile", dest="tile_px", type=int, metavar="PX", help="side of a tile; otherwise the model's")
    add("--overlap", dest="overlap_px", type=int, metavar="PX", help="overlap of tiles; otherwise the model's")
    add("--batch-size", type=int, metavar="N", help="tiles at once; otherwise by the device")
    add("--device", choices=DEVICES, default="auto", help="where the network runs (auto)")
    add("--bands", type=_list_of(int), metavar="1,2,3", help="the raster's bands in the order of the model's, from 1")
    add("--value-range", type=_list_of(float, 2), metavar="LOW,HIGH", help="source values that become 0 and 255")
    add("--extent", type=_list_of(float, 4), metavar="XMIN,YMIN,XMAX,YMAX", help="area, in the raster's CRS")
    add("--mask", type=_layer, metavar="AREA.gpkg", help="layer whose polygons limit the area")
    add(
        "--resolution",
        dest="resolution_m",
        type=_resolution,
        metavar="METRES|model|native",
        help="ground resolution at which to look (model)",
    )
    add("--classes", type=_list_of(str), metavar="A,B", help="classes to look for; otherwise all")
    add(
        "--augment",
        type=_list_of(str),
        metavar="flips,turns,scales",
        help="look at every tile in further ways, too: 2, 3 and 2 more passes",
    )
    add(
        "--merge",
        choices=MERGE_RULES,
        default="seams",
        help="how boxes of overlapping tiles become objects (seams); the others are there to compare with",
    )
    add("--resume", action="store_true", help="go on where the same job was broken off, from OUT.gpkg.partial")
    add("--cluster", metavar="tcp://HOST:8786", help="have the machines of a Dask cluster look at the tiles")


def _add_train(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("data", metavar="DATA", nargs="*", type=full_path, help="folder of labelled images, in any known format")
    add("--output", required=True, metavar="MODEL.safetensors", type=full_path, help="model file")
    hints = typing.get_type_hints(TrainJob)
    for field in dataclasses.fields(TrainJob):
        option, help_text = f"--{field.name.replace('_', '-')}", TRAIN_HELP.get(field.name, "")
        if field.name in ("data", "output"):
            continue
        if hints[field.name] is bool:
            yes_or_no = argparse.BooleanOptionalAction if field.default else "store_true"
            add(option, action=yes_or_no, default=field.default, help=help_text)
            continue
        default = "" if field.default in (None, "", (), dataclasses.MISSING) else f" ({_shown(field.default)})"
        add(
            option,
            type=TRAIN_READERS.get(field.name) or _reader(hints[field.name]),
            nargs="+" if field.name in SEVERAL else None,
            default=argparse.SUPPRESS,  # None is a value: a learning rate to be found
            metavar=field.name.split("_")[-1].upper(),
            help=help_text + default,
        )


def _add_import(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("weights", metavar="WEIGHTS", type=full_path, help="state dict or checkpoint, .safetensors, .pt, .pth or .ckpt")
    add("--output", required=True, metavar="MODEL.safetensors", type=full_path, help="model file")
    add("--classes", type=_list_of(str), metavar="A,B", help="names of its labels in order, or those to keep")
    add("--resolution", dest="resolution_m", type=float, metavar="METRES", help="ground metres a px it is made for")
    add("--name", default="", help="the model's name; otherwise the file's")
    add("--batch-norm-eps", type=float, metavar="EPS", help="epsilon of its batch norms; otherwise by the kind of file")


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("detections", metavar="DETECTIONS", type=_layer, help="detections as `detect` writes them")
    add("truth", metavar="TRUTH", type=_layer, help="layer with the true objects")
    add("--iou", type=float, default=0.5, help="overlap from which a detection has found an object (0.5)")
    add("--threshold", type=float, metavar="T", help="score from which an object counts; otherwise the best")
    add("--report", dest="output", type=full_path, metavar="REPORT.html", help="write a page with curves and pictures")
    add("--raster", type=_raster, metavar="RASTER", help="imagery for the report's pictures")
    add("--area", type=_layer, metavar="AREA.gpkg", help="layer whose polygons hold the ground where truth is complete")
    add("--class-field", metavar="FIELD", help="class of the detections; otherwise found by its name")
    add("--truth-class-field", metavar="FIELD", help="class of the true objects; otherwise found by its name")
    add("--score-field", metavar="FIELD", help="score of the detections; otherwise found by its name")
    add("--language", choices=LANGUAGES, help="of the report (en)")


def _add_suppress(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("layer", metavar="LAYER", type=_layer, help="layer of polygons")
    add("--output", required=True, metavar="OUT.gpkg", type=full_path, help=".gpkg, .shp, .geojson, .fgb or .parquet")
    add("--overlap", type=float, metavar="IOU", help="largest overlap that is left between objects of a class (0.5)")
    add("--across", type=float, metavar="IOU", help="the same between different classes (0.9); 1 leaves all")
    add("--class-field", metavar="FIELD", help="the objects' class; otherwise found by its name")
    add("--score-field", metavar="FIELD", help="the objects' score; otherwise found by its name")


def _add_export(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("raster", metavar="RASTER", type=full_path, help="raster to cut")
    add("labels", metavar="LABELS", type=_layer, help="layer of polygons, lines or points")
    add("--output", required=True, metavar="FOLDER", type=full_path, help="new folder for chips and labels")
    add("--format", choices=CHIP_FORMATS, default="arcgis", help="how the labels are written (arcgis)")
    add("--tile", dest="tile_px", type=int, metavar="PX", help="side of a chip, px of the raster (256)")
    add("--step", dest="step_px", type=int, metavar="PX", help="distance between chips; otherwise side by side")
    add("--empty", action="store_true", help="write chips without objects, too")
    add("--least-visible", type=float, metavar="SHARE", help="share of an object that a chip must show (0.4)")
    add("--class-field", metavar="FIELD", help="class of the objects; otherwise all are of one class")
    add("--class-name", metavar="NAME", help="name of that one class (object)")
    add("--classes", type=_list_of(str), metavar="A,B", help="classes to write, in this order; otherwise all there are")
    add("--size", dest="size_m", type=float, metavar="METRES", help="side of the box around a point, on the ground")
    add("--size-field", metavar="FIELD", help="field that holds that side")
    add("--ignore-field", metavar="FIELD", help="field that is true where an object is doubtful")
    add("--area", type=_layer, metavar="AREA.gpkg", help="layer whose polygons hold the ground where all is labelled")


def _reader(hint: Any) -> Callable[[str], Any]:
    """Reader of an option for a field's type: int, float, str, or lists of them; Optional or not."""
    if typing.get_origin(hint) is typing.Union:
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if typing.get_origin(hint) is tuple:
        return _list_of(typing.get_args(hint)[0])
    return hint


def _shown(value: Any) -> str:
    return (
        ",".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in value)
        if isinstance(value, tuple)
        else str(value)
    )
