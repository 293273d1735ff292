"""What a restoration in latents takes of memory, before it begins.

The networks are run on the device "meta", where tensors have shapes and no numbers, and what is alive at once is
summed up:

    weights (4 bytes each, of both networks and of what the network is told)
    + the most of: activations of an evaluation, of encoding, of decoding, each of one tile
    + ten images of the whole size: the image, what becomes of it, and what tiles are blended in

A gradient through the network keeps every activation that its backward pass needs. Not counted are what a processor's
convolutions take to work in, and the libraries themselves.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .latent import Latent
from .prior import round_up

_IMAGES = 10


@dataclass(frozen=True)
class Memory:
    """What a restoration takes, in bytes.

    Attributes:
        weights: of all networks, in single precision.
        evaluation: activations of one evaluation of the prior.
        autoencoder: of a tile on its way to latents or back.
        images: of the whole image and what is computed with it.
    """

    weights: int
    evaluation: int
    autoencoder: int
    images: int

    @property
    def total(self) -> int:
        """All that is alive at once."""
        return self.weights + max(self.evaluation, self.autoencoder) + self.images


def estimate(latent: Latent, height: int, width: int, tile: int, *, gradient: bool = False) -> Memory:
    """Estimates the memory for an image.

    Args:
        latent: the prior, on any device, "meta" included.
        height: of the image, in pixels.
        width: likewise.
        tile: side of the tiles, in pixels.
        gradient: whether the method differentiates the network.
    """
    network, vae = latent.prior.network, latent.vae.network  # type: ignore[attr-defined]
    sizes = [min(round_up(side, latent.unit), round_up(tile, latent.unit)) for side in (height, width)]
    image = (1, latent.vae.channels, *sizes)
    z = (1, latent.channels, *(side // latent.vae.factor for side in sizes))
    weights = [weight for part in (network, vae) for weight in part.state_dict().values()]

    # The module itself is called with other weights, so that nothing is copied.
    def encode(x: Tensor) -> object:
        return functional_call(_Through(vae, "encode"), _shapes(vae, "network."), (x,))

    def decode(x: Tensor) -> object:
        return functional_call(_Through(vae, "decode"), _shapes(vae, "network."), (x,))

    def evaluate(x: Tensor) -> object:
        return functional_call(network, _shapes(network), (x, torch.zeros(1, device="meta")))

    # Where there is a gradient, it may go through the decoder alone.
    return Memory(
        weights=sum(4 * weight.numel() for weight in weights),
        evaluation=_peak(evaluate, z, gradient),
        autoencoder=max(_peak(encode, image, False), _peak(decode, z, gradient)),
        images=_IMAGES * 4 * latent.vae.channels * height * width,
    )


def _shapes(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """A network's weights without numbers."""
    state = network.state_dict()
    return {prefix + name: torch.empty(weight.shape, device="meta") for name, weight in state.items()}


class _Through(nn.Module):
    """One of a module's methods as its forward."""

    def __init__(self, network: Any, method: str) -> None:
        super().__init__()
        self.network, self._method = network, method

    def forward(self, x: Tensor) -> Any:
        return getattr(self.network, self._method)(x)


def _peak(call: Callable[[Tensor], object], shape: tuple[int, ...], gradient: bool) -> int:
    """The most bytes of tensors that a call makes and are alive at once."""
    x = torch.empty(shape, device="meta", requires_grad=gradient)
    with torch.set_grad_enabled(gradient), _Attention(), _Alive() as alive:
        # Kept to the end, and with it what a backward pass would need.
        result = call(x)
        del result
    return alive.peak


class _Alive(TorchDispatchMode):
    """Adds up the storages that operations make, until they are freed; views share theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._known.update(_storages(args))
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result):
            if storage not in self._known:
                self._known.add(storage)
                self.now += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.peak = max(self.peak, self.now)
        return result

    def _freed(self, size: int) -> None:
        self.now -= size


def _storages(values: Any) -> Iterable[Any]:
    return [leaf.untyped_storage() for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


class _Attention(TorchFunctionMode):
    """Attention as devices compute it, without the matrix of all pairs, which "meta" would make."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _Fused.apply(*args[:3], *((kwargs or {}).get(name) for name in ("query", "key", "value")))
        return func(*args, **(kwargs or {}))


class _Fused(torch.autograd.Function):
    """Keeps for its gradient what fused attention keeps: queries, keys, values and the result."""

    @staticmethod
    def forward(context: Any, *tensors: Any) -> Tensor:
        query, key, value = (tensor for tensor in tensors if tensor is not None)
        result: Tensor = query.new_empty(*query.shape[:-1], value.shape[-1])
        context.save_for_backward(query, key, value, result)
        return result

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        raise NotImplementedError
