"""The package's network in OpenVINO: the same weights on a CPU in less time (see docs/speed.md).

The graph is built directly rather than traced: this takes milliseconds and no deprecated part of torch.

References:
    OpenVINO's operations, opset 13. https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import PellucidError
from .network import DenoisingUNet

_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16"}


class Trunk:
    """Replaces `DenoisingUNet.trunk` without gradients; the graph is built at the first call.

    It computes in float32, or in bfloat16 inside `torch.autocast`.

    Args:
        network: on the CPU, in float32.

    Raises:
        PellucidError: OpenVINO is not installed.
    """

    def __init__(self, network: DenoisingUNet) -> None:
        _library()
        self._network = network
        self._models: dict[torch.dtype, Any] = {}

    def __call__(self, h: Tensor, embedding: Tensor) -> Tensor:
        """See `DenoisingUNet.trunk`; for one image, (1, ...)."""
        if torch.is_grad_enabled() and (h.requires_grad or embedding.requires_grad or self._trains()):
            return DenoisingUNet.trunk(self._network, h, embedding)
        precision = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        if precision not in self._models:
            settings = {"INFERENCE_PRECISION_HINT": _HINTS[precision], "INFERENCE_NUM_THREADS": torch.get_num_threads()}
            self._models[precision] = _library().Core().compile_model(_graph(self._network), "CPU", settings)
        made = self._models[precision]([h.detach().float().contiguous().numpy(), embedding.detach().float().numpy()])
        return torch.from_numpy(made[0])

    def _trains(self) -> bool:
        return any(weight.requires_grad for weight in self._network.parameters())

    def __getstate__(self) -> dict[str, Any]:
        # A graph stays in its process; another one makes its own.
        return {**vars(self), "_models": {}}


def _library() -> Any:
    if "openvino" not in sys.modules:
        # As it is imported, it tells a server of its makers so, unless the part of it that does is not there.
        with _hidden("openvino_telemetry"):
            return _imported()
    return _imported()


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    """Makes a module's import fail, unless it was imported already."""
    hides = module not in sys.modules
    if hides:
        sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hides:
            del sys.modules[module]


def _imported() -> Any:
    try:
        import openvino
    except ImportError:
        raise PellucidError('the backend openvino needs OpenVINO: pip install "pellucid[openvino]"') from None
    return openvino


def _graph(network: DenoisingUNet) -> Any:
    """Builds the graph of `DenoisingUNet.trunk` for one image of any size."""
    openvino = _library()
    from openvino import opset13 as ops

    def constant(weight: Tensor) -> Any:
        return ops.constant(weight.detach().contiguous().numpy())

    def convolved(layer: Any, h: Any) -> Any:
        kind = ops.convolution_backprop_data if isinstance(layer, nn.ConvTranspose2d) else ops.convolution
        weight, edge = constant(layer.weight), list(layer.padding)
        return kind(h, weight, strides=list(layer.stride), pads_begin=edge, pads_end=edge, dilations=[1, 1])

    def block(layer: Any, h: Any) -> Any:
        film = ops.add(ops.matmul(embedding, constant(layer.film.weight), False, True), constant(layer.film.bias))
        gain, shift = ops.split(ops.reshape(film, [1, -1, 1, 1], False), 1, 2).outputs()
        scale = ops.add(gain, ops.constant(1.0, openvino.Type.f32))
        inside = ops.add(ops.multiply(convolved(layer.first, h), scale), shift)
        return ops.add(h, convolved(layer.second, ops.relu(inside)))

    def level(layer: Any, h: Any) -> Any:
        for each in layer.blocks:
            h = block(each, h)
        return h

    image = ops.parameter(openvino.PartialShape([1, network.head.in_channels, -1, -1]), openvino.Type.f32)
    embedding = ops.parameter(openvino.PartialShape([1, network.config.embedding]), openvino.Type.f32)
    h, kept = convolved(network.head, image), []
    for down, shrink in zip(network.down, network.shrink, strict=False):
        kept.append(level(down, h))
        h = convolved(shrink, kept[-1])
    h = level(network.down[-1], h)
    for up, grow in zip(reversed(network.up), reversed(network.grow), strict=True):
        h = level(up, ops.add(convolved(grow, h), kept.pop()))
    return openvino.Model([convolved(network.tail, h)], [image, embedding])
