r"""What published code does beside its paper, by name: operators and methods for regenerating published figures.

The operators and methods of this library are the mathematics. Code that made a table may differ from it, and figures
follow the code. What is known to change them is here, each with what it does, and nothing of it is anywhere else:

- `blur("uniform")`, `blur("gaussian")`, `blur("anisotropic")`: the deblurring of DDRM, DDNM and DreamClean.
- `valid_blur()`: GDP's.
- `DDRMStrict`: DDRM's last step, which ends on the prior's own estimate.
- `DDNMUnturned`: DDNM+ without V^T before it scales the kept noise.
- `DPSBatch`: DPS with one norm over the whole batch.
- `noise(code, level)`: noise levels in these codes' configurations, some of which mean twice as much as others.
- `PRESETS`: the hyper-parameters that their scripts pass for each task.

References:
    DDRM: https://github.com/bahjat-kawar/ddrm; DDNM: https://github.com/wyhuai/DDNM;
    DPS: https://github.com/DPS2022/diffusion-posterior-sampling;
    GDP: https://github.com/Fayeben/GenerativeDiffusionPrior
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from .. import methods
from ..errors import UsageError, unknown_name
from ..methods import Method
from ..methods.spectral import Measured
from ..operators import Operator
from ..operators.separable import Axis, Separable

# --- operators -------------------------------------------------------------------------------------------------------


class _Taps(Separable):
    """Convolution of rows and columns with kernels of their own, zeros beyond the edge.

    Args:
        down: taps along columns of pixels, whose place 0 is `middle` pixels before the result's.
        across: taps along rows of pixels.
        middle: see above.
        cut: singular values of an axis below this are made zero, in A itself.
        valid: whether results that lean on pixels beyond the edge are left out.
    """

    def __init__(
        self, down: tuple[float, ...], across: tuple[float, ...], middle: int, cut: float = 0.0, valid: bool = False
    ) -> None:
        self._down, self._across = down, across
        self._middle, self._cut, self._valid = middle, cut, valid

    def axis(self, size: int, down: bool) -> Axis:
        """See `Separable`."""
        return _axis(self._down if down else self._across, self._middle, size, self._cut, self._valid)

    def image_shape(self, measured: tuple[int, ...]) -> tuple[int, ...]:
        """See `Operator`."""
        lost = len(self._down) - 1 if self._valid else 0
        return (*measured[:2], measured[2] + lost, measured[3] + lost)


@lru_cache(maxsize=16)
def _axis(taps: tuple[float, ...], middle: int, size: int, cut: float, valid: bool) -> Axis:
    if valid and size < len(taps):
        raise UsageError(f"this blur takes images of {len(taps)} pixels and more, not {size}")
    place = torch.arange(size)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for index, tap in enumerate(taps):
        source = place + index - middle
        inside = (source >= 0) & (source < size)
        matrix[place[inside], source[inside]] += tap
    if valid:
        matrix = matrix[middle : size - (len(taps) - 1 - middle)]
    if not cut:
        return Axis(matrix)
    u, s, vt = torch.linalg.svd(matrix)
    kept = s >= cut
    return Axis((u[:, kept] * s[kept]) @ vt[kept])


def blur(name: Literal["uniform", "gaussian", "anisotropic"], cut: float = 0.03) -> Operator:
    """The deblurring operators of DDRM's and DDNM's code, which DreamClean's tables follow.

    Kernels of odd length lose their last tap after they were normalised: the uniform one has 8 of 9 taps, half a pixel
    beside the middle, and makes images darker, to 0.889 of their value an axis; the Gaussian one, of standard deviation
    10 on 5 taps, to 0.802. Singular values of an axis below `cut` are zero.

    Args:
        name: "uniform", 9 taps; "gaussian", 5 taps, nearly a box; "anisotropic", 9 taps of standard deviation 20 along
            rows and 1 along columns.
        cut: 0.03 in their code; 0 for none.

    Raises:
        UsageError: there is no such blur.
    """
    shapes: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
        "uniform": (_bell(9, math.inf), _bell(9, math.inf)),
        "gaussian": (_bell(5, 10), _bell(5, 10)),
        "anisotropic": (_bell(9, 1), _bell(9, 20)),
    }
    if name not in shapes:
        raise unknown_name("published blur", name, shapes)
    down, across = shapes[name]
    return _Taps(down[:-1], across[:-1], len(down) // 2, cut)


def valid_blur() -> Operator:
    """The blur of GDP's code: 9 x 9, standard deviation 2.18 an axis, the border cut off: 256 pixels become 248."""
    # Its kernel, of standard deviation "2" in units that depend on the kernel's length, is 2.18 pixels wide.
    taps = _bell(9, 2.18)
    return _Taps(taps, taps, 4, valid=True)


