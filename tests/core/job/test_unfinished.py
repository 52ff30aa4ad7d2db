from core.job.unfinished import (
    partial_path,
    partial_record,
    remove_partial,
    remove_unfinished,
    unfinished_path,
)


def test_it_lies_beside_its_target_hidden_and_named_by_process(tmp_path):
    path = unfinished_path(tmp_path / "out.gpkg", 7)
    assert path.parent == tmp_path
    assert path.name.startswith(".out.gpkg")
    assert path != unfinished_path(tmp_path / "out.gpkg", 8)


def test_removing_takes_a_file_or_a_folder_of_that_process_only(tmp_path):
    target = tmp_path / "out.gpkg"
    target.touch()
    unfinished_path(target, 7).mkdir()
    (unfinished_path(target, 7) / "out.gpkg").touch()
    unfinished_path(target, 8).touch()
    remove_unfinished(target, 7)
    assert sorted(tmp_path.iterdir()) == sorted([target, unfinished_path(target, 8)])
    remove_unfinished(target, 8)
    remove_unfinished(target, 9)
    assert list(tmp_path.iterdir()) == [target]


def test_a_job_without_a_target_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    remove_unfinished("", 7)
    remove_partial("", 7)
    assert partial_record("") is None


def test_parts_are_those_of_one_process(tmp_path):
    target = tmp_path / "out.gpkg"
    folder = partial_path(target)
    assert folder.parent == tmp_path
    assert partial_record(target) is None
    folder.mkdir()
    (folder / "objects.npy").touch()
    (folder / "job.json").write_text("{")
    remove_partial(target, 7)
    assert partial_record(target) is None
    (folder / "job.json").write_text('{"pid": 7, "job": {"raster": "a"}}')
    assert partial_record(target) == {"pid": 7, "job": {"raster": "a"}}
    remove_unfinished(target, 7)
    remove_partial(target, 8)
    assert folder.is_dir()
    remove_partial(target, 7)
    assert list(tmp_path.iterdir()) == []
