"""The environment from a shell: `python -m core.job.environment state | install | repair | check | wheelhouse | …`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Optional

from ..errors import TilehawkError
from ..events import Event
from .downloads import fetch_url
from .environment import Environment, default_folder
from .log import Log
from .selftest import check_python
from .state import READY, InstallOptions, State
from .uv import find_uv
from .wheelhouse import PLATFORMS, fill


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; returns 0 where all is well, 1 where it is not."""
    arguments = _parser().parse_args(argv)
    try:
        told = COMMANDS[arguments.command](arguments)
    except TilehawkError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{told.kind}: {told.sentence}" if isinstance(told, State) else told)
    return int(isinstance(told, State) and told.kind != READY)


def _environment(arguments: argparse.Namespace) -> Environment:
    return Environment(arguments.folder, fetch=partial(fetch_url, proxy=arguments.proxy))


def _options(arguments: argparse.Namespace) -> InstallOptions:
    options = InstallOptions(
        arguments.index_url, arguments.offline, arguments.proxy, arguments.build_on, arguments.torch_backend
    )
    options.validate()
    return options


def _wheelhouse(arguments: argparse.Namespace) -> str:
    options, fetch = _options(arguments), partial(fetch_url, proxy=arguments.proxy)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    uv = find_uv(arguments.folder, options, fetch, lambda done, total: None, Log())
    count = fill(uv, arguments.into, arguments.platform, arguments.python, fetch, _show, lambda: False)
    return f"\n{count} packages for {arguments.platform} and Python {arguments.python} are in '{arguments.into}'."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core.job.environment", description=__doc__)
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where environments lie (%(default)s)")
    parser.add_argument("--index-url", metavar="URL", help="mirror of the package index")
    parser.add_argument("--offline", metavar="FOLDER", help="folder that 'wheelhouse' has filled")
    parser.add_argument("--proxy", metavar="URL", help="http://user:password@host:port")  # pragma: allowlist secret
    parser.add_argument("--build-on", metavar="PYTHON", help="interpreter to build on")
    parser.add_argument("--torch-backend", default="auto", help="auto, default, cpu, cu128 and so on (auto)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("state", "what the environment is"),
        ("plan", "what would be installed"),
        ("install", "make it, or go on"),
        ("repair", "make it anew"),
        ("tidy", "delete older environments"),
        ("diagnostics", "all that helps to find a fault"),
    ):
        commands.add_parser(name, help=text)
    commands.add_parser("check", help="test another Python").add_argument("python", metavar="PYTHON")
    wheelhouse = commands.add_parser("wheelhouse", help="fill a folder with packages for computers without a network")
    wheelhouse.add_argument("into", metavar="FOLDER", type=Path)
    wheelhouse.add_argument("--platform", choices=PLATFORMS, default="windows", help="%(choices)s (windows)")
    wheelhouse.add_argument("--python", metavar="3.12", default="3.12", help="version of its Python (3.12)")
    return parser


def _show(event: Event) -> None:
    if event["event"] == "progress":
        left = "" if event["seconds_left"] is None else f", {event['seconds_left']:.0f} s left"
        print(f"\r\x1b[K{event['done'] * 100:3.0f} %  {event['text']}{left}", end="", file=sys.stderr, flush=True)
    else:
        print(f"\r\x1b[K{event['text']}", file=sys.stderr)


COMMANDS = {
    "state": lambda arguments: _environment(arguments).state(),
    "plan": lambda arguments: _environment(arguments).plan(_options(arguments)).sentence,
    "tidy": lambda arguments: _environment(arguments).tidy() or "",
    "install": lambda arguments: _environment(arguments).install(_show, lambda: False, _options(arguments)),
    "repair": lambda arguments: _environment(arguments).repair(_show, lambda: False, _options(arguments)),
    "diagnostics": lambda arguments: _environment(arguments).diagnostics(),
    "check": lambda arguments: check_python(arguments.python),
    "wheelhouse": _wheelhouse,
}

if __name__ == "__main__":
    sys.exit(main())
