"""Protocol of a prior, and wrappers that count its evaluations and adapt it to images of any size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import PellucidError, UsageError


@runtime_checkable
class Prior(Protocol):
    """A diffusion model as its posterior mean: `prior(x, sigma) -> E[x0 | x]` with `x = x0 + sigma n`.

    Attributes:
        channels: number C of image channels.
        multiple: H and W must divide by this.
        sigmas: the training ladder, ascending, (T,), float64, on the CPU.

    Example:
        >>> prior = priors.load_prior("natural")
        >>> prior.channels, prior.multiple, len(prior.sigmas)
        (3, 16, 1000)
    """

    @property
    def channels(self) -> int: ...  # noqa: D102 - described above

    @property
    def multiple(self) -> int: ...  # noqa: D102

    @property
    def sigmas(self) -> Tensor: ...  # noqa: D102

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Estimates the clean images.

        Args:
            x: (B, C, H, W) in variance-exploding coordinates, images in [-1, 1].
            sigma: noise level, one for all or (B,).

        Returns:
            x0, (B, C, H, W), not clamped.
        """
        ...


class Tiles(NamedTuple):
    """Number and size of the tiles of an image."""

    number: int
    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Number of pixels in all tiles, to which the time of an evaluation is proportional."""
        return self.number * self.height * self.width


Evaluation = Callable[[Tensor, "float | Tensor"], Tensor]
"""Evaluates a prior at images (B, C, H, W) and one level or (B,): x0, or x0 followed by more channels."""


def learned(prior: Prior) -> Evaluation:
    """Evaluates a prior with the learned variance; see `VPNetwork.learned`.

    Raises:
        UsageError: the prior has no learned variance.
    """
    found: Evaluation | None = getattr(prior, "learned", None)
    if found is None:
        raise UsageError("this prior's network has no learned variance: take the posterior's, or beta")
    return found


class Wrapper:
    """A prior around another one, with the same channels, ladder and size requirements.

    A subclass defines `evaluate`, which wraps any evaluation of the inner prior.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Prior`."""
        return self.evaluate(self.prior, x, sigma)

    def learned(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `VPNetwork.learned`."""
        return self.evaluate(learned(self.prior), x, sigma)

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Applies the wrapper to one evaluation of `inner`, with any number of output channels."""
        return inner(x, sigma)

    @property
    def channels(self) -> int:
        """Image channels of the wrapped prior."""
        return self.prior.channels

    @property
    def multiple(self) -> int:
        """Divisor of H and W of the wrapped prior."""
        return self.prior.multiple

    @property
    def sigmas(self) -> Tensor:
        """Training ladder of the wrapped prior."""
        return self.prior.sigmas

    def tiles(self, height: int, width: int) -> Tiles:
        """Tiles of the innermost network for one evaluation of one image of this size."""
        return self.prior.tiles(height, width) if isinstance(self.prior, Wrapper) else Tiles(1, height, width)


class Unused:
    """Replaces the prior of a method that evaluates none, so that none is loaded.

    Args:
        device: device of the method.
    """

    channels = 3
    multiple = 1
    sigmas = torch.empty(0, dtype=torch.float64)

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Always raises an error."""
        raise PellucidError("this method declares needs_prior = False but evaluates a prior")


class Counted(Wrapper):
    """Counts evaluations (NFE) and raises an error at the first non-finite result.

    Args:
        prior: the prior to count.
        on_call: called after each evaluation with its number of pixels, B H W.

    Attributes:
        nfe: evaluations so far; a batch counts once.

    Example:
        >>> prior = priors.Counted(priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25)))
        >>> _ = prior(torch.zeros(1, 3, 8, 8), 1.0)
        >>> prior.nfe
        1
    """

    def __init__(self, prior: Prior, on_call: Callable[[int], object] | None = None) -> None:
        super().__init__(prior)
        self.nfe = 0
        self._on_call = on_call

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`.

        Raises:
            PellucidError: the result has NaN or infinity, which would become a grey picture.
        """
        x0 = inner(x, sigma)
        # One reduction, not one test a pixel: a sum is finite only if all its terms are.
        if not math.isfinite(x0.sum(dtype=torch.float32).item()):
            raise PellucidError(f"the prior's estimate at noise level {_show(sigma)} is not finite (NaN or infinity)")
        self.nfe += 1
        if self._on_call is not None:
            self._on_call(x[:, 0].numel())
        return x0


def _show(sigma: float | Tensor) -> str:
    return ", ".join(f"{level:.3g}" for level in torch.as_tensor(sigma).flatten().tolist())


class Checkpointed(Wrapper):
    """Saves memory for gradients through the prior by computing activations again in the backward pass.

    Args:
        prior: the prior to call.
        by: "call" stores only an evaluation's input, so that a gradient through many evaluations takes the memory of
            one; a call with its gradient takes four thirds of the time. "block" stores the input of each of the
            network's blocks, which helps with a gradient through a single evaluation; it needs a network that supports
            it, such as `DenoisingUNet`.

    Raises:
        UsageError: the network does not support it.

    Example:
        >>> prior = priors.Checkpointed(priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25)))
        >>> prior(torch.zeros(1, 3, 8, 8), 1.0).shape
        torch.Size([1, 3, 8, 8])
    """

    def __init__(self, prior: Prior, by: Literal["call", "block"] = "call") -> None:
        super().__init__(prior)
        network = network_of(prior)
        if by not in ("call", "block"):
            raise UsageError(f"checkpointing goes by call or by block, not by {by!r}")
        if by == "block" and not hasattr(network, "checkpointed"):
            raise UsageError("this prior's network has no blocks to checkpoint by: checkpoint by call")
        self._blocks = network if by == "block" else None

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`."""
        if self._blocks is None:
            kept: Tensor = checkpoint(inner, x, sigma, use_reentrant=False)
            return kept
        self._blocks.checkpointed = True
        try:
            return inner(x, sigma)
        finally:
            self._blocks.checkpointed = False


