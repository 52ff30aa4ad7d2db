from core.job.unfinished import remove_unfinished, unfinished_path


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
