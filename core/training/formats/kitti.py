"""Labels as KITTI writes them: a text file an image, a line of 15 values an object (Geiger et al. 2012)."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

from ...detections.detections import Detections
from .images import ImageFiles
from .records import ANY_CLASS, Record, Records, read_text, split_of
from .repairs import Repairs
from .yolo import label_files

VALUES = 15  # type, truncated, occluded, alpha, left, top, right, bottom, and seven of the third dimension
DONT_CARE = "dontcare"


def is_kitti(line: str) -> bool:
    """Tell whether a line of a text file is KITTI's: a word, then numbers."""
    words = line.split()
    return len(words) in (VALUES, VALUES + 1) and not words[0].replace(".", "").isdigit()


def read_kitti(folder: Path, repairs: Repairs) -> Records:
    """Read a folder of images and text files of equal stems; `DontCare` regions are ignored for every class."""
    records = Records(folder, folder)
    images = {path.stem: path for path in ImageFiles(folder).all()}
    for path in images.values():
        parts = path.relative_to(folder).parts
        records.images["/".join(parts)] = next(filter(None, (split_of(part) for part in parts[:-1])), None)
    for path in label_files(folder):
        image = images.get(path.stem)
        if image is None:
            repairs.add("Text files without an image were left out", f"'{path.name}'")
            continue
        name = "/".join(image.relative_to(folder).parts)
        for number, line in enumerate(read_text(path).splitlines(), 1):
            where = f"line {number} of '{path.name}'"
            words = line.split()
            try:
                a, b, c, d = (float(word) for word in words[4:8])
            except ValueError:
                if words:
                    repairs.add("Lines without a class and a box were left out", where)
                continue
            ignore = words[0].casefold() == DONT_CARE
            records.add(Record(name, (a, b, c, d), ANY_CLASS if ignore else words[0], where, ignore))
    return records


class KittiWriter:
    """Writes `labels/<image>.txt`; a class name's spaces become underscores, objects to ignore become `DontCare`."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        self.folder = folder
        self.names = tuple("_".join(name.split()) for name in classes)
        (folder / "labels").mkdir(exist_ok=True)

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image; the format knows no splits."""
        ignore = [False] * len(truth) if truth.ignore is None else truth.ignore.tolist()
        lines = [
            f"{'DontCare' if ignored else self.names[label]} 0.0 0 0.0 {' '.join(map(str, box))} 0 0 0 0 0 0 0\n"
            for box, label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), ignore, strict=True)
        ]
        (self.folder / "labels" / f"{Path(image).stem}.txt").write_text("".join(lines), "utf-8")

    def __enter__(self) -> KittiWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
