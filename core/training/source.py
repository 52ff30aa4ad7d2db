"""Where labels lie and how they are read: a card tells it, so that a later training can read them again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from .formats.layers import Layer, read_layer
from .formats.reading import read_records
from .formats.records import Records
from .formats.repairs import Repairs


@dataclass(frozen=True)
class Source:
    """A folder of labelled images, or a raster with a layer of labels over it; `path`: of the folder or the raster."""

    path: str
    layer: Optional[Layer] = None

    def read(self, repairs: Repairs) -> Records:
        """Read labels as they stand; raises LabelError."""
        path = Path(self.path)
        return read_records(path, repairs) if self.layer is None else read_layer(self.layer, path, repairs)

    @property
    def folder(self) -> Path:
        """Folder that names of images are told from."""
        return Path(self.path) if self.layer is None else Path(self.path).parent

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return Path(self.path if self.layer is None else self.layer.path.split("|")[0]).name

    @property
    def files(self) -> list[str]:
        """Paths of the files and folders it is read from."""
        layers = [] if self.layer is None else [self.layer.path, *filter(None, [self.layer.area])]
        return [self.path, *(layer.split("|")[0] for layer in layers)]

    def moved(self, where: Callable[[str], str]) -> Source:
        """The same of files that lie elsewhere; `where` gives the new path, or source of a layer, for the old one."""
        if self.layer is None:
            return Source(where(self.path))
        area = None if self.layer.area is None else where(self.layer.area)
        return Source(where(self.path), replace(self.layer, path=where(self.layer.path), area=area))

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
