import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.detections.target import require_closed, staged
from core.job.errors import OutputError
from core.job.unfinished import unfinished_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_everything_appears_at_the_end_and_replaces_what_was_there(tmp_path):
    target = tmp_path / "a.shp"
    for name in ("a.shp", "a.dbf", "a.qix", "other.txt"):
        (tmp_path / name).write_text("old")
    with staged(target, [tmp_path / "a.qix", tmp_path / "a.dbf", tmp_path / "a.sbn"]) as scratch:
        assert scratch == unfinished_path(target, os.getpid())
        (scratch / "a.shp").write_text("new")
        (scratch / "a.dbf").write_text("new")
        assert target.read_text() == "old"
    assert names(tmp_path) == ["a.dbf", "a.shp", "other.txt"]
    assert target.read_text() == "new"
    assert (tmp_path / "a.dbf").read_text() == "new"


@pytest.mark.parametrize(
    "problem", [OSError(errno.ENOSPC, "No space left on device"), sqlite3.OperationalError("locked")]
)
def test_a_failure_leaves_everything_as_it_was(tmp_path, problem):
    target = tmp_path / "a.gpkg"
    target.write_text("old")
    with pytest.raises(OutputError, match=r"a\.gpkg' cannot be written"), staged(target) as scratch:
        (scratch / "a.gpkg").write_text("half")
        raise problem
    assert names(tmp_path) == ["a.gpkg"]
    assert target.read_text() == "old"


def test_what_is_no_failure_of_the_disk_passes_and_leaves_no_scratch(tmp_path):
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "a.gpkg"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_disk_full_at_the_very_end_is_noticed(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"), staged(tmp_path / "a.gpkg") as scratch:
        (scratch / "a.gpkg").write_text("cut off")
    assert names(tmp_path) == []


def test_a_full_disk_is_called_so_whatever_the_driver_says(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 0}))
    with pytest.raises(OutputError, match="the disk is full"), staged(tmp_path / "a.gpkg"):
        raise sqlite3.OperationalError("some words")


def test_a_target_that_another_program_holds_is_left_alone(tmp_path, monkeypatch):
    def locked(self, target):
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "replace", locked)
    with pytest.raises(OutputError, match="open in another program"), staged(tmp_path / "a.shp") as scratch:
        (scratch / "a.shp").write_text("new")
    assert names(tmp_path) == []


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutputError, match=f"folder '{tmp_path}' is read-only"), staged(tmp_path / "a.gpkg"):
        pass


def test_a_folder_that_is_not_there_is_told(tmp_path):
    with pytest.raises(OutputError, match="missing' does not exist"), staged(tmp_path / "missing" / "a.gpkg"):
        pass


def test_a_geopackage_open_elsewhere_is_refused_until_it_is_closed(tmp_path):
    target = tmp_path / "a.gpkg"
    with closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        with pytest.raises(OutputError, match=r"a\.gpkg' is open in another program"):
            require_closed(target)
    require_closed(target)


def test_the_log_of_a_program_that_crashed_does_no_harm(tmp_path):
    target = tmp_path / "a.gpkg"
    with closing(sqlite3.connect(target)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE t (x)")
        log = (tmp_path / "a.gpkg-wal").read_bytes()
        content = target.read_bytes()
    target.write_bytes(content)
    (tmp_path / "a.gpkg-wal").write_bytes(log)
    require_closed(target)
    assert not (tmp_path / "a.gpkg-wal").exists()


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        require_closed(tmp_path)
