"""The command line: `python -m core detect | suppress | train | evaluate | export | import | card | run`.

Heavy imports wait for need.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module

from .arguments import job_of, parse_arguments
from .job.card import card_to_json, read_card
from .job.codec import parse
from .job.errors import Interrupted, TilehawkError, explain
from .terminal import (
    Terminal,
    card_summary,
    detection_summary,
    evaluation_summary,
    export_summary,
    suppression_summary,
    training_summary,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 when done, 1 when it failed or was cancelled, 2 for a wrong use."""
    try:
        arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a console may lack letters of a class name or a path
    terminal = Terminal()
    try:
        COMMANDS[arguments.command](arguments, terminal)
    except KeyboardInterrupt:
        terminal.say(str(Interrupted()))
        return 1
    except Exception as problem:
        if not isinstance(problem, TilehawkError):
            terminal.clear()
            traceback.print_exc()
        terminal.say(str(explain(problem)))
        return 1
    return 0


def _do(arguments: argparse.Namespace, terminal: Terminal) -> None:
    """Do the job of a verb, and print what came of it."""
    job = job_of(arguments)
    job.validate()
    asked = _asked_by_signal()
    cancelled = partial(_interrupt, asked) if arguments.command == "detect" else asked
    verb = getattr(import_module(f".{arguments.command}", __package__), arguments.command)
    values = verb(job, terminal.show, cancelled)
    terminal.clear()
    print(SUMMARIES[arguments.command](values))


def _import(arguments: argparse.Namespace, terminal: Terminal) -> None:
    from .import_weights import import_weights

    card, notices = import_weights(
        arguments.weights,
        arguments.output,
        classes=arguments.classes,
        resolution_m=arguments.resolution_m,
        name=arguments.name,
        batch_norm_eps=arguments.batch_norm_eps,
    )
    for sentence in notices:
        terminal.say(sentence)
    print(f"{arguments.output}\n{card_summary(card)}")


def _card(arguments: argparse.Namespace, _: Terminal) -> None:
    card = read_card(arguments.model)
    print(json.dumps(parse(card_to_json(card)), indent=2, ensure_ascii=False) if arguments.json else card_summary(card))


def _run(_: argparse.Namespace, __: Terminal) -> None:
    from .session import run_session

    run_session()


def _interrupt(asked: Callable[[], bool]) -> bool:
    """Break a detection off where it is asked to: nobody said that what it has found so far is not wanted."""
    if asked():
        raise Interrupted
    return False


def _asked_by_signal() -> Callable[[], bool]:
    """Turn the first Ctrl-C or SIGTERM into a request to stop; the second one interrupts at once."""
    asked = threading.Event()

    def ask(number: int, _: object) -> None:
        asked.set()
        signal.signal(number, signal.default_int_handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return asked.is_set


SUMMARIES = {
    "detect": detection_summary,
    "train": training_summary,
    "evaluate": evaluation_summary,
    "export": export_summary,
    "suppress": suppression_summary,
}
COMMANDS = {**dict.fromkeys(SUMMARIES, _do), "import": _import, "card": _card, "run": _run}

if __name__ == "__main__":
    sys.exit(main())
