"""Command line of the scene maker: `python -m core.scene demo OUT.tif`, `python -m core.scene dataset FOLDER`."""

from __future__ import annotations

import argparse
import sys

from ..job.errors import TilehawkError
from .files import DTYPES, write_scene, write_scene_dataset
from .scene import draw_scene


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except TilehawkError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


def _demo(options: argparse.Namespace) -> None:
    scene = draw_scene(options.size, options.seed, resolution_m=options.resolution, density=options.density)
    write_scene(options.output, scene, dtype=options.dtype, bands=options.bands, block=options.block)
    print(f"{options.output}: {options.size} x {options.size} px, {len(scene.boxes)} pools.")


def _dataset(options: argparse.Namespace) -> None:
    settings = {"resolution_m": options.resolution, "density": options.density, "validation": options.validation}
    folder = write_scene_dataset(options.folder, options.count, options.size, options.seed, **settings)
    print(f"{folder}: {options.count} scenes of {options.size} x {options.size} px.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.scene", description="Draw suburbs with known swimming pools.")
    commands = parser.add_subparsers(required=True)
    demo = commands.add_parser("demo", help="one GeoTIFF with its truth beside it")
    demo.add_argument("output", help="GeoTIFF to write")
    demo.add_argument("--size", type=int, default=2048, help="side in px")
    demo.add_argument("--dtype", choices=list(DTYPES), default="uint8")
    demo.add_argument("--bands", type=int, choices=(3, 4), default=4)
    demo.add_argument("--block", type=int, default=512, help="side of the file's tiles in px")
    demo.set_defaults(run=_demo)
    dataset = commands.add_parser("dataset", help="a folder of training data")
    dataset.add_argument("folder", help="folder to fill")
    dataset.add_argument("--count", type=int, default=200, help="number of scenes")
    dataset.add_argument("--size", type=int, default=256, help="side of each in px")
    dataset.add_argument("--validation", type=float, default=0.0, help="share of the scenes to choose the epoch on")
    dataset.set_defaults(run=_dataset)
    for command in (demo, dataset):
        command.add_argument("--seed", type=int, default=1, help="the same seed gives the same suburb")
        command.add_argument("--resolution", type=float, default=0.6, help="ground metres a px")
        command.add_argument("--density", type=float, default=1.0, help="multiplies how many homes have a pool")
    return parser


if __name__ == "__main__":
    sys.exit(main())
