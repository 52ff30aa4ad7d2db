"""What augmentation does, asked of the worker and shown as it answers."""

import pytest
from tilehawk.core.job.train_job import AugmentJob
from tilehawk.ui.training.augmentation_view import AugmentationDialog

from tests.ui.scenery import click, wait_until
from tests.ui.training.test_dialog import layer_of

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mM6ceIEAAS8AlvmOEr+AAAAAElFTkSuQmCC"  # grey, 1 px


@pytest.fixture
def dialog(raster_layer, train_dialog):
    labels = layer_of("Polygon", (10, 10), (30, 30))
    train_dialog.fill(raster_layer, labels, CLASS_FIELD="kind", AUGMENTATION="scale=1.1")
    return train_dialog


def jobs(stand_in):
    return [job for job in stand_in.jobs() if isinstance(job, AugmentJob)]


def test_a_sample_and_its_versions_and_then_those_of_another(dialog, stand_in):
    dialog.form.advanced.setCollapsed(False)
    click(dialog.form.versions_button)
    wait_until(lambda: dialog.versions.view.pictures)
    assert dialog.versions.isVisible()
    assert len(dialog.versions.view.pictures) == 9
    (job,) = jobs(stand_in)
    assert (job.versions, job.place) == (8, 0.5)
    assert job.training.augmentation.scale == 1.1
    image, boxes = dialog.versions.view.pictures[0]
    assert image.pixelColor(0, 0).name() == "#c8c8c8"
    assert boxes == [[0, 0, 1, 1]]
    click(dialog.versions.other)
    assert not dialog.versions.other.isEnabled()
    wait_until(lambda: dialog.versions.other.isEnabled())
    assert jobs(stand_in)[1].place != job.place


def test_what_cannot_be_shown_is_said(dialog, stand_in):
    dialog.form.set_value("AUGMENTATION", "wind=3")
    dialog.show_versions()
    assert "There is no augmentation 'wind'" in dialog.versions.status.text()
    dialog.form.set_value("AUGMENTATION", "none")
    stand_in.plan(error=("LabelError", "There is no object to train on."))
    dialog.show_versions()
    wait_until(lambda: dialog.versions.status.text() == "There is no object to train on.")
    assert dialog.versions.view.pictures == []


def test_pictures_are_painted_with_their_boxes(qgis_app):
    dialog = AugmentationDialog(lambda place: None)
    dialog.show()
    empty = dialog.view.grab().toImage()
    dialog.show_versions(
        {"plain": {"png": DOT, "boxes": []}, "versions": [{"png": DOT, "boxes": [[0.2, 0.2, 0.8, 0.8]]}]}
    )
    painted = dialog.view.grab().toImage()
    assert painted != empty
    line = [painted.pixelColor(x, painted.height() // 6).name() for x in range(painted.width())]
    assert line.count("#c8c8c8") > painted.width() // 3  # two of three pictures
    whites = [x for x, name in enumerate(line) if name == "#ffffff"]
    assert painted.width() // 3 < min(whites) < max(whites) < 2 * painted.width() // 3  # the box of the second
    dialog.close()
    dialog.deleteLater()
