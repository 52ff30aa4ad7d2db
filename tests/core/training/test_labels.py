from pathlib import Path

import pytest

from core.job.errors import LabelError
from core.training.labels import read_folder

HEADER = "image,xmin,ymin,xmax,ymax,label\n"


def folder_with(
    tmp_path: Path, annotations: str | bytes, split: str | None = None, images: str = "a.tif b.tif"
) -> Path:
    for name in images.split():
        (tmp_path / name).touch()
    content = annotations if isinstance(annotations, bytes) else annotations.encode()
    (tmp_path / "annotations.csv").write_bytes(content)
    if split is not None:
        (tmp_path / "split.csv").write_text(split)
    return tmp_path


def test_boxes_labels_and_splits_are_read(tmp_path):
    rows = "b.tif,1,2,3.5,4,pool\na.tif,5,6,7,8,boat\nb.tif,0,0,9,9,pool\n"
    folder = folder_with(tmp_path, HEADER + rows, "image,split\nb.tif,val\nc.tif,test\n", "a.tif b.tif c.tif")
    images, classes = read_folder(folder, None)
    assert classes == ("boat", "pool")
    assert [(image.path.name, image.split) for image in images] == [
        ("a.tif", "train"),
        ("b.tif", "val"),
        ("c.tif", "test"),
    ]
    assert [image.truth.boxes.tolist() for image in images] == [[[5, 6, 7, 8]], [[1, 2, 3.5, 4], [0, 0, 9, 9]], []]
    assert [image.truth.labels.tolist() for image in images] == [[0], [1, 1], []]
    assert images[2].truth.boxes.shape == (0, 4)


def test_columns_may_stand_in_any_order_among_others_with_spaces_and_a_mark_at_the_start(tmp_path):
    rows = "\ufefflabel, score, xmin, xmax, ymin, ymax, image\n pool ,0.7,1, 3,2,4,a.tif\n"
    images, classes = read_folder(folder_with(tmp_path, rows), None)
    assert classes == ("pool",)
    assert images[0].truth.boxes.tolist() == [[1, 2, 3, 4]]


def test_only_the_classes_asked_for_are_taken_in_their_order_and_the_other_images_are_empty(tmp_path):
    folder = folder_with(tmp_path, HEADER + "a.tif,1,2,3,4,pool\na.tif,1,2,3,4,car\nb.tif,1,2,3,4,tree\n")
    images, classes = read_folder(folder, ("tree", "pool"))
    assert classes == ("tree", "pool")
    assert [image.truth.labels.tolist() for image in images] == [[1], [0]]
    images, _ = read_folder(folder, ("pool",))
    assert [len(image.truth) for image in images] == [1, 0]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a.tif,1,2,three,4,pool", r"Line 3 of '.*annotations\.csv' holds no numbers for its box\."),
        ("a.tif,1,2", r"Line 3 of '.*annotations\.csv' has no value for 'xmax'\."),
        ("a.tif,1,2,3,4,", r"Line 3 of '.*annotations\.csv' has no value for 'label'\."),
        ("a.tif,5,2,3,4,pool", r"Line 3 of '.*annotations\.csv' holds a box without width or height\."),
        ("a.tif,1,2,1,4,pool", r"Line 3 of '.*annotations\.csv' holds a box without width or height\."),
        ("a.tif,1,2,inf,4,pool", r"Line 3 of '.*annotations\.csv' holds a box without width or height\."),
        ("a.tif,1,2,nan,4,pool", r"Line 3 of '.*annotations\.csv' holds a box without width or height\."),
        ("gone.tif,1,2,3,4,pool", r"The image '.*gone\.tif' of the labels does not exist\."),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_line(tmp_path, row, sentence):
    folder = folder_with(tmp_path, HEADER + "a.tif,1,2,3,4,pool\n" + row + "\n")
    with pytest.raises(LabelError, match=f"^{sentence}$"):
        read_folder(folder, None)


@pytest.mark.parametrize(
    ("annotations", "sentence"),
    [
        ("image,xmin,ymin,xmax,ymax\n", r"lacks the column 'label'\."),
        ("", r"lacks the column 'image'\."),
        (HEADER, r"There is no object in '.*annotations\.csv', and no class was given\."),
        (HEADER.encode() + b"\xe9\xff,1,2,3,4,pool\n", r"are no CSV file in UTF-8\."),
        (HEADER + "x" * 200_000 + "\n", r"are no CSV file in UTF-8\."),
    ],
)
def test_a_file_that_cannot_be_used_is_told(tmp_path, annotations, sentence):
    with pytest.raises(LabelError, match=f"{sentence}$"):
        read_folder(folder_with(tmp_path, annotations), None)


def test_missing_labels_are_told(tmp_path):
    with pytest.raises(LabelError, match=r"^The labels '.*annotations\.csv' cannot be read: No such file"):
        read_folder(tmp_path, None)


def test_a_split_of_another_name_is_told(tmp_path):
    folder = folder_with(tmp_path, HEADER + "a.tif,1,2,3,4,pool\n", "image,split\na.tif,training\n")
    with pytest.raises(
        LabelError, match=r"^Line 2 of '.*split\.csv' names the split 'training'; known are train, val, test\.$"
    ):
        read_folder(folder, None)


def test_an_empty_folder_of_labels_with_classes_given_trains_on_nothing(tmp_path):
    images, classes = read_folder(folder_with(tmp_path, HEADER, "image,split\na.tif,train\n"), ("pool",))
    assert classes == ("pool",)
    assert [len(image.truth) for image in images] == [0]
