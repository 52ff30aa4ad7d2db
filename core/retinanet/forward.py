"""The forward pass on a backend: normalised images (N, C, H, W) float32 to raw logits and deltas, maps by level."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .device import Backend
from .network import RetinaNetwork

Forward = Callable[[Tensor], tuple[list[Tensor], list[Tensor]]]


def open_forward(network: RetinaNetwork, backend: Backend) -> Forward:
    """Make a network of folded batch norms, in evaluation mode, ready on a backend; it is the backend's then."""
    if backend.engine == "openvino":
        return OpenVinoForward(network, backend)
    return TorchForward(network, backend)


class TorchForward:
    """The network as torch runs it, in the backend's number format, channels last."""

    def __init__(self, network: RetinaNetwork, backend: Backend) -> None:
        self.dtype = backend.dtype
        self.network = network.to(backend.device, backend.dtype, memory_format=torch.channels_last)

    def __call__(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (N, C, H, W) float32 to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w)."""
        return self.network(images.to(self.dtype, memory_format=torch.channels_last))


class Listed(nn.Module):
    """A network that gives its maps one after another, logits before deltas."""

    def __init__(self, network: RetinaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, C, H, W) to logits and deltas of all levels."""
        logits, deltas = self.network(images)
        return (*logits, *deltas)


class OpenVinoForward:
    """The network compiled by OpenVINO for this processor, once for each size of image and of batch.

    A smaller batch than the one compiled for is filled up: compiling takes seconds.
    """

    def __init__(self, network: RetinaNetwork, backend: Backend) -> None:
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

        example = torch.zeros(1, network.backbone.body.conv1.in_channels, 128, 128)
        with torch.inference_mode(False), torch.no_grad():
            traced = TorchScriptPythonDecoder(Listed(network.float().cpu()), example_input=(example,))
        reader = FrontEndManager().load_by_framework("pytorch")  # openvino.convert_model would call home
        self._model = reader.convert(reader.load(traced))
        self._core = openvino.Core()
        self._options = {
            "INFERENCE_PRECISION_HINT": "bf16" if backend.dtype == torch.bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._compiled: dict[tuple[int, ...], tuple[int, openvino.CompiledModel]] = {}

    def __call__(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (N, C, H, W) float32 to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w) float32."""
        n, size = len(images), tuple(images.shape[1:])
        if size not in self._compiled or self._compiled[size][0] < n:
            self._model.reshape([n, *size])
            self._compiled[size] = n, self._core.compile_model(self._model, "CPU", self._options)
        batch, compiled = self._compiled[size]
        if n < batch:
            images = torch.cat([images, images.new_zeros(batch - n, *size)])
        maps = [torch.from_numpy(values)[:n] for values in compiled(images.contiguous().numpy()).values()]
        return maps[: len(maps) // 2], maps[len(maps) // 2 :]
