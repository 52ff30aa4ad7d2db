import os
import sqlite3
from contextlib import closing

import pytest

from core.job.errors import OutputError
from core.target import require_target


def test_a_new_name_and_an_old_file_are_fine_and_stay_untouched(tmp_path):
    require_target(tmp_path / "new.gpkg")
    assert list(tmp_path.iterdir()) == []
    old = tmp_path / "old.gpkg"
    old.write_text("no database")
    require_target(old)
    assert old.read_text() == "no database"
    assert list(tmp_path.iterdir()) == [old]


def test_write_protection_is_noticed(tmp_path, monkeypatch):
    old = tmp_path / "old.gpkg"
    old.touch()
    protected = {old}
    monkeypatch.setattr(os, "access", lambda path, mode: path not in protected)  # root may write everywhere
    with pytest.raises(OutputError, match=r"file '.*old\.gpkg' is write-protected"):
        require_target(old)
    protected.add(tmp_path)
    with pytest.raises(OutputError, match=r"folder '.*' is write-protected"):
        require_target(tmp_path / "new.gpkg")


def test_a_folder_is_no_target(tmp_path):
    (tmp_path / "out.gpkg").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        require_target(tmp_path / "out.gpkg")


def test_a_geopackage_open_in_another_program_is_refused_until_it_is_closed(tmp_path):
    path = tmp_path / "open.gpkg"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")  # as QGIS opens a layer to edit
        other.execute("CREATE TABLE t (x)")
        other.commit()
        with pytest.raises(OutputError, match="open in another program"):
            require_target(path)
        assert other.execute("SELECT count(*) FROM t").fetchone() == (0,)
    require_target(path)
    assert list(tmp_path.iterdir()) == [path]
