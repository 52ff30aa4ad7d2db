"""The image files that labels name, also where the names do not quite match."""

from __future__ import annotations

import warnings
from collections import defaultdict
from pathlib import Path, PurePosixPath

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from ...job.errors import LabelError

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".vrt", ".img", ".webp")


class ImageFiles:
    """The images below a folder, found by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        self._indexed = False

    def find(self, name: str) -> tuple[Path | None, bool]:
        """File of an image, and whether its name is the one given; None where there is none or several would do.

        A file lies at the name given, else anywhere below the folder under that file name, else under the same stem
        with another suffix; then upper and lower case do not matter.
        """
        exact = self.folder / name
        if name and exact.is_file():
            return exact, True
        self._index()
        file_name = PurePosixPath(name.replace("\\", "/")).name.casefold()
        for candidates in (self._by_name[file_name], self._by_stem[file_name.rpartition(".")[0] or file_name]):
            if len(candidates) == 1:
                return candidates[0], candidates[0].name == PurePosixPath(name.replace("\\", "/")).name
        return None, False

    def all(self) -> list[Path]:
        """Every image below the folder."""
        self._index()
        return sorted(path for paths in self._by_name.values() for path in paths)

    def _index(self) -> None:
        if self._indexed:
            return
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                self._by_name[path.name.casefold()].append(path)
                self._by_stem[path.stem.casefold()].append(path)
        self._indexed = True


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image, px; raises LabelError where it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as image:
                return image.width, image.height
    except RasterioIOError as problem:
        raise LabelError(f"The image '{path}' of the labels cannot be read: {problem}.") from problem