def _bell(size: int, std: float) -> tuple[float, ...]:
    """A Gaussian's taps, their sum 1; a box where the standard deviation is infinite."""
    place = torch.arange(size, dtype=torch.float64) - size // 2
    taps = torch.exp(-0.5 * (place / std) ** 2)
    return tuple((taps / taps.sum()).tolist())


# --- methods ---------------------------------------------------------------------------------------------------------


class _Strict(Measured):
    """y counts only where the level is strictly above its noise; the paper's equation 8 has "greater or equal"."""

    def step(self, x: Tensor, x0: Tensor, sigma: float, sigma_next: float, *rest: Any) -> Tensor:
        # At the end, sigma' = 0, nothing is above anything, and what is left is the estimate itself.
        return super().step(x, x0, sigma, sigma_next, *rest) if sigma_next > 0 else x0


@dataclass(frozen=True)
class DDRMStrict(methods.DDRM):
    """DDRM as published code runs it: without noise its last step forgets y, and the result disagrees with it a little.

    Everything else is as in `DDRM`.
    """

    measured = _Strict


class _Unturned(Measured):
    """The null space keeps `V(d eps)` of its noise, where `V(d V^T eps)` is meant."""

    def step(self, x: Tensor, x0: Tensor, sigma: float, sigma_next: float, *rest: Any) -> Tensor:
        # The kept noise, as an image, is taken for spectral coordinates.
        taken = x0 + self.V(x - x0)
        return super().step(torch.where(self.level.isinf(), taken, x), x0, sigma, sigma_next, *rest)


@dataclass(frozen=True)
class DDNMUnturned(methods.DDNM):
    """DDNM+ as published code runs it for super-resolution and blur: V^T is left out before the kept noise is scaled.

    Which pixel takes the place of which spectral coordinate depends on the order of the singular vectors, which is not
    the published code's here: the effect is the same in kind, not in every number. Everything else is as in `DDNM`.
    """

    measured = _Unturned


@dataclass(frozen=True)
class DPSBatch(methods.DPS):
    """DPS as published code runs it: one norm over the whole batch, which makes each image's pull depend on the others.

    The same for a batch of one. Everything else is as in `DPS`.
    """

    def distance(self, residual: Tensor) -> Tensor:
        """The norm of all residuals together, once."""
        norm: Tensor = residual.norm()[None]
        return norm


PRESETS: dict[str, dict[str, Method]] = {
    "ddrm": {
        "sr4": DDRMStrict(),
        "blur": DDRMStrict(),
        "colorization": DDRMStrict(),
        "inpainting": DDRMStrict(),
    },
    "ddnm": {
        "sr4": DDNMUnturned(),
        "blur": DDNMUnturned(),
        "colorization": methods.DDNM(),
        "inpainting": methods.DDNM(),
    },
    "dps": {
        "sr4": DPSBatch(scale=0.3),
        "blur": DPSBatch(scale=0.3),
        "inpainting": DPSBatch(scale=0.5),
        "phase retrieval": DPSBatch(scale=1.0),
    },
    "gdp": {
        "sr4": methods.GDP(scale=2000),
        "blur": methods.GDP(scale=6000),
        "inpainting": methods.GDP(scale=4000),
        "colorization": methods.GDP(scale=6000),
    },
}
"""Method and task, to the method as its published script runs it. GDP's colours also have a loss of their own there."""


def noise(code: str, level: float) -> float:
    """A noise level as published code is told it, in this library's [0, 1] units.

    DDRM and DDNM double what they are told for images in [-1, 1], as this library does. DPS and BlindDPS add it to
    images in [-1, 1] as it is, so that their 0.05 is half of the others'. RED counts from 0 to 255.

    Raises:
        UsageError: nothing is known of this code.
    """
    ranges = {"ddrm": 1, "ddnm": 1, "gibbsddrm": 1, "snips": 1, "dps": 2, "blinddps": 2, "red": 255}
    if code not in ranges:
        raise unknown_name("code", code, ranges)
    return level / ranges[code]
