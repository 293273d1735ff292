"""Ways to compute one network: torch, OpenVINO on a CPU, compiled code; float32 or half precision.

"auto" chooses by the machine's properties, without timing, so that one machine always gives the same bytes.
Measurements are in docs/speed.md. torch always computes evaluations with a gradient.
"""

from __future__ import annotations

from copy import copy, deepcopy
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import UsageError
from . import processor
from .adapters import computing_in
from .network import DenoisingUNet
from .prior import Evaluation, Prior, Wrapper, device_of, module_of, wrapping

AUTO = "auto"
"""The fastest backend or precision here within 0.02 dB of float32."""

BACKENDS = (AUTO, "torch", "compile", "openvino")
"""Names of the backends that compute a network."""

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PRECISIONS = (AUTO, *_TYPES)
"""Names of the precisions of a network."""


def usual(device: torch.device) -> tuple[str, str]:
    """Backend and precision of "auto" on a device, for the package's networks.

    On a CPU it is OpenVINO if installed, in bfloat16 if the processor has instructions for it. On a GPU of Nvidia it is
    bfloat16 from Ampere on, float16 from Volta on. Elsewhere it is torch in float32.
    """
    if device.type == "cuda":
        capability = torch.cuda.get_device_capability(device)
        return "torch", "bfloat16" if capability >= (8, 0) else "float16" if capability >= (7, 0) else "float32"
    if device.type != "cpu":
        return "torch", "float32"
    return "openvino" if _has_openvino() else "torch", "bfloat16" if processor.has_bfloat16() else "float32"


def resolved(prior: Prior, backend: str, precision: str) -> tuple[str, str]:
    """Resolves the backend and the precision for a prior.

    A named precision uses torch, unless a backend is named, too. Networks from elsewhere use torch in float32: their
    error at lower precision has not been measured.

    Args:
        prior: prior with its network on its device.
        backend: one of `BACKENDS`.
        precision: one of `PRECISIONS`.
    """
    own = isinstance(module_of(prior), DenoisingUNet)
    return meant(device_of(prior), backend, precision) if own else as_given(backend, precision)


def meant(device: torch.device, backend: str, precision: str) -> tuple[str, str]:
    """Resolves backend and precision on a device for the package's networks; see `resolved`."""
    return _filled(backend, precision, usual(device) if precision == AUTO else _PLAIN)


def as_given(backend: str, precision: str) -> tuple[str, str]:
    """Backend and precision for a prior from Python: unchanged for "auto"."""
    return _filled(backend, precision, _PLAIN)


_PLAIN = ("torch", "float32")


def _filled(backend: str, precision: str, instead: tuple[str, str]) -> tuple[str, str]:
    return instead[0] if backend == AUTO else backend, instead[1] if precision == AUTO else precision


def accelerated(prior: Prior, backend: str = "torch", precision: str = "float32") -> Prior:
    """Makes a copy of a prior whose network is computed in another way.

    Args:
        prior: a prior with a torch network, for example from `load_prior`; it stays unchanged.
        backend: "torch" as written; "compile" by `torch.compile`, whose first call of each size takes long; "openvino"
            on a CPU, for the package's own networks, with results within 1e-5 of torch's: needs the extra `openvino`;
            "auto" for OpenVINO if it is installed and the precision is "auto", too, else torch.
        precision: "float32", or "bfloat16" or "float16" for convolutions and matrix products; images stay float32.
            "auto" is the fastest of them within 0.02 dB; see `usual`. On CPUs bfloat16 is faster with instructions for
            it (AMX, AVX512-BF16), and much slower without.

    Raises:
        UsageError: an unknown name, or an unsuitable prior.
        PellucidError: the extra is not installed.
    """
    if backend not in BACKENDS:
        raise UsageError(f"a backend is one of {', '.join(BACKENDS)}, not {backend!r}")
    if precision not in PRECISIONS:
        raise UsageError(f"a precision is one of {', '.join(PRECISIONS)}, not {precision!r}")
    if backend == "openvino" and precision == "float16":
        raise UsageError("openvino computes in float32 or bfloat16, not in float16")
    backend, precision = resolved(prior, backend, precision)
    if backend != "torch":
        prior = _with_network(prior, _compiled if backend == "compile" else _in_openvino)
    elif precision != "float32" and isinstance(module_of(prior), DenoisingUNet):
        prior = _with_network(prior, lambda network, device: _cast_once(network, _TYPES[precision]))
    return prior if precision == "float32" else Autocast(prior, precision)


def computed_elsewhere(prior: Prior) -> bool:
    """True if another backend than torch computes a prior's network without gradients."""
    return backend_of(prior) == "openvino"


def backend_of(prior: Prior) -> str:
    """Backend that computes a prior's network, one of `BACKENDS` but for "auto"."""
    network = module_of(prior)
    if getattr(network, "_compiled_call_impl", None) is not None:
        return "compile"
    trunk = vars(network).get("trunk") if isinstance(network, DenoisingUNet) else None
    return "torch" if trunk is None or isinstance(trunk, _CastOnce) else "openvino"


def precision_of(prior: Prior) -> str:
    """Precision of a prior's network, one of `PRECISIONS` but for "auto"."""
    return next((one.precision for one in wrapping(prior) if isinstance(one, Autocast)), "float32")


def way_of(prior: Prior) -> dict[str, str]:
    """Options that describe a prior's computation, by name; empty for torch in float32."""
    ways = {"backend": (backend_of(prior), "torch"), "precision": (precision_of(prior), "float32")}
    return {name: own for name, (own, plain) in ways.items() if own != plain}


class Autocast(Wrapper):
    """Computes convolutions and matrix products at lower precision; inputs and outputs stay float32.

    Args:
        prior: the prior to call.
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
    """Copies a prior with a changed network; the weights are shared."""
    other: Any = copy(prior)
    if isinstance(prior, Wrapper):
        other.prior = _with_network(prior.prior, change)
        return other  # type: ignore[no-any-return]
    network = module_of(prior)
    if network is None:
        raise UsageError(f"{type(prior).__name__} has no torch network: leave the backend out")
    other.network = change(copy(network), device_of(prior))
    return other  # type: ignore[no-any-return]


class _CastOnce:
    """Replaces `DenoisingUNet.trunk` with weights cast once; `torch.autocast` casts frozen ones at every call.

    Args:
        network: network in float32; trainable weights are left to `torch.autocast`.
        dtype: type of the copied weights; the copy is made at the first call.
    """

    def __init__(self, network: DenoisingUNet, dtype: torch.dtype) -> None:
        self._network = network
        self._dtype = dtype
        self._made: DenoisingUNet | None = None
        # Listed once: to walk through a network's modules takes 2 ms.
        self._weights = tuple(network.parameters())

    def __call__(self, h: Tensor, embedding: Tensor) -> Tensor:
        """See `DenoisingUNet.trunk`."""
        if any(weight.requires_grad for weight in self._weights):
            return DenoisingUNet.trunk(self._network, h, embedding)
        if self._made is None:
            self._made = deepcopy(self._network).to(self._dtype)
        self._made.checkpointed = self._network.checkpointed
        return DenoisingUNet.trunk(self._made, h.to(self._dtype), embedding.to(self._dtype))

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the network, here or in another process, may get other weights.
        return {**vars(self), "_made": None}


def _cast_once(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    if isinstance(network, DenoisingUNet):
        network.trunk = _CastOnce(network, dtype)  # type: ignore[method-assign]
    return network


def _has_openvino() -> bool:
    try:
        return find_spec("openvino") is not None
    except ValueError:  # what stands for it in `sys.modules` is no module
        return False


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
