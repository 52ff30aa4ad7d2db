"""A survey tells what a training would learn from, and changes nothing."""

import pytest
import torch

import core.survey as survey_module
from core.job.errors import Cancelled, LabelError
from core.job.train_job import SurveyJob
from core.survey import LOOKING_SHARE, least_seconds, survey
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
    assert facts["notices"] == []
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


def test_the_time_is_that_of_a_machine_with_nothing_else_to_do():
    assert least_seconds(wall=2.0, work=3.8, cores=2) == pytest.approx(1.9)
    assert least_seconds(wall=9.0, work=4.0, cores=2) == 2.0  # others have had the cores most of the time
    assert least_seconds(wall=0.3, work=0.1, cores=None) == 0.3  # a graphics card's work is not seen by the processor


def test_the_least_of_several_steps_counts_but_never_the_first(data, tmp_path, monkeypatch):
    """A clock that says how long each step takes: the first warms up, and others are held up by other programs."""
    took = iter([0.1, 3.0, 5.0, 2.0, 4.0])
    clock = Clock()

    def losses(network, batch):
        clock.now += next(took)
        return torch.ones((), requires_grad=True), torch.ones(())

    monkeypatch.setattr(survey_module, "StepLosses", lambda *_: losses)
    monkeypatch.setattr(survey_module, "time", clock)
    monkeypatch.setattr(survey_module, "LONGEST_PROBING", 100.0)
    job = job_for(data, tmp_path / "model.safetensors", epochs=10, steps_per_epoch=100)
    assert run(job)[0]["seconds"] == round(1000 * 2.0 * (1 + LOOKING_SHARE))


class Clock:
    """A clock that only a step moves on."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now * torch.get_num_threads()
