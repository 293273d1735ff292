"""Other ways to compute the same network: OpenVINO on a CPU, compiled code, half precision.

Which of them is worth it, and by how much, is in docs/speed.md. What has a gradient is always computed by torch.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from .adapters import computing_in
from .network import DenoisingUNet
from .prior import Evaluation, Prior, Wrapper, device_of, innermost

BACKENDS = ("torch", "compile", "openvino")
"""What may compute a network."""

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = tuple(_TYPES)
"""What a network may compute in."""


def accelerated(prior: Prior, backend: str = "torch", precision: str = "float32") -> Prior:
    """The same prior, its network computed in another way.

    Args:
        prior: a prior with a torch network, such as `load_prior` gives; it stays as it is.
        backend: "torch" as written; "compile" by `torch.compile`, whose first call of each size takes long; "openvino"
            on a CPU, for the package's own networks, with results within 1e-5 of torch's: needs the extra `openvino`.
        precision: "float32", or "bfloat16" or "float16" for convolutions and matrix products; images stay float32.
            Faster on GPUs; on CPUs bfloat16 is faster where there are instructions for it (AMX, AVX512-BF16), and much
            slower where there are none. `pellucid doctor` measures it.

    Raises:
        UsageError: an unknown name, or a prior that it does not work for.
        PellucidError: the extra is not installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"a backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if precision not in PRECISIONS:
        raise UsageError(f"a precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    if backend == "openvino" and precision == "float16":
        raise UsageError("openvino computes in float32 or bfloat16, not in float16")
    if backend != "torch":
        prior = _with_network(prior, _compiled if backend == "compile" else _in_openvino)
    return prior if precision == "float32" else Autocast(prior, precision)


def computed_elsewhere(prior: Prior) -> bool:
    """Whether something else than torch computes a prior's network where there is no gradient."""
    network = getattr(innermost(prior), "network", None)
    return isinstance(network, DenoisingUNet) and "trunk" in vars(network)


def precision_of(prior: Prior) -> str:
    """What a prior's network computes in, one of `PRECISIONS`."""
    while isinstance(prior, Wrapper):
        if isinstance(prior, Autocast):
            return prior.precision
        prior = prior.prior
    return "float32"


class Autocast(Wrapper):
    """Computes convolutions and matrix products at lower precision; what goes in and comes out stays float32.

    Args:
        prior: what to call.
        precision: "bfloat16" or "float16".
    """

    def __init__(self, prior: Prior, precision: str) -> None:
        super().__init__(prior)
        self.precision = precision

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        # For priors of any kind, and by name for those that shut out a caller's own autocast.
        with torch.autocast(x.device.type, _TYPES[self.precision]), computing_in(_TYPES[self.precision]):
            return inner(x, sigma).to(x.dtype)


def _with_network(prior: Prior, change: Any) -> Prior:
    """A copy of a prior with a changed network; the weights are shared."""
    other: Any = copy(prior)
    if isinstance(prior, Wrapper):
        other.prior = _with_network(prior.prior, change)
        return other  # type: ignore[no-any-return]
    network = getattr(prior, "network", None)
    if not isinstance(network, nn.Module):
        raise UsageError(f"{type(prior).__name__} has no torch network: leave the backend out")
    other.network = change(copy(network), device_of(prior))
    return other  # type: ignore[no-any-return]


def _compiled(network: nn.Module, device: torch.device) -> nn.Module:
    network.compile()
    return network


def _in_openvino(network: nn.Module, device: torch.device) -> nn.Module:
    if not isinstance(network, DenoisingUNet):
        raise UsageError(f"openvino computes the package's own networks, not a {type(network).__name__}")
    if device.type != "cpu":
        raise UsageError(f"openvino computes on a CPU, and the prior is on {device}: leave one of the two out")
    from .openvino import Trunk

    network.trunk = Trunk(network)  # type: ignore[method-assign]
    return network
