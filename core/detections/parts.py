"""What a running detection has found so far, on disk: any number of objects in constant memory, and a place to go on.

A folder beside the output holds the record of the job, files of objects that are final, and one file with the state:
what is undecided, which tiles are done, what was examined. Each is written whole, then renamed into place, the state
last: it names the files of objects that belong to it, so that a process killed at any moment leaves a state that fits.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..job.errors import CannotResume
from ..job.unfinished import RECORD, partial_path, partial_record, remove_unfinished
from .detections import Detections
from .target import refusals_told

STATE = "state.npz"
STRIP_PX = 16  # objects are put in order by strips of whole rows of this height,
STRIP_OBJECTS = 20_000  # as many at a time as hold about so many objects: 0.3 s of writing

State = Mapping[str, np.ndarray]


class Parts:
    """Objects of one job, taken in any order and given back row by row. `job` says what they depend on, as JSON.

    `total`: objects so far. `saved`: whether this job has anything on disk. `leftover`: parts of an earlier run that
    the first `save` will replace. Raises OutputError for what the disk refuses.
    """

    def __init__(self, target: str | Path, job: Mapping[str, Any]) -> None:
        self.folder = partial_path(target)
        self.saved = False
        self._target = Path(target)
        self._record = json.loads(json.dumps({"pid": os.getpid(), "job": job}))
        self._spans = np.zeros((0, 3))  # of each file: the first and the last object's row, and how many there are

    @property
    def total(self) -> int:
        """Objects so far."""
        return int(self._spans[:, 2].sum())

    @property
    def leftover(self) -> bool:
        """Whether parts of an earlier run lie there that this one does not go on from."""
        return not self.saved and self.folder.is_dir()

    def resume(self) -> State | None:
        """Take over the parts of an earlier run of the same job and give the state they were saved with.

        None where there are none. Raises CannotResume where they are another job's, or damaged.
        """
        record = partial_record(self._target)
        if record is None or not (self.folder / STATE).exists():
            return None
        theirs, ours = record.get("job", {}), self._record["job"]
        if differing := sorted(name for name in {*theirs, *ours} if theirs.get(name) != ours.get(name)):
            raise CannotResume(
                f"'{self.folder.name}' was left by another job: not the same {', '.join(differing)}. "
                "Repeat that job to go on from there, or start from the beginning without resuming."
            )
        try:
            with np.load(self.folder / STATE) as stored:
                state = {name: stored[name] for name in stored.files}
            self._spans = state.pop("spans")
            for k, (_, _, count) in enumerate(self._spans):
                if self._objects(k).shape[1] != count:
                    raise ValueError("objects are missing")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as problem:
            raise CannotResume(
                f"'{self.folder.name}' is damaged. Start from the beginning, without resuming."
            ) from problem
        with refusals_told(self._target):
            self._sweep()
            self._write_record()
        self.saved = True
        return state

    def save(self, found: Detections, state: State) -> None:
        """Add objects that are final, float64 in the grid frame, and the state from which to go on after them."""
        with refusals_told(self._target):
            if not self.saved:
                self._sweep()
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir()
                self._write_record()
                self.saved = True
            if len(found):
                middle = (found.boxes[:, 1] + found.boxes[:, 3]) / 2
                columns = np.stack([middle, *found.boxes.T, found.scores, found.labels])[:, np.argsort(middle)]
                self._write(self._name(len(self._spans)), lambda file: np.save(file, columns))
                self._spans = np.vstack([self._spans, [columns[0, 0], columns[0, -1], len(found)]])
            self._write(STATE, lambda file: np.savez(file, spans=self._spans, **state))

    def row_by_row(self) -> Iterator[Detections]:
        """Give all objects back by the row of their centre, then column, score, class and box, some at a time.

        The order and the portions do not depend on how the objects came. Memory holds a portion.
        """
        with refusals_told(self._target):
            for first, stop in self._strips():
                reached = (self._spans[:, 0] < stop) & (self._spans[:, 1] >= first)
                columns = [self._between(k, first, stop) for k in np.flatnonzero(reached)]
                yield _in_order(np.concatenate(columns, axis=1))

    def clear(self) -> None:
        """Delete what this job has saved."""
        if self.saved:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.saved = False

    def _sweep(self) -> None:
        """Delete the half-written result of the process that was broken off."""
        record = partial_record(self._target)
        if record is not None:
            remove_unfinished(self._target, record.get("pid", 0))

    def _strips(self) -> Iterator[tuple[float, float]]:
        """Cut the rows into runs of strips that hold objects, of about STRIP_OBJECTS each: first row and stop, px."""
        counts = np.zeros(int(self._spans[:, 1].max(initial=0) // STRIP_PX) + 1, np.int64)
        for k in range(len(self._spans)):
            counts += np.bincount((self._objects(k)[0] // STRIP_PX).astype(np.int64), minlength=len(counts))
        total = np.cumsum(counts)
        start, done = 0, 0
        while done < total[-1]:
            stop = max(start + 1, int(np.searchsorted(total, done + STRIP_OBJECTS, "right")))
            if total[stop - 1] > done:
                yield start * STRIP_PX, stop * STRIP_PX
            start, done = stop, total[stop - 1]

    def _between(self, k: int, first: float, stop: float) -> np.ndarray:
        columns = self._objects(k)
        low, high = np.searchsorted(columns[0], [first, stop])
        return np.array(columns[:, low:high])

    def _objects(self, k: int) -> np.ndarray:
        """Map the columns (7, N) of a file: row of the centre, which grows, box, score, label."""
        return np.load(self.folder / self._name(k), mmap_mode="r")

    def _name(self, k: int) -> str:
        return f"objects-{k + 1:05}.npy"

    def _write_record(self) -> None:
        self._write(RECORD, lambda file: file.write(json.dumps(self._record, indent=1).encode()))

    def _write(self, name: str, write: Callable[[BinaryIO], object]) -> None:
        fresh = self.folder / f"{name}.new"
        with fresh.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.folder / name)


def _in_order(columns: np.ndarray) -> Detections:
    boxes, scores, labels = columns[1:5].T, columns[5], columns[6].astype(np.int64)
    order = np.lexsort((*boxes.T, labels, -scores, boxes[:, 0] + boxes[:, 2], columns[0]))
    return Detections(boxes, scores, labels).take(order)
