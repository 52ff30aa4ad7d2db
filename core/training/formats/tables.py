"""Labels as a table: `annotations.csv` with a row an object, and `split.csv` with a row an image."""

from __future__ import annotations

import csv
from pathlib import Path
from types import TracebackType

from ...detections.detections import Detections
from ...job.errors import LabelError
from .records import SPLIT_NAMES, SPLITS, Record, Records, read_text
from .repairs import Repairs

ANNOTATIONS = "annotations.csv"
SPLIT = "split.csv"
HEADERS = {  # our name of a column: names that others give it, without case and punctuation
    "image": ("image", "imagepath", "filename", "file", "imagename", "imagefile", "img", "path", "imageid"),
    "xmin": ("xmin", "x1", "left", "minx", "bboxxmin"),
    "ymin": ("ymin", "y1", "top", "miny", "bboxymin"),
    "xmax": ("xmax", "x2", "right", "maxx", "bboxxmax"),
    "ymax": ("ymax", "y2", "bottom", "maxy", "bboxymax"),
    "x": ("x", "bboxx"),
    "y": ("y", "bboxy"),
    "width": ("width", "w", "bboxwidth"),
    "height": ("height", "h", "bboxheight"),
    "label": ("label", "class", "classname", "category", "name", "labelname", "species"),
    "ignore": ("ignore", "iscrowd", "crowd", "difficult"),
    "score": ("score", "scores", "confidence"),
    "split": ("split", "set", "subset"),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIDES = ("x", "y", "width", "height")
PLAIN = ("image", *CORNERS, "label")  # the columns of a table without a header, as keras-retinanet's
TRUE = ("1", "true", "yes", "t", "y")


def read_table(path: Path, repairs: Repairs) -> Records:
    """Read a table of boxes; columns may stand in any order, among others, under the names that other tools give them.

    Corners, or a corner with width and height, px. A row without a box, or with four zeros, is an image without
    objects. `split.csv` beside it names the split of each image. Raises LabelError where the table cannot be used.
    """
    records = Records(path, path.parent)
    rows = _rows(path, PLAIN)
    if rows and "score" in rows[0][1]:
        repairs.add("The labels have scores: they may be detections, not drawn objects", f"'{path.name}'", len(rows))
    for line, row in rows:
        where = f"line {line} of '{path.name}'"
        if not row["image"]:
            repairs.add("Rows without an image were left out", where)
            continue
        records.images.setdefault(row["image"], None)
        if row.get("split"):
            records.images[row["image"]] = _split(row["split"], where)
        numbers = [row.get(key, "") for key in (CORNERS if "xmin" in row else SIDES)]
        if not any(numbers) or all(number in ("0", "0.0") for number in numbers):
            continue
        try:
            a, b, c, d = (float(number) for number in numbers)
        except ValueError:
            repairs.add("Rows without numbers for a box were left out", where)
            continue
        if not row["label"]:
            repairs.add("Objects without a class were left out", where)
            continue
        box = (a, b, c, d) if "xmin" in row else (a, b, a + c, b + d)
        records.add(Record(row["image"], box, row["label"], where, row.get("ignore", "").casefold() in TRUE))
    if (path.parent / SPLIT).is_file():
        for line, row in _rows(path.parent / SPLIT, ("image", "split")):
            records.images[row["image"]] = _split(row["split"], f"line {line} of '{SPLIT}'")
    return records


class TableWriter:
    """Writes `annotations.csv` and `split.csv` row by row."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self._files = [(folder / name).open("w", encoding="utf-8", newline="") for name in (ANNOTATIONS, SPLIT)]
        self._boxes, self._splits = (csv.writer(file) for file in self._files)
        self._boxes.writerow([*PLAIN, "ignore"])
        self._splits.writerow(["image", "split"])

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image."""
        self._splits.writerow([image, split])
        ignore = [False] * len(truth) if truth.ignore is None else truth.ignore.tolist()
        for box, label, ignored in zip(truth.boxes.tolist(), truth.labels.tolist(), ignore, strict=True):
            self._boxes.writerow([image, *box, self.classes[label], int(ignored)])

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()


def _split(name: str, where: str) -> str:
    split = SPLIT_NAMES.get(name.casefold())
    if split is None:
        raise LabelError(f"The split '{name}' in {where} is unknown; known are {', '.join(SPLITS)}.")
    return split


def _rows(path: Path, plain: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """Line numbers and rows by our names of the columns; `plain`: those that must be, and all of a headless table."""
    text = read_text(path)
    first = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count), skipinitialspace=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as problem:
        raise LabelError(f"The labels '{path}' are no CSV table: {problem}.") from problem
    names = _header(lines[0][1]) if lines else {}
    if not names and lines and len(lines[0][1]) == len(plain):
        names = {name: i for i, name in enumerate(plain)}
    else:
        lines = lines[1:]
    needed = [name for name in plain if name not in CORNERS or not all(side in names for side in SIDES)]
    missing = [name for name in needed if name not in names]
    if missing:
        raise LabelError(f"'{path}' lacks the column '{missing[0]}'.")
    return [(n, {name: row[i] if i < len(row) else "" for name, i in names.items()}) for n, row in lines]


def _header(cells: list[str]) -> dict[str, int]:
    """Place of each column that we know, {} where the row is no header."""
    plain = ["".join(c for c in cell.casefold() if c.isalnum()) for cell in cells]
    found = {}
    for name, others in HEADERS.items():
        places = [plain.index(other) for other in others if other in plain]
        if places:
            found[name] = places[0]
    return found if len(found) > 1 else {}
