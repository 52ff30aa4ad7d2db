"""Labels as YOLO writes them: a text file an image, a line an object, in shares of the image; names in another file."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

from ...detections.detections import Detections
from ...job.errors import LabelError
from .images import ImageFiles, image_size
from .records import Record, Records, read_text, split_of
from .repairs import Repairs

CONFIGURATIONS = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
LISTS = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")
NOT_LABELS = {*LISTS, "train.txt", "val.txt", "test.txt", "readme.txt"}


def label_files(folder: Path) -> list[Path]:
    """Text files below a folder that may hold labels."""
    return sorted(path for path in folder.rglob("*.txt") if path.name.casefold() not in NOT_LABELS)


def read_yolo(folder: Path, repairs: Repairs) -> Records:
    """Read a folder of images and text files of equal stems; polygons become their bounds, a score is passed over.

    Images without a text file have no objects. The split is that of a folder on the way. Raises LabelError.
    """
    names = _class_names(folder)
    files = ImageFiles(folder)
    records = Records(folder, folder)
    images = {path.stem: path for path in files.all()}
    for path in images.values():
        parts = path.relative_to(folder).parts
        splits = [split_of(part) for part in parts[:-1]]
        records.images["/".join(parts)] = next(filter(None, splits), None)
    for path in label_files(folder):
        image = images.get(path.stem)
        if image is None:
            repairs.add("Text files without an image were left out", f"'{path.name}'")
            continue
        width, height = image_size(image)
        name = "/".join(image.relative_to(folder).parts)
        for number, line in enumerate(read_text(path).splitlines(), 1):
            where = f"line {number} of '{path.name}'"
            try:
                label, *values = (float(value) for value in line.split())
                if len(values) in (4, 5):
                    x, y, w, h = values[:4]
                    box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
                else:
                    x, y = values[0::2], values[1::2]
                    box = (min(x) * width, min(y) * height, max(x) * width, max(y) * height)
            except ValueError:
                if line.strip():
                    repairs.add("Lines without a class and a box were left out", where)
                continue
            records.add(Record(name, box, names.get(int(label), str(int(label))), where))
    return records


class YoloWriter:
    """Writes `labels/<image>.txt` and `data.yaml`. The format has no objects to ignore: `left_out` counts them."""

    def __init__(self, folder: Path, classes: tuple[str, ...]) -> None:
        self.folder = folder
        self.left_out = 0
        names = "".join(f"  {i}: {_quoted(name)}\n" for i, name in enumerate(classes))
        splits = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
        (folder / "data.yaml").write_text(f"path: .\n{splits}names:\n{names}", "utf-8")

    def add(self, image: str, size: tuple[int, int], truth: Detections, split: str) -> None:
        """Write the objects of one image `images/<split>/<name>`."""
        if truth.ignore is not None:
            self.left_out += int(truth.ignore.sum())
            truth = truth.take(~truth.ignore)
        width, height = size
        lines = [
            f"{label} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} {(x1 - x0) / width} {(y1 - y0) / height}\n"
            for (x0, y0, x1, y1), label in zip(truth.boxes.tolist(), truth.labels.tolist(), strict=True)
        ]
        path = self.folder / "labels" / split / f"{Path(image).stem}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), "utf-8")

    def __enter__(self) -> YoloWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


def _class_names(folder: Path) -> dict[int, str]:
    """Class names by number, from a list of names or the `names` of a YAML file; {} where there is neither."""
    for name in LISTS:
        for path in sorted(folder.rglob(name)):
            return dict(enumerate(line.strip() for line in read_text(path).splitlines() if line.strip()))
    for name in CONFIGURATIONS:
        if (folder / name).is_file():
            return _names_of_yaml(read_text(folder / name), folder / name)
    return {}


def _names_of_yaml(text: str, path: Path) -> dict[int, str]:
    """Names of a YAML file in the three ways they are written: `[a, b]`, `- a` and `0: a`."""
    found = re.search(r"^names\s*:[ \t]*(.*?)(?=^\S|\Z)", re.sub(r"[ \t]#.*", "", text), re.M | re.S)
    if not found:
        raise LabelError(f"'{path}' has no list of names.")
    body = found[1].strip()
    if body.startswith("- ") or re.search(r"^- ", text[found.end() :], re.M):
        rest = body if body else text[found.end() :]
        return dict(enumerate(_bare(item) for item in re.findall(r"^\s*-\s+(.+)$", rest, re.M)))
    pairs = re.findall(r"(\d+)\s*:\s*('(?:[^']|'')*'|\"[^\"]*\"|[^,}\n]+)", body)
    if pairs and not body.startswith("["):
        return {int(number): _bare(name) for number, name in pairs}
    return dict(
        enumerate(_bare(item) for item in re.findall(r"'(?:[^']|'')*'|\"[^\"]*\"|[^,\[\]\n]+", body) if item.strip())
    )


def _bare(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
