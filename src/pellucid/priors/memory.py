"""Estimates the memory of a restoration in latents before it begins.

The networks run on the device "meta", where tensors have shapes and no numbers. The estimate is the sum of simultaneous
storage:

    weights (4 bytes each, of both networks and of the conditioning)
    + the most of: activations of an evaluation, of encoding, of decoding, each of one tile; their sum for a gradient
      through the decoder and the network at once
    + ten images of the whole size: the image, what becomes of it, and what tiles are blended in

A gradient through a network keeps every activation that its backward pass needs. The workspace of convolutions and the
libraries are not counted.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
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
    """Memory of a restoration, in bytes.

    Attributes:
        weights: weights of all networks, in single precision.
        evaluation: activations of one evaluation of the prior.
        autoencoder: activations of a tile's encoding or decoding.
        images: the whole image and its intermediate results.
        together: whether the activations of both exist at once, for a gradient through both.
    """

    weights: int
    evaluation: int
    autoencoder: int
    images: int
    together: bool = False

    @property
    def total(self) -> int:
        """Sum of simultaneous storage."""
        parts = (self.evaluation, self.autoencoder)
        return self.weights + (sum(parts) if self.together else max(parts)) + self.images


def estimate(
    latent: Latent,
    height: int,
    width: int,
    tile: int,
    *,
    through_network: bool = False,
    through_decoder: bool = False,
) -> Memory:
    """Estimates the memory for an image.

    Args:
        latent: the prior, on any device, including "meta".
        height: of the image, in pixels.
        width: likewise.
        tile: side of the tiles, in pixels.
        through_network: whether the method differentiates the network.
        through_decoder: whether it differentiates the decoder.
    """
    network, vae = latent.network, latent.vae.network
    sizes = [min(round_up(side, latent.unit), round_up(tile, latent.unit)) for side in (height, width)]
    image = (1, latent.vae.channels, *sizes)
    z = (1, latent.channels, *(side // latent.vae.factor for side in sizes))
    weights = [weight for part in (network, vae) for weight in part.state_dict().values()]

    encoder, decoder = _Through(vae, "encode"), _Through(vae, "decode")
    level = torch.zeros(1, device="meta")
    return Memory(
        weights=sum(4 * weight.numel() for weight in weights),
        evaluation=_peak(network, z, through_network, level),
        autoencoder=max(_peak(encoder, image, False), _peak(decoder, z, through_decoder)),
        images=_IMAGES * 4 * latent.vae.channels * height * width,
        together=through_network and through_decoder,
    )


class _Through(nn.Module):
    """Makes one of a module's methods its forward."""

    def __init__(self, network: Any, method: str) -> None:
        super().__init__()
        self.network, self._method = network, method

    def forward(self, x: Tensor) -> Any:
        return getattr(self.network, self._method)(x)


def _peak(network: nn.Module, shape: tuple[int, ...], gradient: bool, *others: Tensor) -> int:
    """Largest total of bytes of tensors that exist at once during a call."""
    # The module itself is called with weights that have no numbers: nothing is copied.
    state = {name: torch.empty(weight.shape, device="meta") for name, weight in network.state_dict().items()}
    x = torch.empty(shape, device="meta", requires_grad=gradient)
    with torch.set_grad_enabled(gradient), _Attention(), _Alive() as alive:
        # Kept to the end, and with it what a backward pass would need.
        result = functional_call(network, state, (x, *others))
        del result
    peak: int = alive.peak
    return peak


class _Alive(TorchDispatchMode):
    """Sums the storages of operations until they are freed; views share theirs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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
    """Attention as on devices, without the matrix of all pairs, which "meta" would allocate."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _Fused.apply(  # type: ignore[no-untyped-call]
                *args[:3], *((kwargs or {}).get(name) for name in ("query", "key", "value"))
            )
        return func(*args, **(kwargs or {}))


class _Fused(torch.autograd.Function):
    """Keeps for its gradient the same tensors as fused attention: queries, keys, values and the result."""

    @staticmethod
    def forward(context: Any, *tensors: Any) -> Tensor:
        query, key, value = (tensor for tensor in tensors if tensor is not None)
        result: Tensor = query.new_empty(*query.shape[:-1], value.shape[-1])
        context.save_for_backward(query, key, value, result)
        return result

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        raise NotImplementedError
