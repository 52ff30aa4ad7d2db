"""What was wrong with labels and what was done about it, counted: one report for the user."""

from __future__ import annotations


class Repairs:
    """Counts by sentence, each with the first place it concerns."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

    def add(self, what: str, where: str, count: int = 1) -> None:
        """Count one more; `what` is a phrase such as "Boxes without width or height were left out"."""
        self.counts[what] = self.counts.get(what, 0) + count
        self._first.setdefault(what, where)

    def sentences(self) -> list[str]:
        """One sentence for each kind, the most frequent first."""
        kinds = sorted(self.counts, key=lambda what: -self.counts[what])
        return [f"{what}: {self.counts[what]:,}, the first at {self._first[what]}." for what in kinds]