class Padded(Wrapper):
    """Takes any height and width from 1x1 up: reflects the image to the wrapped prior's multiple and crops back.

    Example:
        >>> prior = priors.Padded(priors.load_prior("natural"))
        >>> prior(torch.zeros(1, 3, 5, 7), 0.1).shape
        torch.Size([1, 3, 5, 7])
    """

    @property
    def multiple(self) -> int:
        """Always 1."""
        return 1

    def tiles(self, height: int, width: int) -> Tiles:
        """Tiles of the innermost network for one evaluation of one image of this size."""
        return super().tiles(*(round_up(n, self.prior.multiple) for n in (height, width)))

    def evaluate(self, inner: Evaluation, x: Tensor, sigma: float | Tensor) -> Tensor:
        """See `Wrapper`; pads at the right and the bottom."""
        padded = reflected(x, self.prior.multiple)
        if padded is x:
            return inner(x, sigma)
        height, width = x.shape[-2:]
        return inner(padded, sigma)[..., :height, :width]


def wrapping(prior: Prior) -> Iterator[Prior]:
    """The prior, what it wraps, and so on to the innermost one; a prior that wraps nothing is all there is."""
    yield prior
    while isinstance(prior, Wrapper):
        prior = prior.prior
        yield prior


def innermost(prior: Prior) -> Prior:
    """Prior inside all wrappers; itself where there are none."""
    *_, last = wrapping(prior)
    return last


@runtime_checkable
class HasNetwork(Protocol):
    """A prior that asks a network, a module or a plain function."""

    network: Any


def network_of(prior: Prior) -> Any:
    """The network of the innermost prior, a module or a function; None where there is no such thing."""
    inner = innermost(prior)
    return inner.network if isinstance(inner, HasNetwork) else None


def module_of(prior: Prior) -> nn.Module | None:
    """The network of the innermost prior; None where it has none, or one of another kind than torch's."""
    network = network_of(prior)
    return network if isinstance(network, nn.Module) else None


def device_of(prior: Prior) -> torch.device:
    """Device of a prior's weights; the CPU for exact priors and plain functions, which have none."""
    network = module_of(prior)
    weight = None if network is None else next(network.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def round_up(size: int, multiple: int) -> int:
    """The least multiple that is not below size."""
    return -(-size // multiple) * multiple


def reflected(x: Tensor, multiple: int) -> Tensor:
    """Reflects images, (B, C, H, W), at the right and the bottom up to a multiple."""
    more = [round_up(size, multiple) - size for size in x.shape[-2:]]
    if not any(more):
        return x
    if all(add < size for add, size in zip(more, x.shape[-2:], strict=True)):
        # In a third of the time of a selection by indices.
        return F.pad(x, (0, more[1], 0, more[0]), mode="reflect")
    for axis, add in zip((-2, -1), more, strict=True):
        size = x.shape[axis]
        x = x.index_select(axis, reflection(size, size + add).to(x.device))
    return x


def reflection(size: int, target: int) -> Tensor:
    """Indices 0 ... target - 1 reflected into 0 ... size - 1 without repeating the edge, as often as necessary."""
    if size == 1:
        return torch.zeros(target, dtype=torch.long)
    period = 2 * (size - 1)
    position = torch.arange(target) % period
    return torch.minimum(position, period - position)
