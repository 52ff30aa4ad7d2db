"""Which objects of a result layer are shown, as the subset text that the layer carries and the project keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

REVIEW = "review"
ACCEPTED, REJECTED, CHANGED, DRAWN, DOUBTFUL = STATES = ("accepted", "rejected", "changed", "drawn", "doubtful")
OBJECTS = (ACCEPTED, CHANGED, DRAWN)  # what a person has said to be an object, whatever its confidence
NUMBER = r"([-+.\deE]+)"


@dataclass(frozen=True)
class Filter:
    """Shows objects at or above a confidence, within limits of size in m², and those a person has confirmed.

    `smallest_m2`, `largest_m2` None: no limit. `rejected`: whether rejected objects are shown too, as during a review.
    """

    threshold: float = 0.0
    smallest_m2: float | None = None
    largest_m2: float | None = None
    rejected: bool = False

    def subset(self, area_field: str | None, reviewed: bool) -> str:
        """Write the filter as SQL that GeoPackage and Shapefile both understand; `reviewed`: there is that field."""
        clauses = [f'"score" >= {self.threshold:.4g}']
        if area_field is not None and self.smallest_m2 is not None:
            clauses.append(f'"{area_field}" >= {self.smallest_m2:.10g}')
        if area_field is not None and self.largest_m2 is not None:
            clauses.append(f'"{area_field}" <= {self.largest_m2:.10g}')
        found = " AND ".join(clauses)
        if not reviewed:
            return found
        kept = ", ".join(f"'{state}'" for state in (*OBJECTS, *([REJECTED] if self.rejected else [])))
        either = f'({found} OR "{REVIEW}" IN ({kept}))'
        if self.rejected:
            return either
        return f'("{REVIEW}" IS NULL OR "{REVIEW}" <> \'{REJECTED}\') AND {either}'

    @staticmethod
    def parse(subset: str, area_field: str | None) -> Filter:
        """Read a filter back from a layer; what was not written by `subset` counts as no limit."""

        def number(field: str, sign: str) -> float | None:
            found = re.search(rf'"{field}" {sign} {NUMBER}', subset)
            try:
                return float(found.group(1)) if found else None
            except ValueError:
                return None

        return Filter(
            number("score", ">=") or 0.0,
            number(area_field, ">=") if area_field else None,
            number(area_field, "<=") if area_field else None,
            bool(re.search(rf"\"{REVIEW}\" IN \([^)]*'{REJECTED}'", subset)),
        )
