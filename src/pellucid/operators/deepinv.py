"""Operators of the deepinv library as operators of pellucid.

deepinv is not imported: any object with the same methods works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UsageError
from ..maths.problem import to_model, to_zero_one
from .blur import svd_of_filter
from .decimate import decimated
from .matrix import svd_of_matrix
from .operator import Operator, Shape, Svd, least_squares
from .pixels import Grayscale


class Physics(Protocol):
    """Interface of a deepinv physics: a linear map of tensors."""

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """The forward map, without noise."""
        ...

    def A_adjoint(self, y: Tensor) -> Tensor:  # noqa: N802
        """The adjoint map."""
        ...


class DeepinvOperator(Operator):
    """A linear `deepinv.physics` as an operator.

    A physics with a decomposition (`U`, `V`, their adjoints and a `mask` of singular values, all in the image's shape)
    provides it. For `BlurFFT`, circular `Downsampling`, `Decolorize`, `CompressedSensing` and `SinglePixelCamera` it is
    computed here. Each is verified on an image before use. The pseudo-inverse is `A_dagger`, else conjugate gradients.
    Linear maps apply to images in [0, 1] and in [-1, 1]; the measurement must be of the image in [-1, 1].

    A physics without an adjoint counts as nonlinear. Its images are in [0, 1], so that A x = 2 P((x + 1) / 2) - 1, and
    methods that need only the gradient can use it.

    Args:
        physics: a deepinv physics.
        shape: shape of one image, (C, H, W), which a measurement does not show.
    """

    keeps_grey = False

    def __init__(self, physics: Physics, shape: tuple[int, int, int]) -> None:
        self.physics, self._shape = physics, shape
        self.linear = hasattr(physics, "A_adjoint")
        self._svds: dict[Shape, Svd | None] = {}

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return self.physics.A(x) if self.linear else to_model(self.physics.A(to_zero_one(x)))

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        self._check_linear()
        return self.physics.A_adjoint(y)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        self._check_linear()
        dagger = getattr(self.physics, "A_dagger", None)
        if dagger is None:
            return least_squares(self, y)
        x: Tensor = dagger(y)
        return x

    def image_shape(self, measured: Shape) -> Shape:
        """See `Operator`."""
        return (measured[0], *self._shape)

    def svd(self, shape: Shape) -> Svd | None:
        """See `Operator`; None if the physics has none, or has it in other coordinates than the image's."""
        key = tuple(shape[1:])
        if key not in self._svds:
            made = self._made(shape) if self.linear else None
            sound = made is not None and _holds(made, self.A, key, _device_of(self.physics))
            self._svds[key] = made if sound else None
        return self._svds[key]

    def _check_linear(self) -> None:
        if not self.linear:
            raise UsageError(f"{type(self.physics).__name__} is not linear: it has no adjoint; take dps or gdp")

    def _made(self, shape: Shape) -> Svd | None:
        physics: Any = self.physics
        names = {kind.__name__ for kind in type(physics).__mro__}
        if "Decolorize" in names:
            return Grayscale(tuple(physics.srf.flatten().tolist())).svd(shape)
        if "BlurFFT" in names:
            point = self.A(_first((1, *shape[1:]), _device_of(physics)))
            return svd_of_filter(torch.fft.rfft2(point.double().cpu()), shape[-1])
        if "Downsampling" in names and physics.padding == "circular":
            factor = int(physics.factor)
            if any(side % factor for side in shape[2:]):
                return None
            corner = _first((1, shape[1], shape[2] // factor, shape[3] // factor), _device_of(physics))
            return decimated(self.At(corner).double().cpu(), factor)
        if isinstance(getattr(physics, "_A", None), Tensor):
            return svd_of_matrix(physics._A, shape, channelwise=physics.channelwise)
        if all(isinstance(getattr(physics, name, None), Tensor) for name in ("u", "vh", "mask")):
            return svd_of_matrix(physics.u * physics.mask @ physics.vh, shape, channelwise=True)
        return _own(physics, shape)


def _device_of(physics: Any) -> torch.device:
    buffers = physics.buffers() if isinstance(physics, nn.Module) else iter(())
    return next((one.device for one in buffers), torch.device("cpu"))


def _first(shape: Shape, device: torch.device) -> Tensor:
    """Images whose first pixel is bright and all others are 0."""
    point = torch.zeros(shape, device=device)
    point[..., 0, 0] = 1
    return point


def _own(physics: Any, shape: Shape) -> Svd | None:
    """Decomposition that a physics provides."""
    if not all(hasattr(physics, name) for name in ("U", "U_adjoint", "V", "V_adjoint", "mask")):
        return None
    mask = torch.as_tensor(physics.mask)
    if mask.ndim > 4 or mask.is_complex():
        return None
    s = mask.reshape((1,) * (4 - mask.ndim) + tuple(mask.shape))
    if any(own not in (1, size) for own, size in zip(s.shape, shape, strict=True)):
        return None
    # deepinv lets singular values be negative; the sign goes to U.
    sign, s = torch.where(s < 0, -1.0, 1.0).to(s), s.abs()
    seen = (s > 0).to(s)
    return Svd(
        s,
        physics.V,
        physics.V_adjoint,
        lambda z: physics.U(z * (sign * seen).to(z)),
        lambda y: physics.U_adjoint(y) * (sign * seen).to(y),
    )


def _holds(svd: Svd, measure: Callable[[Tensor], Tensor], shape: Shape, device: torch.device) -> bool:
    """True if a decomposition belongs to this map in an image's coordinates, tested on one image."""
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        z = svd.Vt(x)
        if z.shape != x.shape:
            return False
        s = svd.s.to(device)
        y, seen = measure(x), (s > 0).expand_as(z)
        pairs = [(svd.V(z), x), (svd.Vt(svd.V(x)), x), (svd.U(s * z), y), (svd.Ut(y)[seen], (s * z)[seen])]
        pairs.append((svd.Ut(svd.U(z))[seen], z[seen]))
    except (RuntimeError, ValueError):  # whatever a physics makes of coordinates that are not its own
        return False
    return all(a.shape == b.shape and (a - b).norm() <= 1e-3 * b.norm() for a, b in pairs)
