"""Objects kept on disk come back in one order, whatever came when; the state is what was saved last."""

import errno
import os

import numpy as np
import pytest

from core.detections import parts as parts_module
from core.detections.detections import Detections
from core.detections.parts import Parts
from core.job.errors import InvalidJob, OutputError
from core.job.unfinished import partial_path

JOB = {"raster": ["a.tif", 5], "batch size": 4}


def some(n, seed=0, height=1000.0):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, [5000, height], (n, 2)).round()
    boxes = np.concatenate([corner, corner + rng.integers(2, 40, (n, 2))], axis=1)
    return Detections(boxes, rng.random(n).round(2), rng.integers(0, 3, n))


def rows_of(*found):
    return [
        (*box, score, label)
        for one in found
        for box, score, label in zip(one.boxes.tolist(), one.scores.tolist(), one.labels.tolist(), strict=True)
    ]


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out.gpkg"


@pytest.fixture(autouse=True)
def small_portions(monkeypatch):
    monkeypatch.setattr(parts_module, "STRIP_OBJECTS", 50)


@pytest.mark.parametrize("seed", range(3))
def test_all_objects_come_back_by_row_however_they_came(target, seed):
    found, rng = some(700, seed), np.random.default_rng(seed)
    given = []
    for pieces in (np.split(rng.permutation(700), [3, 200, 200, 450]), [np.argsort(found.boxes[:, 3])]):
        parts = Parts(target, JOB)
        for piece in pieces:
            parts.save(found.take(piece), {})
        given.append(list(parts.row_by_row()))
        assert parts.total == 700
    one, other = (rows_of(*portions) for portions in given)
    assert one == other
    assert sorted(one) == sorted(rows_of(found))
    assert [len(portion) for portion in given[0]] == [len(portion) for portion in given[1]]
    middle = [row[1] + row[3] for row in one]
    assert middle == sorted(middle)


def test_portions_are_bounded_however_many_objects(target):
    parts = Parts(target, JOB)
    for seed in range(10):
        parts.save(some(1000, seed, height=20_000.0), {})
    sizes = [len(portion) for portion in parts.row_by_row()]
    assert sum(sizes) == 10_000
    assert max(sizes) <= 50


def test_objects_at_one_place_come_in_one_order(target):
    boxes = np.tile([[10.0, 10, 20, 20]], (6, 1))
    boxes[4:] += [[-1, 0, 1, 0], [0, -1, 0, 1]]
    found = Detections(boxes, np.array([0.5, 0.9, 0.5, 0.5, 0.5, 0.5]), np.array([1, 0, 0, 0, 0, 0]))
    seen = set()
    for k in range(6):
        parts = Parts(target, JOB)
        parts.save(found.take(np.roll(np.arange(6), k)), {})
        seen.add(tuple(rows_of(*parts.row_by_row())))
    assert len(seen) == 1


def test_nothing_found_gives_nothing(target):
    parts = Parts(target, JOB)
    assert list(parts.row_by_row()) == []
    parts.save(Detections.empty(), {})
    assert list(parts.row_by_row()) == []
    assert parts.total == 0


def test_a_later_process_goes_on_from_the_last_state(target):
    first = Parts(target, JOB)
    first.save(some(30, 1), {"tiles": np.array([True, False])})
    first.save(some(20, 2), {"tiles": np.array([True, True])})
    second = Parts(target, JOB)
    assert second.leftover
    state = second.resume()
    assert state["tiles"].tolist() == [True, True]
    assert second.saved and not second.leftover
    second.save(some(10, 3), {})
    assert second.total == 60
    assert sorted(rows_of(*second.row_by_row())) == sorted(rows_of(some(30, 1), some(20, 2), some(10, 3)))
    second.clear()
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("stage", ["objects", "objects renamed", "state"])
def test_a_process_killed_while_it_saves_leaves_the_state_before(target, monkeypatch, stage):
    parts = Parts(target, JOB)
    parts.save(some(30, 1), {"number": np.array(1)})
    replace = type(target).replace

    def killed(path, new):
        if stage == "objects renamed" and path.name.startswith("objects"):
            return replace(path, new)
        if path.name.startswith(stage.split()[0]) or stage == "objects renamed":
            raise KeyboardInterrupt
        return replace(path, new)

    with monkeypatch.context() as patch:
        patch.setattr(type(target), "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            parts.save(some(20, 2), {"number": np.array(2)})
    later = Parts(target, JOB)
    assert later.resume()["number"] == 1
    assert rows_of(*later.row_by_row()) and later.total == 30
    later.save(some(20, 2), {"number": np.array(2)})
    assert sorted(rows_of(*later.row_by_row())) == sorted(rows_of(some(30, 1), some(20, 2)))


def test_parts_of_another_job_are_refused_with_what_differs(target):
    Parts(target, {**JOB, "threshold": 0.5}).save(some(3), {})
    with pytest.raises(InvalidJob, match=r"out\.gpkg\.partial' was left by another job: not the same raster, thresh"):
        Parts(target, {**JOB, "raster": ["a.tif", 6]}).resume()
    assert partial_path(target).is_dir()


def test_nothing_to_resume_is_none(target):
    assert Parts(target, JOB).resume() is None
    partial_path(target).mkdir()
    assert Parts(target, JOB).resume() is None


@pytest.mark.parametrize("name", ["state.npz", "objects-00001.npy"])
@pytest.mark.parametrize("content", [None, b"", b"PK rubbish"])
def test_damaged_parts_are_refused(target, name, content):
    Parts(target, JOB).save(some(3), {})
    path = partial_path(target) / name
    if content is None and name != "state.npz":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    with pytest.raises(InvalidJob, match="is damaged"):
        Parts(target, JOB).resume()


def test_the_parts_of_an_earlier_run_are_replaced_by_the_first_that_are_saved(target):
    Parts(target, JOB).save(some(30, 1), {})
    fresh = Parts(target, {"raster": "another"})
    fresh.clear()
    assert partial_path(target).is_dir()
    fresh.save(some(4, 2), {})
    assert sorted(rows_of(*fresh.row_by_row())) == sorted(rows_of(some(4, 2)))


def test_a_full_disk_is_a_sentence_and_what_was_saved_stays(target, monkeypatch):
    parts = Parts(target, JOB)
    parts.save(some(30, 1), {"number": np.array(1)})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match=r"out\.gpkg' cannot be written: No space left"):
            parts.save(some(20, 2), {"number": np.array(2)})
    assert Parts(target, JOB).resume()["number"] == 1
