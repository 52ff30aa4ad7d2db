"""A survey tells what a training would learn from, and changes nothing."""

import pytest

from core.job.errors import Cancelled, LabelError
from core.job.train_job import SurveyJob
from core.survey import survey
from tests.core.test_train import job_for, write_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("survey") / "scenes")


def run(job, cancelled=lambda: False):
    events = []
    return survey(SurveyJob(job), events.append, cancelled), events


def test_labels_anchors_device_and_time(data, tmp_path):
    job = job_for(data, tmp_path / "model.safetensors", epochs=3)
    facts, events = run(job)
    assert facts["classes"] == {"pool": {"train": 30, "val": 10, "test": 0}}
    assert facts["images"] == {"train": 6, "val": 2, "test": 0}
    assert facts["resolution_m"] == pytest.approx(0.6, rel=1e-3)
    assert facts["anchors"]["objects"] == 40
    assert 0.9 < facts["anchors"]["chosen"]["reached"] <= 1
    assert sum(facts["anchors"]["histogram"]["counts"]) == 40
    assert any("only 30 objects to learn from" in text for text in facts["warnings"])
    assert facts["epochs"] == 3
    assert facts["seconds"] >= 0
    assert facts["device"]
    assert not list(tmp_path.iterdir())
    (event,) = [event for event in events if event["event"] == "survey"]
    assert event["classes"] == facts["classes"]


def test_objects_of_every_class_are_counted(data, tmp_path):
    job = job_for(data, tmp_path / "model.safetensors", classes=("pool", "tree"))
    facts, _ = run(job)
    assert facts["classes"]["tree"] == {"train": 0, "val": 0, "test": 0}


def test_what_the_training_would_refuse(data, tmp_path):
    job = job_for(data, tmp_path / "model.safetensors", classes=("tree",))
    with pytest.raises(LabelError):
        run(job)


def test_cancel_comes_before_the_trial(data, tmp_path):
    job = job_for(data, tmp_path / "model.safetensors")
    with pytest.raises(Cancelled):
        run(job, lambda: True)
