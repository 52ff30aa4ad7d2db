"""The job of suppression on a layer: of objects that cover one another, only the best stay."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional  # Python 3.9 evaluates these hints at run time

from .checks import require_layer, require_vector_target
from .errors import InvalidJob


@dataclass(frozen=True)
class SuppressJob:
    """Keep of a layer's polygons those that no better one covers; all their fields stay.

    `layer`: `file` or `file|layername=x`. `overlap`, `across`: the largest overlap (IoU) that is left between two
    objects of one class, and of different classes; 1 leaves all. Fields None: found by their usual names.
    """

    layer: str
    output: str
    overlap: float = 0.5
    across: float = 0.9
    class_field: Optional[str] = None
    score_field: Optional[str] = None

    def validate(self) -> None:
        """Check everything that can be checked without opening the layer."""
        require_layer(self.layer, "layer")
        require_vector_target(self.output)
        file = self.layer.split("|", maxsplit=1)[0]
        if os.path.realpath(file) == os.path.realpath(self.output):
            raise InvalidJob(f"The result would overwrite the layer '{file}'. Choose another name for it.")
        for what, value in (("one class", self.overlap), ("different classes", self.across)):
            if not 0 <= value <= 1:
                raise InvalidJob(f"The overlap of objects of {what} must lie between 0 and 1, not {value:g}.")
