from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.job.errors import ModelError, OutputError
from core.training.checkpoint import Checkpoints, Moving, Progress
from core.training.optimisation import averaged, make_optimiser


def moving(seed: int, width: int = 4) -> Moving:
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, width, 3), torch.nn.BatchNorm2d(width))
    made = Moving(network, averaged(network, 0.9), make_optimiser(network, 1e-3))
    for _ in range(2):
        network(torch.rand(2, 3, 8, 8)).square().sum().backward()
        made.optimiser.step()
        made.average.update_parameters(network)
    return made


def checkpoints(folder: Path, **about: object) -> Checkpoints:
    return Checkpoints(folder / "m.safetensors.partial", folder / "m.safetensors", {"seed": 0, "levels": None, **about})


def test_a_training_comes_back_bit_by_bit(tmp_path):
    one, other = moving(0), moving(1)
    state = {"weight": torch.rand(3)}
    progress = Progress(3, 7, (1.5, 2.5), 2, {"epoch": 2, "ap50": 0.5}, [{"epoch": 1}, {"epoch": 2}], state, 1e-3, 9.0)
    checkpoints(tmp_path).save(progress, one)
    assert [path.name for path in tmp_path.iterdir()] == ["m.safetensors.partial"]
    back = checkpoints(tmp_path).load(other)
    assert replace(back, state={}) == replace(progress, state={})
    assert torch.equal(back.state["weight"], state["weight"])
    assert checkpoints(tmp_path).learning_rate() == 1e-3
    for part in ("network", "average"):
        ours, theirs = getattr(other, part).state_dict(), getattr(one, part).state_dict()
        assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    ours, theirs = (made.optimiser.state_dict()["state"] for made in (other, one))
    assert all(torch.equal(ours[i][name], value) for i, held in theirs.items() for name, value in held.items())
    checkpoints(tmp_path).remove()
    assert list(tmp_path.iterdir()) == []


def test_another_training_is_refused_and_the_difference_named(tmp_path):
    checkpoints(tmp_path, batch_size=8).save(Progress(), moving(0))
    with pytest.raises(ModelError, match="is another one: its 'batch_size' is 8, not 4"):
        checkpoints(tmp_path, batch_size=4).load(moving(0))
    with pytest.raises(ModelError, match="is one of another network"):
        checkpoints(tmp_path, batch_size=8).load(moving(0, width=5))


def test_a_damaged_file_is_told(tmp_path):
    kept = checkpoints(tmp_path)
    with pytest.raises(ModelError, match="is damaged or cannot be read"):
        kept.load(moving(0))
    for content in (b"", b"nothing", b"PK\x03\x04"):
        kept.path.write_bytes(content)
        with pytest.raises(ModelError, match="is damaged or cannot be read"):
            kept.load(moving(0))
    torch.save({"format": 99}, kept.path)
    with pytest.raises(ModelError, match="another version"):
        kept.load(moving(0))


def test_a_file_that_would_run_code_does_not(tmp_path):
    kept = checkpoints(tmp_path)
    torch.save({"format": 1, "code": Path}, kept.path)
    with pytest.raises(ModelError, match="is damaged or cannot be read"):
        kept.load(moving(0))


def test_a_full_disk_leaves_the_last_one(tmp_path, monkeypatch):
    kept = checkpoints(tmp_path)
    kept.save(Progress(1), moving(0))

    def full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="cannot be kept"):
        kept.save(Progress(2), moving(0))
    monkeypatch.undo()
    assert kept.load(moving(1)).epoch == 1
    assert len(list(tmp_path.iterdir())) == 1
