from types import SimpleNamespace

import pytest
import torch

from core.job.errors import InvalidJob
from core.retinanet import device
from core.retinanet.device import Backend, batch_for, choose_backend, usual_batch


def offer(
    monkeypatch: pytest.MonkeyPatch, cards: tuple[tuple[int, int, int], ...] = (), mps: bool = False, bf16: bool = False
) -> None:
    """A computer with CUDA cards (major, minor, memory), an Apple processor or not, and a CPU with bfloat16 or not."""
    names = [SimpleNamespace(name=f"card {i}", major=a, minor=b, total_memory=m) for i, (a, b, m) in enumerate(cards)]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(cards))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(cards))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: names[i])
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512" if bf16 else "AVX2")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bf16, raising=False)


@pytest.mark.parametrize(("asked", "what"), [("cuda", "No CUDA graphics card"), ("mps", "No Apple graphics")])
def test_a_device_that_is_not_there_is_told_with_a_way_out(monkeypatch, asked, what):
    offer(monkeypatch)
    with pytest.raises(InvalidJob, match=f"^{what}.*Choose the device 'auto' or 'cpu'\\.$"):
        choose_backend(asked)


def test_auto_falls_back_to_the_processor_in_its_fastest_exact_enough_format(monkeypatch):
    offer(monkeypatch)
    assert choose_backend().key == "cpu float32"
    offer(monkeypatch, bf16=True)
    assert choose_backend().key == "cpu bfloat16"
    assert "threads" in choose_backend().name


def test_a_torch_without_the_private_probes_runs_in_float32(monkeypatch):
    offer(monkeypatch, bf16=True)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported")
    assert choose_backend("cpu").dtype == torch.float32


@pytest.mark.parametrize(
    ("major", "key"), [(9, "cuda bfloat16"), (8, "cuda bfloat16"), (7, "cuda float16"), (6, "cuda float32")]
)
def test_number_format_follows_the_cards_generation(monkeypatch, major, key):
    offer(monkeypatch, ((major, 0, 8),), mps=True)
    assert choose_backend().key == key


def test_of_several_cards_the_newest_then_the_largest_then_the_first(monkeypatch):
    offer(monkeypatch, ((7, 5, 99), (8, 6, 8), (8, 6, 24), (8, 6, 24), (8, 0, 80)))
    assert choose_backend("cuda") == Backend(torch.device("cuda", 2), torch.bfloat16, "card 2")


@pytest.mark.parametrize("installed", [False, True])
def test_processors_detect_in_openvino_where_it_is_installed(monkeypatch, installed):
    monkeypatch.setattr(device, "find_spec", lambda name: object() if installed and name == "openvino" else None)
    offer(monkeypatch, bf16=True)
    assert choose_backend().for_detection().key == ("cpu openvino bfloat16" if installed else "cpu bfloat16")
    assert choose_backend().key == "cpu bfloat16"  # for training
    offer(monkeypatch, ((8, 0, 8),))
    assert choose_backend().for_detection().key == "cuda bfloat16"


def test_order_is_cuda_then_apple_then_processor_unless_asked(monkeypatch):
    offer(monkeypatch, ((8, 0, 8),), mps=True)
    assert [choose_backend(device).device.type for device in ("auto", "mps", "cpu")] == ["cuda", "mps", "cpu"]
    offer(monkeypatch, mps=True)
    assert choose_backend().key == "mps float32"


def test_batches_are_powers_of_two_by_memory():
    gigabyte = 2**30
    assert [batch_for(free * gigabyte, 512) for free in (0, 1, 3, 7, 23, 139)] == [1, 2, 4, 8, 32, 64]
    assert batch_for(7 * gigabyte, 1024) == 2
    assert usual_batch(torch.device("cpu"), 512) == 1
