"""Two processes as torchrun starts them, on a processor."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.job.jobs import job_to_json
from core.retinanet.device import Backend
from core.retinanet.weights import load_model
from core.training.team import Team, join_team
from tests.core.squares import job_for, write_data

ROOT = Path(__file__).resolve().parents[3]

MEMBER = """
import sys
import torch
torch.set_num_threads(1)
from core.job.jobs import job_from_json
from core.train import train

events = []
result = train(job_from_json(sys.argv[1]), events.append, lambda: False)
assert "ap30" in result["metrics"]
print(sum(event["event"] == "epoch" for event in events))
"""


def test_alone_there_is_nothing_to_agree_on(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    backend = Backend(torch.device("cpu"), torch.float32, "processor")
    team, same = join_team(backend)
    assert (team, same) == (Team(), backend)
    assert team.leads
    assert team.agree(3) == 3
    assert team.any_of((True, False)) == (True, False)
    network = torch.nn.Conv2d(1, 1, 1)
    assert team.wrap(network) is network
    team.part()


@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch was built without distributed training")
def test_two_processes_train_one_model_and_one_of_them_speaks(tmp_path):
    """The backbone is frozen in the first epoch, so that the network is wrapped anew."""
    data = write_data(tmp_path / "data")
    job = job_for(data, tmp_path / "team.safetensors", epochs=2, batch_size=2, steps_per_epoch=3, freeze_backbone=1)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2"}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "GLOO_SOCKET_IFNAME": "lo"}
    members = [
        subprocess.Popen(
            [sys.executable, "-c", MEMBER, job_to_json(job)],
            cwd=ROOT,
            env={**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    said = [member.communicate(timeout=300)[0].strip() for member in members]
    assert [member.returncode for member in members] == [0, 0]
    assert said == ["2", "0"]
    card, _ = load_model(job.output)
    assert len(card.training["history"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "team.html", "team.safetensors"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
