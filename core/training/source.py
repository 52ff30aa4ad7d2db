"""Where labels lie and how they are read: a card tells it, so that a later training can read them again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from .formats.layers import Layer, read_layer
from .formats.reading import read_records
from .formats.records import Records
from .formats.repairs import Repairs

Extent = Optional[tuple[float, float, float, float]]


@dataclass(frozen=True)
class Source:
    """A folder of labelled images, or a raster with a layer of labels over it.

    `path`: of the folder or the raster. `labels` None: a folder; else, with all that follows, as in `Layer`.
    """

    path: str
    labels: Optional[str] = None
    class_field: Optional[str] = None
    class_name: str = "object"
    size_m: Optional[float] = None
    size_field: Optional[str] = None
    ignore_field: Optional[str] = None
    area: Optional[str] = None
    extent: Extent = None
    extent_crs: Optional[str] = None

    def read(self, repairs: Repairs) -> Records:
        """Read labels as they stand; raises LabelError."""
        if self.labels is None:
            return read_records(Path(self.path), repairs)
        layer = Layer(
            path=self.labels,
            class_field=self.class_field,
            class_name=self.class_name,
            size_m=self.size_m,
            size_field=self.size_field,
            ignore_field=self.ignore_field,
            area=self.area,
            extent=self.extent,
            extent_crs=self.extent_crs,
        )
        return read_layer(layer, Path(self.path), repairs)

    @property
    def folder(self) -> Path:
        """Folder that names of images are told from."""
        return Path(self.path) if self.labels is None else Path(self.path).parent

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return Path(self.path if self.labels is None else self.labels.split("|")[0]).name

    def name_of(self, image: Path) -> str:
        """Name of one of its images, as a card tells it."""
        return image.relative_to(self.folder).as_posix() if image.is_relative_to(self.folder) else str(image)


def digest(records: Records) -> str:
    """SHA-256 of what labels say: of objects, images and areas. A file that is only rewritten keeps it, as a
    GeoPackage is by every program that looks at it."""
    total = hashlib.sha256()
    for record in sorted(records.objects, key=lambda each: (each.image, each.box, each.label, each.ignore)):
        corners = ",".join(f"{value:.2f}" for value in record.box)
        total.update(f"{record.image}|{corners}|{record.label}|{int(record.ignore)}\n".encode())
    for image in sorted(records.images):
        area = records.areas.get(image)
        bounds = "" if area is None else ",".join(f"{value:.2f}" for value in (*area.bounds, area.area))
        total.update(f"{image}|{records.images[image]}|{bounds}\n".encode())
    return total.hexdigest()
