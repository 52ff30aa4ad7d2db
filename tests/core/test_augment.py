"""What augmentation does is shown on one sample, by the very code that trains."""

import base64
import io

import numpy as np
import pytest
from rasterio.io import MemoryFile

from core.augment import augment
from core.job.augmentation import NO_AUGMENTATION, Augmentation
from core.job.errors import Cancelled, InvalidJob
from core.job.jobs import job_from_json, job_to_json
from core.job.train_job import AugmentJob
from core.labelled_data import prepare_data
from core.training.preparation import prepare
from core.training.samples import Sampler
from tests.core.squares import job_for, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("augment") / "scenes")


def run(job, **changes):
    return augment(AugmentJob(job, **changes), lambda event: None, lambda: False)


def pixels(shown) -> np.ndarray:
    with MemoryFile(io.BytesIO(base64.b64decode(shown["png"]))) as file, file.open() as opened:
        return opened.read()


def test_a_sample_as_it_is_and_as_training_draws_it(data, tmp_path):
    job = job_for(data, tmp_path / "m.safetensors", augmentation=Augmentation(mosaic=0.4))
    shown = run(job, versions=5, place=0.3)
    assert (shown["tile_px"], len(shown["versions"])) == (64, 5)
    prepared = prepare(job, lambda event: None)
    sampler = Sampler(prepared.pictures["train"], 64, prepared.fill, job.augmentation, job.seed)
    for told, (image, truth) in zip(shown["versions"], sampler.versions(0.3, 5), strict=True):
        assert np.array_equal(pixels(told), image.numpy())
        assert len(told["boxes"]) <= len(truth)
        assert np.all((np.array(told["boxes"]) >= 0) & (np.array(told["boxes"]) <= 64))
    plain = pixels(shown["plain"])
    assert plain.shape == (3, 64, 64)
    for x0, y0, x1, y1 in shown["plain"]["boxes"]:  # squares are bright blue, ground is grey-green
        inside = plain[:, round(y0) + 1 : round(y1) - 1, round(x0) + 1 : round(x1) - 1]
        assert inside[2].mean() > 200
    assert not list(tmp_path.iterdir())


def test_versions_show_the_object_and_differ(data, tmp_path):
    job = job_for(data, tmp_path / "m.safetensors")
    shown = run(job, versions=6, place=1.0)
    assert all(each["boxes"] for each in (shown["plain"], *shown["versions"]))
    assert len({each["png"] for each in shown["versions"]}) == 6


def test_without_augmentation_only_the_offset_differs(data, tmp_path):
    shown = run(job_for(data, tmp_path / "m.safetensors", augmentation=NO_AUGMENTATION), versions=2)
    for each in shown["versions"]:
        for x0, y0, x1, y1 in each["boxes"]:
            if min(x0, y0) > 0 and max(x1, y1) < 64:
                assert x1 - x0 in range(11, 15)
                assert pixels(each)[2, round(y0) + 1 : round(y1) - 1, round(x0) + 1 : round(x1) - 1].min() == 220


def test_the_job_goes_through_its_line(data, tmp_path):
    job = AugmentJob(job_for(data, tmp_path / "m.safetensors"), 3, 0.25)
    assert job_from_json(job_to_json(job)) == job
    for wrong in ({"versions": 0}, {"versions": 65}, {"place": -0.1}, {"place": 1.1}):
        with pytest.raises(InvalidJob, match="1 to 64 versions"):
            AugmentJob(job.training, **wrong).validate()
    with pytest.raises(Cancelled):
        augment(job, lambda event: None, lambda: True)


def test_in_python_a_plot_shows_them(data):
    shown = prepare_data(data, chip_size=64).show_augmentations(versions=3)
    assert shown.html.count("data:image/png") == 4
    assert "as it is" in shown.html
    with pytest.raises(InvalidJob):
        prepare_data(data, chip_size=64).show_augmentations(versions=0)
