"""Common part of DDRM and DDNM: a measurement in the spectral coordinates of its operator."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import UsageError
from ..maths.noise import axpy
from ..maths.problem import Problem
from ..operators import Operator


class Measured:
    """A measurement as a noisy image in spectral coordinates, component by component.

    With A = U diag(s) V^T and y = A x + sigma_y n, each component of `U^T y / s` is the image's component plus noise of
    level sigma_y / s.

    Args:
        problem: y.
        operator: A.
        sigma_y: the noise level, in [-1, 1] units.
        method: name of the method in errors.
        faintest: noise level above which components are left to the prior, like the null space.

    Attributes:
        V: spectral coordinates to an image.
        Vt: an image to spectral coordinates.
        y: `U^T y / s`, 0 on the null space, (B, C, H, W).
        level: sigma_y / s, infinite on the null space, broadcastable to y.

    Raises:
        UsageError: the operator has no singular value decomposition; the message suggests alternatives to `method`.
    """

    def __init__(
        self, problem: Problem, operator: Operator, sigma_y: float, method: str, faintest: float = math.inf
    ) -> None:
        shape = operator.image_shape(tuple(problem.y.shape))
        svd = operator.svd(shape)
        if svd is None:
            others = "DPS, GDP, RED or MMPS" if operator.linear else "DPS or GDP"
            raise UsageError(
                f"{method} needs a singular value decomposition; {type(operator).__name__} has none for these images: "
                f"use {others}"
            )
        self.V, self.Vt = svd.V, svd.Vt
        inverted = svd.inverted().to(problem.y)
        if sigma_y:
            inverted = torch.where(inverted <= faintest / sigma_y, inverted, 0)
        self.y = inverted * svd.Ut(problem.y)
        self.level = torch.where(inverted > 0, sigma_y * inverted, math.inf)
        unseen = inverted <= 0
        seen = self.level[~unseen]
        self._any_unseen = bool(unseen.any())
        # As numbers: two products are a tenth of the time of `torch.where`, to the same bit.
        self._unseen, self._seen = unseen.to(problem.y), (~unseen).to(problem.y)
        # Of what is seen, the least noisy and the noisiest: beyond these a step has one case less.
        self._clearest, self._faintest = (seen.min().item(), seen.max().item()) if len(seen) else (math.inf, 0.0)
        # Mostly all that is seen is equally noisy, and numbers will do; where nothing is seen any finite one.
        level = torch.where(unseen, 1.0, self.level)
        self._seen_level = self._clearest if self._clearest == self._faintest else level

    def start(self, sigma: float, n: Tensor) -> Tensor:
        """Spectral coordinates of a latent of level sigma: around y where y is less noisy, else around 0."""
        seen = self.level <= sigma
        fresh = (sigma**2 - self.level**2).clamp_min(0).sqrt()
        return torch.where(seen, self.y + fresh * n, sigma * n)

    def step(
        self,
        x: Tensor,
        x0: Tensor,
        sigma: float,
        sigma_next: float,
        n: Tensor,
        eta: float,
        eta_b: float = 1.0,
        eta_y: float | None = None,
    ) -> Tensor:
        r"""One step of DDRM (eq. 8) in spectral coordinates, with l = sigma_y / s the level of y.

        .. math::
            x_0 + \sqrt{1 - \eta^2}\, \sigma' (x - x_0) / \sigma + \eta \sigma' n \qquad s = 0 \\
            x_0 + \sqrt{1 - \eta^2}\, \sigma' (y - x_0) / l + \eta \sigma' n \qquad \sigma' < l \\
            (1 - \eta_b) x_0 + \eta_b y + \sqrt{\sigma'^2 - \eta_b^2 l^2}\, n \qquad \sigma' \ge l

        Args:
            x: latent of level sigma.
            x0: its estimated clean image.
            sigma: its level.
            sigma_next: the level to go to.
            n: fresh N(0, I).
            eta: share of fresh noise where y is blind.
            eta_b: share of y where it is less noisy than the latent.
            eta_y: eta of the second line, where y is noisier than the latent; None for `eta`.
        """
        moved = None
        level = self._seen_level
        if sigma_next >= self._clearest:
            fresh = _root(sigma_next**2 - eta_b**2 * level**2)
            moved = axpy(fresh, n, self.y if eta_b == 1 else torch.lerp(x0, self.y, eta_b))
        if sigma_next < self._faintest:
            eta_y = eta if eta_y is None else eta_y
            # Where the level is 0 the first case holds.
            level = level.clamp_min(torch.finfo(x.dtype).tiny) if isinstance(level, Tensor) else level
            faint = _moved(self.y, x0, math.sqrt(1 - eta_y * eta_y) * sigma_next / level, eta_y * sigma_next, n)
            moved = faint if moved is None else torch.where(self.level > sigma_next, faint, moved)
        if self._any_unseen:
            unseen = _moved(x, x0, math.sqrt(1 - eta * eta) * sigma_next / sigma, eta * sigma_next, n)
            moved = unseen if moved is None else torch.addcmul(moved * self._seen, unseen, self._unseen)
        assert moved is not None  # a component is seen or unseen
        return moved


def _root(square: float | Tensor) -> float | Tensor:
    """Square root, with 0 for negative values."""
    return square.clamp_min(0).sqrt() if isinstance(square, Tensor) else math.sqrt(max(square, 0.0))


def _moved(x: Tensor, x0: Tensor, kept: float | Tensor, fresh: float, n: Tensor) -> Tensor:
    """`x0 + kept (x - x0) + fresh n`."""
    moved = axpy(kept, x - x0, x0)
    return axpy(fresh, n, moved) if fresh else moved
