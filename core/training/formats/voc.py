"""Labels as Pascal VOC writes them: one XML an image (Everingham et al. 2010)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from xml.etree.ElementTree import Element  # nosec B405: only the type
from xml.sax.saxutils import escape  # nosec B406: writes, does not parse

from ...detections.detections import Detections
from .records import SPLITS, Record, Records, read_text, split_of
from .repairs import Repairs
from .xml import parse_xml

LABELS = "Annotations"
LISTS = Path("ImageSets", "Main")
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(folder: Path, repairs: Repairs, name_of: Callable[[str], str] = str) -> Records:
    """Read all XML files below a folder; `difficult` objects are ignored. Corners are taken as they are written.

    `name_of` turns what stands in `<name>` into a class name. The split is that of `ImageSets/Main`, else that of the
    folder. Raises LabelError.
    """
    records = Records(folder, folder)
    listed = _listed(folder)
    for path in sorted(folder.rglob("*.xml")):
        if path.name.endswith(".aux.xml"):
            continue
        root = parse_xml(path)
        if root.tag != "annotation":
            continue
        image = _image(root, path)
        folders = [split_of(part) for part in path.relative_to(folder).parts[:-1]]
        records.images[image] = listed.get(path.stem) or next(filter(None, folders), None)
        for i, drawn in enumerate(root.iter("object")):
            where = f"object {i + 1} of '{path.name}'"
            try:
                a, b, c, d = (float(drawn.findtext(f"bndbox/{corner}", "")) for corner in CORNERS)
            except ValueError:
                repairs.add("Objects without numbers for a box were left out", where)
                continue
            name = (drawn.findtext("name") or "").strip()
            if not name:
                repairs.add("Objects without a class were left out", where)
                continue
            ignore = (drawn.findtext("difficult") or "0").strip() == "1"
            records.add(Record(image, (a, b, c, d), name_of(name), where, ignore))
    return records


class VocWriter:
    """Writes one XML an image into `Annotations`, and the names of each split into `ImageSets/Main`."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        self.folder, self.classes = folder, classes
        (folder / LABELS).mkdir(exist_ok=True)
        (folder / LISTS).mkdir(parents=True, exist_ok=True)
        self._lists = {split: (folder / LISTS / f"{split}.txt").open("w", encoding="utf-8") for split in SPLITS}

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image."""
        text = annotation(image, size, truth, self.classes)
        (self.folder / LABELS / f"{Path(image).stem}.xml").write_text(text, "utf-8")
        self._lists[split].write(f"{Path(image).stem}\n")

    def __enter__(self) -> VocWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._lists.values():
            file.close()


def annotation(image: str, size: tuple[int, int], truth: Detections, names: tuple[str, ...]) -> str:
    """XML of one image's objects."""
    ignore = [False] * len(truth) if truth.ignore is None else truth.ignore.tolist()
    objects = "".join(
        f"  <object>\n    <name>{escape(names[label])}</name>\n    <difficult>{int(ignored)}</difficult>\n    <bndbox>"
        + "".join(f"<{corner}>{value}</{corner}>" for corner, value in zip(CORNERS, box, strict=True))
        + "</bndbox>\n  </object>\n"
        for box, label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), ignore, strict=True)
    )
    width, height = size
    return (
        f"<annotation>\n  <filename>{escape(Path(image).name)}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height></size>\n{objects}</annotation>\n"
    )


def _image(root: Element, path: Path) -> str:
    """Name of the image: the XML's own name where they differ, for files are renamed and their content is not."""
    name = (root.findtext("filename") or "").strip().replace("\\", "/").rpartition("/")[2]
    suffix = Path(name).suffix
    return name if name and Path(name).stem == path.stem else f"{path.stem}{suffix or '.tif'}"


def _listed(folder: Path) -> dict[str, str]:
    found = {}
    for split in SPLITS:
        path = folder / LISTS / f"{split}.txt"
        if path.is_file():
            found |= {line.split()[0]: split for line in read_text(path).splitlines() if line.strip()}
    return found
