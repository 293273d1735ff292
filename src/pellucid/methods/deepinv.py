"""pellucid's methods as reconstructors of the deepinv library, which is imported on use."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import PellucidError, UsageError
from ..maths.problem import Noise, Problem, to_zero_one
from ..operators.deepinv import DeepinvOperator
from ..priors.prior import Prior
from .method import Method


def reconstructor(method: Method, prior: Prior, noise: Noise | None = None, seed: int = 0) -> Any:
    """Wraps a method and a prior as a deepinv `Reconstructor`: `model(y, physics)`, images in [0, 1].

    Args:
        method: a method for known degradations.
        prior: the prior.
        noise: standard deviation of the noise in [0, 1] units; None for `physics.noise_model.sigma`.
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
        """A method of pellucid."""

        def forward(self, y: Tensor, physics: Any, **kwargs: Any) -> Tensor:
            """Restores images in [0, 1]."""
            return restore_with(physics, y, method, prior, noise, seed)

    return PellucidReconstructor()


def restore_with(
    physics: Any, y: Tensor, method: Method, prior: Prior, noise: Noise | None = None, seed: int = 0
) -> Tensor:
    """Restores measurements of images in [0, 1] by a physics.

    Args:
        physics: a deepinv physics. One without an adjoint counts as nonlinear and suits methods that need only the
            gradient.
        y: its measurements, (B, ...).
        method: a method for known degradations.
        prior: the prior.
        noise: standard deviation of the noise in [0, 1] units, or one for each image; None for
            `physics.noise_model.sigma`, which may be either.
        seed: image i has `seed + i`.

    Returns:
        (B, C, H, W) in [0, 1], not clamped.

    Raises:
        UsageError: the noise level or the image's size is unknown, or the method needs a linear physics.
    """
    if noise is None:
        model = getattr(physics, "noise_model", None)
        noise = getattr(model, "sigma", None)
        if noise is None:
            kind = "" if model is None else f" ({type(model).__name__} has no sigma)"
            raise UsageError(f"the physics does not state its noise level{kind}: give noise")
    shape = _image_shape(physics, y)
    operator = DeepinvOperator(physics, shape)
    if not operator.linear and not method.by_gradient:
        raise UsageError(
            f"{type(physics).__name__} is not linear, which {type(method).__name__} needs: take dps or gdp"
        )
    return to_zero_one(method(Problem.of(y, operator, noise), prior, seed))


def _image_shape(physics: Any, y: Tensor) -> tuple[int, int, int]:
    """Shape of one image of a measurement: from the adjoint, from the physics, or equal to the measurement's."""
    if hasattr(physics, "A_adjoint"):
        size = tuple(physics.A_adjoint(y).shape[1:])
    else:
        size = tuple(getattr(physics, "img_size", None) or y.shape[1:])
    if len(size) != 3:
        raise UsageError(f"{type(physics).__name__} is of images (C, H, W), not of {size}")
    return size
