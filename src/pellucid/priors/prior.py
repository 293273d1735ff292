"""The protocol of a prior, and wrappers that compose without a method noticing."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Prior(Protocol):
    """A diffusion model as its posterior mean: `prior(x, sigma) -> E[x0 | x]` with `x = x0 + sigma n`.

    Attributes:
        channels: image channels C that it takes.
        multiple: H and W must divide by this.
        sigmas: the training ladder, ascending, (T,), float64, on the CPU.
    """

    @property
    def channels(self) -> int: ...

    @property
    def multiple(self) -> int: ...

    @property
    def sigmas(self) -> Tensor: ...

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Estimates the clean images.

        Args:
            x: (B, C, H, W) in variance-exploding coordinates, images in [-1, 1].
            sigma: noise level, one for all or (B,).

        Returns:
            x0, (B, C, H, W), not clamped.
        """
        ...
