"""Labels as ArcGIS's Export Training Data For Deep Learning writes them (PASCAL_VOC_rectangles).

A folder with `images/`, `labels/*.xml` in which `<name>` holds a class value, `map.txt`, `esri_model_definition.emd`,
`esri_accumulated_stats.json` and `stats.txt`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

import numpy as np

from ...detections.detections import Detections
from ...job.codec import parse
from ...job.errors import LabelError
from .records import Records, read_text
from .repairs import Repairs
from .voc import annotation, read_voc

DEFINITION = "esri_model_definition.emd"
MAP = "map.txt"
PALETTE = ((0, 229, 255), (255, 61, 154), (255, 212, 0), (124, 255, 79), (255, 122, 26), (179, 136, 255))


def read_arcgis(folder: Path, repairs: Repairs) -> Records:
    """Read a folder of exported chips; class values become the names that the definition gives them.

    `map.txt` names every image, also those without objects. Raises LabelError.
    """
    names = _class_names(folder / DEFINITION)
    records = read_voc(folder, repairs, lambda value: names.get(value, value))
    if (folder / MAP).is_file():
        known = {Path(image).stem for image in records.images}
        for line in filter(str.strip, read_text(folder / MAP).splitlines()):
            image = line.split()[0].replace("\\", "/").rpartition("/")[2]
            if Path(image).stem not in known:
                records.images.setdefault(image, None)
    return records


class ArcgisWriter:
    """Writes the labels of a folder of exported chips; images are those in `images/`, each a chip of one size."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        self.folder, self.classes = folder, classes
        self.values = tuple(str(i + 1) for i in range(len(classes)))
        (folder / "labels").mkdir(exist_ok=True)
        self._map = (folder / MAP).open("w", encoding="utf-8")
        self._counts: list[int] = []
        self._objects = np.zeros(len(classes), np.int64)
        self._size = (0, 0)

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image; the format knows neither splits nor objects to ignore but VOC's mark."""
        stem = Path(image).stem
        (self.folder / "labels" / f"{stem}.xml").write_text(annotation(image, size, truth, self.values), "utf-8")
        self._map.write(f"{image} labels/{stem}.xml\n")
        self._counts.append(len(truth))
        self._objects += np.bincount(truth.labels, minlength=len(self.classes))
        self._size = size

    def __enter__(self) -> ArcgisWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._map.close()
        kinds = [
            {"Value": i + 1, "Name": name, "Color": list(PALETTE[i % len(PALETTE)])}
            for i, name in enumerate(self.classes)
        ]
        definition = {
            "Framework": "",
            "ModelConfiguration": "",
            "ModelFile": "",
            "ModelType": "ObjectDetection",
            "ImageWidth": self._size[0],
            "ImageHeight": self._size[1],
            "MetaDataMode": "PASCAL_VOC_rectangles",
            "ImageSpaceUsed": "MAP_SPACE",
            "Classes": kinds,
        }
        (self.folder / DEFINITION).write_text(json.dumps(definition, indent=2), "utf-8")
        stats = {
            "Version": 1,
            "NumTiles": len(self._counts),
            "NumFeatures": int(self._objects.sum()),
            "NumClasses": len(self.classes),
            "ClassStats": [{**kind, "NumFeatures": int(n)} for kind, n in zip(kinds, self._objects, strict=True)],
        }
        (self.folder / "esri_accumulated_stats.json").write_text(json.dumps(stats, indent=2), "utf-8")
        counts = self._counts or [0]
        lines = [
            f"images = {len(self._counts)}",
            f"features = {self._objects.sum()}",
            f"features per image = [min = {min(counts)}, mean = {np.mean(counts):.2f}, max = {max(counts)}]",
            f"classes = {len(self.classes)}",
        ]
        (self.folder / "stats.txt").write_text("\n".join(lines) + "\n", "utf-8")


def _class_names(path: Path) -> dict[str, str]:
    """Class names by value, {} where there is no definition."""
    if not path.is_file():
        return {}
    try:
        return {str(kind["Value"]): str(kind["Name"]) for kind in parse(read_text(path))["Classes"]}
    except (ValueError, KeyError, TypeError) as problem:
        raise LabelError(f"'{path}' names no classes: {problem}.") from problem
