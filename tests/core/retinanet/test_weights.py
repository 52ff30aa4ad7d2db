import errno
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.job.card import CARD_KEY, ModelCard, card_to_json, read_card
from core.job.errors import ModelError, OutputError
from core.retinanet.network import build_network
from core.retinanet.weights import load_model, save_model


def fresh(card: ModelCard, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return build_network(card.architecture, len(card.classes), len(card.bands)).state_dict()


@pytest.fixture
def saved(tmp_path: Path, card: ModelCard) -> Path:
    save_model(tmp_path / "model.safetensors", card, fresh(card))
    return tmp_path / "model.safetensors"


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Change the weights of a model file, whatever becomes of it."""
    state = {name: value.clone() for name, value in load_file(path).items()}
    change(state)
    save_file(state, path, metadata={CARD_KEY: card_to_json(read_card(path))})


def test_card_and_weights_survive_to_half_precision(saved, card):
    loaded, network = load_model(saved)
    assert loaded == card
    assert not network.training
    original = fresh(card)
    assert list(network.state_dict()) == list(original)
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        assert value.dtype == torch.float32
        expected = original[name].half().float() if value.ndim > 1 else original[name]
        assert torch.equal(value, expected), name


def test_weights_take_two_bytes_each_and_norms_four(saved):
    for value in load_file(saved).values():
        assert value.dtype == (torch.float16 if value.ndim > 1 else torch.float32)


def test_saving_again_writes_the_same_bytes(saved, card, tmp_path):
    _, network = load_model(saved)
    save_model(tmp_path / "again.safetensors", card, network.state_dict())
    assert (tmp_path / "again.safetensors").read_bytes() == saved.read_bytes()


def test_tiny_variances_survive_for_norms_without_eps(card, tmp_path):
    state = fresh(card)
    state["backbone.body.bn1.running_var"].fill_(1e-12)
    save_model(tmp_path / "m.safetensors", card, state)
    _, network = load_model(tmp_path / "m.safetensors")
    assert network.state_dict()["backbone.body.bn1.running_var"].min() > 0


def test_a_loaded_network_runs_trains_and_owns_its_weights(saved):
    _, network = load_model(saved)
    saved.unlink()
    assert all(parameter.requires_grad for parameter in network.parameters())
    logits, _ = network.train()(torch.randn(2, 3, 64, 64))
    sum(m.mean() for m in logits).backward()
    assert network.backbone.body.conv1.weight.grad is not None


def test_loading_draws_no_random_numbers(saved):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_model(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.safetensors' cannot be read: No such file"):
        load_model(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_told(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelError, match=r"model\.safetensors.*(damaged|not a safetensors file)"):
        load_model(saved)


def test_bytes_after_the_weights_are_told(saved):
    saved.write_bytes(saved.read_bytes() + b"more")
    with pytest.raises(ModelError, match=r"weights of 'model\.safetensors' are damaged"):
        load_model(saved)


class _Trap:
    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple:
        return Path.touch, (self.sprung,)


@pytest.mark.parametrize("write", [lambda trap: pickle.dumps(trap), None], ids=["pickle", "torch.save"])
def test_a_pickle_is_refused_unread(tmp_path, write):
    path, sprung = tmp_path / "model.safetensors", tmp_path / "sprung"
    if write:
        path.write_bytes(write(_Trap(sprung)))
    else:
        torch.save({"weights": _Trap(sprung)}, path)
    with pytest.raises(ModelError, match=r"not a safetensors file|header is damaged"):
        load_model(path)
    assert not sprung.exists()


def test_loading_never_unpickles(saved, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_model(saved)


def test_a_missing_weight_is_named(saved):
    rewrite(saved, lambda state: state.pop("head.regression_head.bbox_reg.bias"))
    with pytest.raises(ModelError, match=r"do not fit its card: 1 are missing, among them 'head.*bbox_reg\.bias'\.$"):
        load_model(saved)


def test_a_weight_too_many_is_named(saved):
    rewrite(saved, lambda state: state.update(mask=torch.zeros(3)))
    with pytest.raises(ModelError, match=r"do not fit its card: 1 are unknown, among them 'mask'\.$"):
        load_model(saved)


def test_a_wrong_shape_is_named(saved):
    rewrite(saved, lambda state: state.update({"backbone.body.bn1.weight": torch.zeros(63)}))
    with pytest.raises(ModelError, match=r"'backbone\.body\.bn1\.weight' is 63, not 64\.$"):
        load_model(saved)


def test_weights_of_another_architecture_are_refused(card, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, replace(card, architecture=replace(card.architecture, backbone="resnet34")), fresh(card))
    with pytest.raises(ModelError, match=r"'m\.safetensors' do not fit its card: \d+ are missing"):
        load_model(path)


def test_a_card_that_asks_for_more_than_the_memory_is_refused_before_anything_is_allocated(card, tmp_path):
    path = tmp_path / "m.safetensors"
    shape = replace(card.architecture, channels=4096, head_channels=4096, head_depth=16)  # 19 GB
    save_model(path, replace(card, architecture=shape), fresh(card))
    with pytest.raises(ModelError, match="do not fit its card"):
        load_model(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_without_a_number_are_neither_saved_nor_loaded(saved, card, value):
    content = saved.read_bytes()
    state = fresh(card)
    state["head.classification_head.cls_logits.weight"][0, 0, 0, 0] = value
    with pytest.raises(ModelError, match="the training diverged"):
        save_model(saved, card, state)
    assert saved.read_bytes() == content
    rewrite(saved, lambda state: state["backbone.body.bn1.bias"].fill_(value))
    with pytest.raises(ModelError, match=r"'backbone\.body\.bn1\.bias' of 'model\.safetensors' are damaged"):
        load_model(saved)


def test_weights_beyond_half_precision_are_told(card, tmp_path):
    state = fresh(card)
    state["head.classification_head.cls_logits.weight"].fill_(7e4)
    with pytest.raises(ModelError, match="too large to be saved"):
        save_model(tmp_path / "m.safetensors", card, state)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_file_and_nothing_else(saved, card, monkeypatch):
    def full_disk(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    content = saved.read_bytes()
    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OutputError, match=r"model\.safetensors' cannot be written: No space left on device\.$"):
        save_model(saved, card, fresh(card, seed=1))
    assert saved.read_bytes() == content
    assert list(saved.parent.iterdir()) == [saved]


def test_a_target_that_cannot_be_replaced_is_told(card, tmp_path):
    (tmp_path / "m.safetensors").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        save_model(tmp_path / "m.safetensors", card, fresh(card))
    assert list(tmp_path.iterdir()) == [tmp_path / "m.safetensors"]


def test_a_folder_that_is_not_there_is_told(card, tmp_path):
    with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
        save_model(tmp_path / "nowhere" / "m.safetensors", card, fresh(card))
