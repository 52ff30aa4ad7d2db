"""A real training process is killed in the middle of an epoch, and the next one ends with the same weights."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.job.errors import Cancelled, ModelError
from core.job.jobs import TrainJob, job_to_json
from core.retinanet.weights import load_model
from core.train import train
from tests.core.squares import job_for, write_data

ROOT = Path(__file__).resolve().parents[2]

TRAINER = """
import sys
import torch
torch.set_num_threads(1)
from core.job.jobs import job_from_json
from core.train import train

def report(event):
    if event["event"] == "progress":
        print(event["done"], flush=True)

train(job_from_json(sys.argv[1]), report, lambda: False)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data") / "scenes")


def same_weights(one: str, other: str) -> bool:
    states = [load_model(path)[1].state_dict() for path in (one, other)]
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def tiny(data: Path, output: Path, **changes: object) -> TrainJob:
    return job_for(data, output, epochs=2, steps_per_epoch=4, checkpoint_minutes=0.0, **changes)


def test_killed_in_the_middle_of_an_epoch_it_ends_with_the_same_weights(data, tmp_path):
    whole = tiny(data, tmp_path / "whole.safetensors")
    train(whole, lambda event: None, lambda: False)
    broken = tiny(data, tmp_path / "broken.safetensors")
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER, job_to_json(broken)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        steps = [process.stdout.readline() for _ in range(7)]  # of 8: the third of the second epoch
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert float(steps[-1]) < 1
    assert not Path(broken.output).exists()
    events: list[dict] = []
    result = train(replace(broken, resume=True, language="de"), events.append, lambda: False)
    taken_up = [event["done"] for event in events if event["event"] == "progress"]
    assert 1 <= len(taken_up) <= 3  # the last step told may not have been kept
    assert same_weights(whole.output, broken.output)
    assert [epoch["epoch"] for epoch in result["history"]] == [1, 2]
    assert not Path(broken.partial).exists()
    histories = [load_model(job.output)[0].training["history"] for job in (whole, broken)]
    assert json.dumps(histories[0]) == json.dumps(histories[1])
    pages = [Path(job.output).with_suffix(".html").read_text("utf-8") for job in (whole, broken)]
    assert ["<h2>Precision and recall</h2>" in page for page in pages] == [True, False]
    assert "<h2>Präzision und Trefferquote</h2>" in pages[1]  # the language of a page makes no other training


def test_cancelled_it_goes_on_and_other_settings_are_refused(data, tmp_path):
    whole = tiny(data, tmp_path / "whole.safetensors", optimiser="sgd", learning_rate=None)
    train(whole, lambda event: None, lambda: False)
    job = replace(whole, output=str(tmp_path / "cancelled.safetensors"), checkpoint_minutes=60.0)
    events: list[dict] = []

    def steps() -> int:
        return sum(event["event"] == "progress" and event["text"].startswith("Epoch") for event in events)

    with pytest.raises(Cancelled):
        train(job, events.append, lambda: steps() == 2)
    with pytest.raises(ModelError, match="its 'seed' is 0, not 1"):
        train(replace(job, resume=True, seed=1), lambda event: None, lambda: False)
    events.clear()
    train(replace(job, resume=True, title="Taken up"), events.append, lambda: False)
    assert steps() == 6
    assert not any(event["event"] == "learning_rate" for event in events)
    assert same_weights(whole.output, job.output)
    assert load_model(job.output)[0].title == "Taken up"
