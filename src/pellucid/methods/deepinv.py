"""Methods here as reconstructors of the deepinv library, which is imported only when one is made."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..operators.deepinv import DeepinvOperator
from ..priors.prior import Prior
from ..problem import Problem
from .method import Method


def reconstructor(method: Method, prior: Prior, noise: float | None = None, seed: int = 0) -> Any:
    """A method on a prior as a deepinv `Reconstructor`: `model(y, physics)`, images in [0, 1] as there.

    Args:
        method: one that is told the degradation.
        prior: the prior.
        noise: standard deviation of the noise in [0, 1] units; None to take `physics.noise_model.sigma`.
        seed: image i of a batch has `seed + i`.

    Raises:
        PellucidError: deepinv is not installed.
        UsageError: the method is blind.
    """
    if method.blind and not method.takes_operator:
        raise UsageError(f"{type(method).__name__} is blind: it has no use for a physics")
    try:
        from deepinv.models import Reconstructor
    except ImportError:
        raise PellucidError('this needs deepinv: pip install "pellucid[deepinv]"') from None

    class PellucidReconstructor(Reconstructor):  # type: ignore[misc]  # untyped
        """A pellucid method."""

        def forward(self, y: Tensor, physics: Any, **kwargs: Any) -> Tensor:
            """Restores images in [0, 1]."""
            return restore_with(physics, y, method, prior, noise, seed)

    return PellucidReconstructor()


def restore_with(
    physics: Any, y: Tensor, method: Method, prior: Prior, noise: float | None = None, seed: int = 0
) -> Tensor:
    """Restores measurements of images in [0, 1] by a physics.

    Args:
        physics: a deepinv physics.
        y: its measurements, (B, ...).
        method: one that is told the degradation.
        prior: the prior.
        noise: standard deviation of the noise in [0, 1] units; None to take `physics.noise_model.sigma`.
        seed: image i has `seed + i`.

    Returns:
        (B, C, H, W) in [0, 1], not clamped.

    Raises:
        UsageError: the noise level is not known.
    """
    if noise is None:
        found = getattr(getattr(physics, "noise_model", None), "sigma", None)
        if found is None:
            raise UsageError("the physics does not tell its noise level: give noise")
        noise = float(found)
    flat: Tensor = physics.A_adjoint(y)
    operator = DeepinvOperator(physics, (flat.shape[1], flat.shape[2], flat.shape[3]))
    # y = A x01 and x = 2 x01 - 1, so A x = 2 y - A 1.
    measured = 2 * y - operator.A(torch.ones_like(flat))
    return (method(Problem(measured, operator, 2 * noise), prior, seed) + 1) / 2
