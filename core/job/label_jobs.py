"""Jobs on labels: how well detections agree with them, and chips of imagery with them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Optional  # Python 3.9 evaluates these hints at run time

from .checks import is_gdal_name, require_file, require_folder_of, require_language, require_layer
from .errors import InvalidJob

CHIP_FORMATS = ("arcgis", "coco", "voc", "yolo", "kitti", "csv")


@dataclass(frozen=True)
class EvaluateJob:
    """Compare a layer of detections with a layer of true objects.

    Layers: `file` or `file|layername=x`. `output`: an HTML report, "" for none, with pictures where `raster` is given.
    `iou`: overlap from which a detection has found an object. `threshold` None: the score of the highest F1.
    `area`: polygons in which all objects are labelled. Fields None: found by their usual names. `language`: that of the
    report, one of LANGUAGES.
    """

    detections: str
    truth: str
    output: str = ""
    raster: Optional[str] = None
    iou: float = 0.5
    threshold: Optional[float] = None
    area: Optional[str] = None
    class_field: Optional[str] = None
    truth_class_field: Optional[str] = None
    score_field: Optional[str] = None
    language: str = "en"

    def validate(self) -> None:
        """Check everything that can be checked without opening the layers."""
        require_layer(self.detections, "layer of detections")
        require_layer(self.truth, "layer of true objects")
        if self.area is not None:
            require_layer(self.area, "area layer")
        if self.raster is not None and not is_gdal_name(self.raster):
            require_file(self.raster, "raster")
        if not 0 < self.iou <= 1:
            raise InvalidJob(f"The least overlap (IoU) must lie above 0 and up to 1, not {self.iou:g}.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InvalidJob(f"The threshold must lie between 0 and 1, not {self.threshold:g}.")
        if self.output:
            if Path(self.output).suffix.lower() not in (".html", ".htm"):
                raise InvalidJob(f"The report is written as .html, not as '{Path(self.output).name}'.")
            require_folder_of(self.output, "report")
        require_language(self.language)


@dataclass(frozen=True)
class ExportJob:
    """Cut a raster into chips with the labels on them, in a format of the field.

    `labels`: polygons, lines or points, `file` or `file|layername=x`; `output`: a new folder. `class_field` None: all
    objects are of the class `class_name`. `size_m`: side of a point's box, ground metres; `size_field` holds it by
    object. `ignore_field`: true where an object is doubtful. `area`: polygons in which all objects are labelled.
    `tile_px`, `step_px`: side of a chip and distance between chips, px of the raster; None: chips side by side.
    `empty` keeps chips without objects. `least_visible`: share of an object that a chip must show.
    """

    raster: str
    labels: str
    output: str
    format: str = "arcgis"
    class_field: Optional[str] = None
    class_name: str = "object"
    classes: Optional[tuple[str, ...]] = None
    size_m: Optional[float] = None
    size_field: Optional[str] = None
    ignore_field: Optional[str] = None
    area: Optional[str] = None
    tile_px: int = 256
    step_px: Optional[int] = None
    empty: bool = False
    least_visible: float = 0.4

    def validate(self) -> None:
        """Check everything that can be checked without opening the raster or the layers."""
        require_file(self.raster, "raster")
        require_layer(self.labels, "layer of labels")
        if self.area is not None:
            require_layer(self.area, "area layer")
        require_folder_of(self.output, "folder of chips")
        if os.path.isfile(self.output):  # noqa: PTH113
            raise InvalidJob(f"'{self.output}' is a file. Choose a folder for the chips.")
        if self.format not in CHIP_FORMATS:
            raise InvalidJob(f"Chips are written as {', '.join(CHIP_FORMATS)}, not as '{self.format}'.")
        if not 32 <= self.tile_px <= 8192:
            raise InvalidJob(f"The chip size must lie between 32 and 8192 px, not {self.tile_px}.")
        if self.step_px is not None and not 1 <= self.step_px <= self.tile_px:
            raise InvalidJob(f"The distance between chips must lie between 1 px and a chip's side, not {self.step_px}.")
        if self.size_m is not None and not self.size_m > 0:
            raise InvalidJob("The size of a point's box must be a positive number of metres.")
        if not 0 < self.least_visible <= 1:
            raise InvalidJob(f"The least visible share must lie above 0 and up to 1, not {self.least_visible:g}.")
