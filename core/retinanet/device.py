"""Which device and number format the network runs on: by capability in a fixed order, never by a timing."""

import platform
from dataclasses import dataclass, replace
from importlib.util import find_spec

import torch

from ..job.errors import InvalidJob

LARGEST_BATCH = 64
BYTES_PER_PX = 1000  # of a tile: ResNet-50 with P2, the heads' maps and their decoding in float32 stay below


@dataclass(frozen=True)
class Backend:
    """Where and how the network runs. `name` is for people, `key` goes into results: "cpu bfloat16".

    `engine`: what computes the network, "torch" or "openvino"; all else is torch's.
    """

    device: torch.device
    dtype: torch.dtype
    name: str
    engine: str = "torch"

    @property
    def key(self) -> str:
        """Device type, engine where it is not torch, and number format."""
        engine = "" if self.engine == "torch" else f" {self.engine}"
        return f"{self.device.type}{engine} {str(self.dtype).removeprefix('torch.')}"

    def for_detection(self) -> "Backend":
        """On processors the same in OpenVINO where that is installed: it detects faster, and cannot train."""
        return replace(self, engine="openvino") if self.device.type == "cpu" and find_spec("openvino") else self


def usual_batch(device: torch.device, tile_px: int) -> int:
    """How many tiles of a size to look at together: on CUDA as many as half of the card's memory holds, to a limit.

    Not by what is free: results are resumed with the same batch. More than one is slower on processors.
    """
    if device.type != "cuda":
        return 4 if device.type == "mps" else 1
    return batch_for(torch.cuda.get_device_properties(device).total_memory, tile_px)


def batch_for(memory_bytes: int, tile_px: int) -> int:
    """A power of two of tiles, 64 at most, that half of the memory holds."""
    most = max(1, min(LARGEST_BATCH, int(memory_bytes / 2 / (tile_px**2 * BYTES_PER_PX))))
    return 1 << (most.bit_length() - 1)


def choose_backend(device: str = "auto") -> Backend:
    """Choose the best of cuda, mps and cpu, or the one asked for; raises InvalidJob where it is not there.

    With several CUDA cards, the one of the highest compute capability, then of the most memory.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "cuda" and not cuda:
        raise InvalidJob("No CUDA graphics card can be used here. Choose the device 'auto' or 'cpu'.")
    if device == "mps" and not mps:
        raise InvalidJob("No Apple graphics processor can be used here. Choose the device 'auto' or 'cpu'.")
    if device == "cuda" or (device == "auto" and cuda):
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        best = max(range(len(cards)), key=lambda i: (cards[i].major, cards[i].minor, cards[i].total_memory, -i))
        return Backend(torch.device("cuda", best), _cuda_dtype(cards[best].major), cards[best].name)
    if device == "mps" or (device == "auto" and mps):
        return Backend(torch.device("mps"), torch.float32, "Apple graphics processor")
    dtype = torch.bfloat16 if _cpu_has_bfloat16() else torch.float32
    name = f"processor {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    return Backend(torch.device("cpu"), dtype, name)


def _cuda_dtype(major: int) -> torch.dtype:
    """bfloat16 from Ampere (8) on, half precision on Volta and Turing (7); before, it is slower than float32."""
    if major >= 8:
        return torch.bfloat16
    return torch.float16 if major == 7 else torch.float32


def _cpu_has_bfloat16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    if "AVX512" not in capabilities and "AMX" not in capabilities:
        return False
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private: their names may go
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
