"""The trainings that a benchmark has done, a line each, so that an interrupted one goes on where it was."""

import json
from collections.abc import Callable
from typing import Any

from report import FOLDER


class Ledger:
    """What a benchmark has done, in build/benchmarks/NAME/done.jsonl."""

    def __init__(self, name: str, afresh: bool) -> None:
        """Go on from what was noted under the name; `afresh` forgets it."""
        path = self.path = FOLDER / name / "done.jsonl"
        if afresh:
            path.unlink(missing_ok=True)

    def row(self, key: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The row noted under these settings, else that of the work, which is noted."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        for row in map(json.loads, lines):
            if key.items() <= row.items():
                return row
        row = key | work()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        return row
