"""The forward pass on a backend: normalised images (N, C, H, W) float32 to raw logits and deltas, maps by level."""

from collections import Counter
from typing import Protocol

import torch
from torch import Tensor, nn

from .device import Backend
from .network import RetinaNetwork
from .packing import pack

Maps = tuple[list[Tensor], list[Tensor]]
EXAMPLE_PX = 128  # side of the picture that tracing needs
GRAPH_AFTER = 8  # batches of one shape; a short run is done by then, and cuDNN has chosen its kernels
MAX_GRAPHS = 4  # each holds the memory of a batch


class Forward(Protocol):
    """The network ready to run."""

    def __call__(self, images: Tensor) -> Maps:
        """Images (N, C, H, W) float32 to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w).

        The maps hold until the next call.
        """

    def forget(self) -> None:
        """Give back memory that is held only for speed."""


def open_forward(network: RetinaNetwork, backend: Backend) -> Forward:
    """Make a network of folded batch norms, in evaluation mode, ready on a backend; it is the backend's then."""
    if backend.engine == "openvino":
        return OpenVinoForward(network, backend)
    plain = TorchForward(network, backend)
    return GraphForward(plain) if backend.device.type == "cuda" else plain


class TorchForward:
    """The network as torch runs it, in the backend's number format, channels last; packed where a processor can."""

    def __init__(self, network: RetinaNetwork, backend: Backend) -> None:
        self.dtype = backend.dtype
        self.network = network.to(backend.device, backend.dtype, memory_format=torch.channels_last)
        self._run: nn.Module = self.network
        if backend.device.type == "cpu":
            example = torch.zeros(1, network.in_channels, EXAMPLE_PX, EXAMPLE_PX, dtype=self.dtype)
            self._run = pack(self.network, example.contiguous(memory_format=torch.channels_last)) or self.network

    def __call__(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Images (N, C, H, W) float32 to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w)."""
        return self._run(images.to(self.dtype, memory_format=torch.channels_last))

    def forget(self) -> None:
        """Nothing is held."""


class GraphForward:
    """The network on CUDA: recorded once a shape has come often enough, then replayed without Python and its launches.

    A smaller batch of images of a recorded size is filled up with what the batch before left. Where recording fails,
    all goes on without.
    """

    def __init__(self, plain: TorchForward) -> None:
        self.network = plain.network
        self._plain = plain
        self._calls: Counter[tuple[int, ...]] = Counter()
        self._graphs: dict[tuple[int, ...], _Graph] = {}
        self._may_record = True

    def __call__(self, images: Tensor) -> Maps:
        """Images (N, C, H, W) float32 to logits (N, A * classes, h, w) and deltas (N, A * 4, h, w)."""
        size = tuple(images.shape[1:])
        graph = self._graphs.get(size)
        if graph is not None and len(images) <= len(graph.images):
            return graph.replay(images)
        self._calls[tuple(images.shape)] += 1
        maps = self._plain(images)
        if self._may_record and self._calls[tuple(images.shape)] == GRAPH_AFTER and len(self._graphs) < MAX_GRAPHS:
            try:
                self._graphs[size] = _Graph(self._plain, images)
            except RuntimeError:  # memory that is short among them
                self._may_record = False
                self._graphs.clear()
        return maps

    def forget(self) -> None:
        """Drop what was recorded, and record no more."""
        self._graphs.clear()
        self._may_record = False


class _Graph:
    """A CUDA graph of the network for one shape of batch; what it reads and writes stays where it is."""

    def __init__(self, plain: TorchForward, images: Tensor) -> None:
        self.images = images.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._maps = plain(self.images)

    def replay(self, images: Tensor) -> Maps:
        """Run on images, at most as many as were recorded; the maps are overwritten by the next run."""
        n = len(images)
        self.images[:n].copy_(images)
        self._graph.replay()
        return [level[:n] for level in self._maps[0]], [level[:n] for level in self._maps[1]]


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

        example = torch.zeros(1, network.in_channels, EXAMPLE_PX, EXAMPLE_PX)
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

    def forget(self) -> None:
        """What is compiled stays: processors have memory enough."""
