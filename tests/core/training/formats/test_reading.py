"""Every format: what the writer writes, the reader reads; and what files in the wild have wrong with them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from core.detections.detections import Detections
from core.job.errors import LabelError
from core.training.formats.arcgis import ArcgisWriter
from core.training.formats.checking import check
from core.training.formats.coco import CocoWriter, read_coco
from core.training.formats.kitti import KittiWriter
from core.training.formats.reading import read_labels, read_records
from core.training.formats.records import split_of
from core.training.formats.repairs import Repairs
from core.training.formats.tables import TableWriter, read_table
from core.training.formats.voc import VocWriter
from core.training.formats.yolo import YoloWriter
from core.training.labels import LabelledImage

DATA = Path(__file__).resolve().parents[4].parent / "shared" / "data"
CLASSES = ("car", "pool & spa")
HEADER = "image,xmin,ymin,xmax,ymax,label\n"
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def draw_image(path: Path, width: int = 100, height: int = 80) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", driver="GTiff", width=width, height=height, count=1, dtype="uint8") as target:
        target.write(np.zeros((1, height, width), np.uint8))


def scenes() -> dict[str, tuple[Detections, str]]:
    """Truth and split of three images, one of them empty."""
    first = Detections.truth(
        np.array([[1, 2, 31.25, 40], [50.5, 60, 99, 79.75], [10, 10, 20, 20]]),
        np.array([1, 0, 1]),
        np.array([False, False, True]),
    )
    second = Detections.truth(np.array([[0, 0, 100, 80.0]]), np.array([0]))
    return {"a.tif": (first, "train"), "b.tif": (second, "val"), "empty.tif": (Detections.empty(), "train")}


def rows(image: LabelledImage) -> list[tuple]:
    ignore = [False] * len(image.truth) if image.truth.ignore is None else image.truth.ignore.tolist()
    boxes = [tuple(np.round(box, 9)) for box in image.truth.boxes.tolist()]
    return sorted(zip(boxes, image.truth.labels.tolist(), ignore, strict=True))


@pytest.mark.parametrize(
    ("writer", "place", "knows_ignore", "knows_splits", "classes"),
    [
        (TableWriter, "images/{name}", True, True, CLASSES),
        (CocoWriter, "images/{name}", True, True, CLASSES),
        (VocWriter, "images/{name}", True, True, CLASSES),
        (ArcgisWriter, "images/{name}", True, False, CLASSES),
        (YoloWriter, "images/{split}/{name}", False, True, CLASSES),
        (KittiWriter, "images/{name}", True, False, ("car", "pool_&_spa")),
    ],
)
def test_what_is_written_is_read(tmp_path, writer, place, knows_ignore, knows_splits, classes):
    with writer(tmp_path, CLASSES) as target:
        for name, (truth, split) in scenes().items():
            image = place.format(name=name, split=split)
            draw_image(tmp_path / image)
            target.add(image, (100, 80), truth, split)
    repairs = Repairs()
    images, read = read_labels(tmp_path, None, repairs)
    assert read == classes
    assert repairs.sentences() == []
    assert sorted(image.path.name for image in images) == sorted(scenes())
    for image in images:
        truth, split = scenes()[image.path.name]
        assert image.split == (split if knows_splits else "train")
        found, drawn = rows(image), rows(LabelledImage(image.path, truth, split))
        if writer is KittiWriter:  # a region it does not care for is ignored for every class
            drawn = sorted({(box, k, i) for box, label, i in drawn for k in ((0, 1) if i else (label,))})
        assert found == [row for row in drawn if knows_ignore or not row[2]]
    assert getattr(target, "left_out", 0) == (0 if knows_ignore else 1)


def labelled(tmp_path: Path, table: str, images: str = "a.tif b.tif", name: str = "annotations.csv") -> Path:
    for image in images.split():
        draw_image(tmp_path / image)
    (tmp_path / name).write_text(table, "utf-8")
    return tmp_path


def boxes_of(folder: Path, repairs: Repairs | None = None) -> list[list[float]]:
    images, _ = read_labels(folder, None, repairs if repairs is not None else Repairs())
    return [box for image in images for box in image.truth.boxes.tolist()]


@pytest.mark.parametrize(
    ("table", "boxes"),
    [
        ("\ufefflabel, score, xmin, xmax, ymin, ymax, image\n pool ,0.7,1, 3,2,4,a.tif\n", [[1, 2, 3, 4]]),
        ("image_path;X_Min;Y_Min;X_Max;Y_Max;Class\na.tif;1;2;3;4;pool\n", [[1, 2, 3, 4]]),
        ("filename,bbox_x,bbox_y,bbox_width,bbox_height,label_name\na.tif,1,2,3,4,pool\n", [[1, 2, 4, 6]]),
        ("a.tif,1,2,3,4,pool\nb.tif,,,,,\n", [[1, 2, 3, 4]]),
        (HEADER + "a.tif,1,2,3,4,pool\nb.tif,0,0,0,0,pool\n", [[1, 2, 3, 4]]),
    ],
)
def test_tables_of_other_tools_are_read(tmp_path, table, boxes):
    assert boxes_of(labelled(tmp_path, table)) == boxes


def test_columns_in_the_wrong_order_are_put_right_only_where_that_is_certain(tmp_path):
    repairs = Repairs()
    rows = "a.tif,1,82,3,40,p\na.tif,50,60,20,70,p\n"
    assert boxes_of(labelled(tmp_path, HEADER + rows), repairs) == [[1, 3, 82, 40], [50, 20, 60, 70]]
    assert repairs.sentences() == [
        "Boxes with their columns in the order xmin, xmax, ymin, ymax were put right: 2, the first at line 2 of "
        "'annotations.csv'."
    ]
    repairs = Repairs()
    boxes_of(labelled(tmp_path, HEADER + rows + "a.tif,50,60,20,10,p\n"), repairs)
    assert "swapped corners" in repairs.sentences()[0]


@pytest.mark.parametrize(
    ("row", "sentence", "boxes"),
    [
        ("a.tif,1,2,three,4,p", "Rows without numbers for a box were left out", []),
        ("a.tif,1,2", "Rows without numbers for a box were left out", []),
        ("a.tif,1,2,3,4,", "Objects without a class were left out", []),
        (",1,2,3,4,p", "Rows without an image were left out", []),
        ("a.tif,5,2,3,4,p", "Boxes with swapped corners were turned round", [[3, 2, 5, 4]]),
        ("a.tif,1,2,1,4,p", "Boxes without width or height were left out", []),
        ("a.tif,1,2,inf,4,p", "Boxes that are no finite numbers were left out", []),
        ("a.tif,90,70,110,90,p", "Boxes that reach out of their image were cut at its edge", [[90, 70, 100, 80]]),
        ("a.tif,190,70,210,90,p", "Boxes outside of their image were left out", []),
        ("a.tif,30,30,40,40,p", "Boxes drawn twice were taken once", []),
        ("gone.tif,1,2,3,4,p", "Images of the labels that do not exist were left out with their objects", []),
        ("A.TIFF,1,2,3,4,p", "Images were found under another name than the labels'", [[1, 2, 3, 4]]),
    ],
)
def test_a_bad_row_is_repaired_or_left_out_and_counted(tmp_path, row, sentence, boxes):
    good = "a.tif,30,30,40,40,p\n" + "".join(f"b.tif,{i},30,50,40,p\n" for i in range(9))
    repairs = Repairs()
    folder = labelled(tmp_path, HEADER + good + row + "\n")
    if row.startswith("A.TIFF"):
        (folder / "sub").mkdir()
        (folder / "a.tif").rename(folder / "sub" / "a.tif")
        (folder / "annotations.csv").write_text(HEADER + row + "\n" + good.partition("\n")[2])
        assert boxes_of(folder, repairs)[0] == boxes[0]
    else:
        found = boxes_of(folder, repairs)
        assert [box for box in found if box[2] != 50] == [[30, 30, 40, 40], *boxes]
    assert list(repairs.counts.items()) == [(sentence, 1)]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("image,xmin,ymin,xmax,ymax\na.tif,1,2,3,4\n", r"lacks the column 'label'\."),
        ("", r"lacks the column 'image'\."),
        (HEADER, r"There is no object in '.*annotations\.csv', and no class was given\."),
        (HEADER + "c.tif,1,2,3,4,p\n", r"None of the images of '.*' exists, such as '.*c\.tif'\."),
    ],
)
def test_a_table_that_cannot_be_used_is_told(tmp_path, table, sentence):
    with pytest.raises(LabelError, match=f"{sentence}$"):
        read_labels(labelled(tmp_path, table), None, Repairs())


def test_splits_are_read_by_their_usual_names_and_others_told(tmp_path):
    folder = labelled(tmp_path, HEADER + "a.tif,1,2,3,4,p\n")
    (folder / "split.csv").write_text("image,split\na.tif,training\nb.tif,validation\n")
    assert [image.split for image in read_labels(folder, None, Repairs())[0]] == ["train", "val"]
    (folder / "split.csv").write_text("image,split\na.tif,some\n")
    with pytest.raises(LabelError, match=r"^The split 'some' in line 2 of 'split\.csv' is unknown; known are train"):
        read_labels(folder, None, Repairs())


@pytest.mark.parametrize(
    ("name", "split"),
    [("valid", "val"), ("instances_train2017.json", "train"), ("Test", "test"), ("trainers", None), ("images", None)],
)
def test_a_split_is_known_by_the_name_of_a_folder_or_file(name, split):
    assert split_of(name) == split


def test_only_the_classes_asked_for_are_taken_in_their_order(tmp_path):
    folder = labelled(tmp_path, HEADER + "a.tif,1,2,3,4,pool\na.tif,5,2,9,4,car\nb.tif,1,2,3,4,tree\n")
    repairs = Repairs()
    images, classes = read_labels(folder, ("Tree", "pool"), repairs)
    assert classes == ("Tree", "pool")
    assert [image.truth.labels.tolist() for image in images] == [[1], [0]]
    assert repairs.sentences() == [
        "Objects of classes that are not asked for were left out: 1, the first at 'car' in line 3 of 'annotations.csv'."
    ]


def coco(**changes: object) -> dict:
    data = {
        "images": [{"id": 7, "file_name": "a.tif", "width": 100, "height": 80}],
        "categories": [{"id": 3, "name": "unused"}, {"id": 5, "name": "boat"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [1, 2, 10, 20]}],
    }
    return {**data, **changes}


def write_coco(tmp_path: Path, *annotations: dict) -> Path:
    draw_image(tmp_path / "a.tif")
    first = coco()["annotations"]
    (tmp_path / "train.json").write_text(json.dumps(coco(annotations=[*first, *annotations])))
    return tmp_path


def test_unused_categories_do_not_count_and_crowds_are_ignored(tmp_path):
    mask = {"size": [80, 100], "counts": [80 * 10 + 5, 3, 77, 4, 80 * 88 - 9]}  # rows 5-8 of columns 10 and 11
    folder = write_coco(
        tmp_path, {"id": 2, "image_id": 7, "category_id": 5, "iscrowd": 1, "segmentation": mask, "bbox": None}
    )
    images, classes = read_labels(folder, None, Repairs())
    assert classes == ("boat",)
    assert images[0].truth.boxes.tolist() == [[1, 2, 11, 22], [10, 5, 12, 9]]
    assert images[0].truth.ignore.tolist() == [False, True]


def test_polygons_without_a_box_become_their_bounds_and_broken_annotations_are_counted(tmp_path):
    repairs = Repairs()
    folder = write_coco(
        tmp_path,
        {"id": 2, "image_id": 7, "category_id": 5, "segmentation": [[1, 2, 9, 4, 3, 8]]},
        {"id": 3, "image_id": 7, "category_id": 5},
        {"id": 4, "image_id": 8, "category_id": 5, "bbox": [1, 1, 2, 2]},
    )
    assert boxes_of(folder, repairs) == [[1, 2, 11, 22], [1, 2, 9, 8]]
    assert [sentence.rpartition(":")[0] for sentence in repairs.sentences()] == [
        "Annotations without a box were left out",
        "Annotations of an image or a category that does not exist were left out",
    ]


def test_a_file_that_is_no_coco_is_told(tmp_path):
    (tmp_path / "x.json").write_text('{"images": [], "annotations": 3}')
    with pytest.raises(LabelError, match="is no COCO file"):
        read_coco(tmp_path / "x.json", Repairs())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "document type"),
        ('<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>', "document type"),
        ("<annotation>" + "<a>" * 99 + "</a>" * 99 + "</annotation>", "nested too deeply"),
        ("<annotation>", "is damaged"),
        ("", "is damaged"),
    ],
)
def test_xml_that_reaches_beyond_its_file_is_refused(tmp_path, text, sentence):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(LabelError, match=sentence):
        read_labels(tmp_path, None, Repairs())


def test_class_values_of_arcgis_become_names_and_empty_chips_stay(tmp_path):
    with ArcgisWriter(tmp_path, CLASSES) as writer:
        for name, (truth, split) in scenes().items():
            draw_image(tmp_path / "images" / name)
            writer.add(f"images/{name}", (100, 80), truth, split)
    assert "<name>2</name>" in (tmp_path / "labels" / "a.xml").read_text()
    assert (tmp_path / "map.txt").read_text().splitlines()[0] == "images/a.tif labels/a.xml"
    definition = json.loads((tmp_path / "esri_model_definition.emd").read_text())
    assert [(kind["Value"], kind["Name"]) for kind in definition["Classes"]] == [(1, "car"), (2, "pool & spa")]
    (tmp_path / "labels" / "empty.xml").unlink()
    assert [image.path.stem for image in read_labels(tmp_path, None, Repairs())[0]] == ["a", "b", "empty"]


@pytest.mark.parametrize(
    "names", ["names: [car, 'pool & spa']", "names:\n  0: car\n  1: 'pool & spa'", "names:\n- car\n- pool & spa\nnc: 2"]
)
def test_names_of_a_yaml_file_are_read_in_all_its_ways(tmp_path, names):
    draw_image(tmp_path / "train" / "images" / "a.tif")
    (tmp_path / "train" / "labels").mkdir()
    (tmp_path / "train" / "labels" / "a.txt").write_text("1 0.5 0.5 0.2 0.5\n0 0.1 0.1 0.3 0.1 0.2 0.4\n")
    (tmp_path / "data.yaml").write_text(f"train: train/images\n{names}\n")
    images, classes = read_labels(tmp_path, None, Repairs())
    assert classes == CLASSES
    assert np.allclose(images[0].truth.boxes, [[40, 20, 60, 60], [10, 8, 30, 32]])
    assert images[0].truth.labels.tolist() == [1, 0]


def test_a_folder_without_labels_is_told(tmp_path):
    with pytest.raises(LabelError, match=r"There are no labels in .* ArcGIS's exported chips"):
        read_labels(tmp_path, None, Repairs())


def shared(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"needs the labelled imagery in {DATA}")
    return DATA / name


@pytest.mark.parametrize("name", ["pools_naip", "kit_ais_cars", "deepforest_trees", "fair_buildings", "oil_palm"])
def test_real_tables_and_coco_files_tell_the_same(name):
    folder = shared(name)
    repairs = Repairs()
    records = [read_table(folder / "annotations.csv", repairs), read_coco(folder / "annotations.coco.json", repairs)]
    (images, classes), (others, same) = (check(part, None, repairs) for part in records)
    assert classes == same
    boxes = [{image.path.name: rows(image) for image in part} for part in (images, others)]
    assert boxes[0].keys() == boxes[1].keys()
    for image, found in boxes[0].items():
        for (a, la, _), (b, lb, _) in zip(found, boxes[1][image], strict=True):
            assert (np.allclose(a, b, atol=0.011), la) == (True, lb)
    with (folder / "annotations.csv").open(newline="") as file:
        assert sum(len(image.truth) for image in images) == len(list(csv.DictReader(file)))
    assert repairs.sentences() == []


def test_a_real_table_whose_columns_stand_in_another_order(tmp_path):
    original = shared("deepforest_trees/original")
    image = shared("deepforest_trees/images/2018_SJER_3_252000_4107000_image_477.tif")
    table = (original / "2018_SJER_3_252000_4107000_image_477_truth.csv").read_text()
    (tmp_path / image.name).symlink_to(image)
    true = boxes_of(labelled(tmp_path, table, ""))
    assert true[0] == [1, 103, 82, 235]
    wrong = "image_path,xmin,ymin,xmax,ymax,label\n" + table.partition("\n")[2]
    repairs = Repairs()
    assert boxes_of(labelled(tmp_path, wrong, ""), repairs) == true
    assert "were put right: 7" in repairs.sentences()[0]


def test_a_real_table_of_detections_is_told_to_be_one(tmp_path):
    original = shared("deepforest_trees/original")
    image = shared("deepforest_trees/images/2018_SJER_3_252000_4107000_image_477.tif")
    (tmp_path / image.name).symlink_to(image)
    repairs = Repairs()
    boxes_of(labelled(tmp_path, (original / "2018_SJER_3_252000_4107000_image_477.csv").read_text(), ""), repairs)
    assert any("they may be detections" in sentence for sentence in repairs.sentences())


def test_real_xml_tells_what_the_table_tells(tmp_path):
    folder = shared("deepforest_trees")
    (tmp_path / "OSBS_029.tif").symlink_to(folder / "images" / "OSBS_029.tif")
    (tmp_path / "OSBS_029.xml").symlink_to(folder / "original" / "OSBS_029.xml")
    images, _ = read_labels(tmp_path, None, Repairs())
    table = read_labels(folder, None, Repairs())[0]
    same = next(image for image in table if image.path.name == "OSBS_029.tif")
    assert (rows(images[0]), len(images[0].truth)) == (rows(same), 61)


def test_real_yolo_files_tell_what_the_table_tells(tmp_path):
    folder = shared("kit_ais_cars")
    for path in (folder / "original").glob("*.txt"):
        (tmp_path / path.name).symlink_to(path)
        (tmp_path / f"{path.stem}.png").symlink_to(folder / "images" / f"{path.stem}.png")
    records = read_records(tmp_path, Repairs())
    assert len(records.objects) == 370
    images = {image.path.name: image.truth.boxes for image in check(records, None, Repairs())[0]}
    for image in read_labels(folder, None, Repairs())[0]:
        assert np.allclose(np.sort(images[image.path.name], axis=0), np.sort(image.truth.boxes, axis=0), atol=0.02)
