r"""Deviations of published code from its paper, by name, to regenerate published figures.

The operators and methods of this library follow the mathematics. Code that made a table may differ, and figures follow
the code. This module has all known deviations that change figures, each with its effect:

- `blur("uniform")`, `blur("gaussian")`, `blur("anisotropic")`: the deblurring of DDRM, DDNM and DreamClean, whose
  singular values are those of other coefficients.
- `valid_blur()`: GDP's.
- `DDRMStrict`: DDRM's last step, which ends on the prior's estimate, and its treatment of zeros of a blur.
- `DDNMUnturned`: DDNM+ without V^T before it scales the kept noise, and with other singular values for its weights.
- `DPSBatch`, `DPSPoisson`: DPS with one norm over the whole batch; its branch for Poisson noise.
- `GDPReleased`: GDP's scales, colour loss, exposures, map and pushes.
- `SNIPSReleased`: SNIPS, which forgets the measurement of an operator of full rank.
- `noise(code, level)`: noise levels in these codes' configurations, some of which are in units twice as large.
- `PRESETS`: hyper-parameters of their scripts for each task.

References:
    DDRM: https://github.com/bahjat-kawar/ddrm; DDNM: https://github.com/wyhuai/DDNM;
    DPS: https://github.com/DPS2022/diffusion-posterior-sampling;
    GDP: https://github.com/Fayeben/GenerativeDiffusionPrior; SNIPS: https://github.com/bahjat-kawar/snips_torch
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import combinations
from typing import Any, Literal

import torch
from torch import Tensor

from .. import methods
from ..errors import UsageError, unknown_name
from ..maths.noise import Streams
from ..maths.problem import Problem, to_model, to_zero_one
from ..methods import Method
from ..methods.ddnm import Step
from ..methods.spectral import Measured
from ..operators import Grayscale, Operator, Svd
from ..operators.separable import Axis, Separable
from ..operators.unknown import Light, Theta, Unknown, family_of

# --- operators -------------------------------------------------------------------------------------------------------


class _Taps(Separable):
    """Convolution of rows and columns with kernels of their own, zeros beyond the edge.

    Args:
        down: taps along columns of pixels, whose place 0 is `middle` pixels before the result's.
        across: taps along rows of pixels.
        middle: see above.
        cut: singular values of an axis below this are made zero, in A itself.
        valid: whether results that depend on pixels beyond the edge are left out.
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


class _Misplaced(_Taps):
    """Such a convolution whose singular values lie where the published code puts them.

    That code sorts the products of both axes' values, keeps the spectral coordinates channel by channel inside each
    rank, and repeats the sorted values one list after the other. So the coefficient of rank r in channel c of C gets
    the value of rank (C r + c) modulo their number. Equal products, zeros among them, keep the order of the rows: that
    code's sort is not stable, so there the machine decides.

    Args:
        taps: see `_Taps`, down and across.
        middle: see `_Taps`.
        cut: singular values of an axis below this are zero.
    """

    def __init__(self, taps: tuple[tuple[float, ...], tuple[float, ...]], middle: int, cut: float) -> None:
        super().__init__(*taps, middle)
        self._least = cut

    def svd(self, shape: tuple[int, ...]) -> Svd:
        """See `Operator`."""
        true = super().svd(shape)
        axes = (self.axis(size, down) for size, down in ((shape[-2], True), (shape[-1], False)))
        rows, columns = (torch.where(axis.s < self._least, 0, axis.s) for axis in axes)
        return replace(true, s=_misplaced(torch.outer(rows, columns), shape[1]).float())

    def whole(self, shape: tuple[int, ...]) -> Tensor:
        """The singular values in their right places, none of them cut off, (1, 1, H, W)."""
        return super().svd(shape).s

    def A(self, x: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        svd = self.svd(tuple(x.shape))
        return svd.U(svd.s.to(x) * svd.Vt(x))

    def At(self, y: Tensor) -> Tensor:  # noqa: N802
        """See `Operator`."""
        return Operator.At(self, y)

    def pinv(self, y: Tensor) -> Tensor:
        """See `Operator`."""
        return Operator.pinv(self, y)

    def less(self, x: Tensor, y: Tensor) -> Tensor:
        """`x - At(y)`."""
        return x - self.At(y)


def _misplaced(s: Tensor, channels: int) -> Tensor:
    """Products of singular values (H, W), where the published code has them, (1, C, H, W)."""
    ordered, place = s.flatten().sort(descending=True, stable=True)
    ranks = torch.empty_like(place)
    ranks[place] = torch.arange(len(place))
    taken = (channels * ranks + torch.arange(channels)[:, None]) % len(place)
    return ordered[taken].view(1, channels, *s.shape)


def blur(name: Literal["uniform", "gaussian", "anisotropic"], cut: float = 0.03) -> Operator:
    """The deblurring operators of DDRM's and DDNM's code, which DreamClean's tables follow.

    Kernels of odd length lose their last tap after they were normalised: the uniform one has 8 of 9 taps, half a pixel
    beside the middle, and makes images darker, to 0.889 of their value an axis; the Gaussian one, of standard deviation
    10 on 5 taps, to 0.802. Singular values of an axis below `cut` are zero. Of more than one channel they belong to
    other coefficients than those they scale (`_Misplaced`), so that y is no blurred image alone.

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
    return _Misplaced((down[:-1], across[:-1]), len(down) // 2, cut)


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
    """y counts only where the level is strictly above its noise; the paper's equation 8 has "greater or equal".

    A blur's singular values of zero count as "noisier than y", and not as the null space. So pure noise of y replaces
    the latent's components there.
    """

    def __init__(
        self, problem: Problem, operator: Operator, sigma_y: float, method: str, faintest: float = math.inf
    ) -> None:
        super().__init__(problem, operator, sigma_y, method, faintest)
        self._noise: Tensor | None = None
        if sigma_y and isinstance(operator, _Misplaced):
            self._noise = operator.svd(operator.image_shape(tuple(problem.y.shape))).Ut(problem.y) / sigma_y

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
        """See `Measured`."""
        # At the end, sigma' = 0, nothing is above anything, and what is left is the estimate itself.
        if not sigma_next:
            return x0
        moved = super().step(x, x0, sigma, sigma_next, n, eta, eta_b, eta_y)
        if self._noise is None:
            return moved
        own = eta if eta_y is None else eta_y
        blind = x0 + sigma_next * (math.sqrt(1 - own**2) * self._noise + own * n)
        return torch.where(self.level.isinf(), blind, moved)


@dataclass(frozen=True)
class DDRMStrict(methods.DDRM):
    """DDRM as published code runs it: without noise its last step ignores y, and the result deviates slightly from it.

    With noise and a published blur see `_Strict`, too. Everything else is as in `DDRM`.
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
    """DDNM+ as published code runs it.

    For super-resolution V^T is left out before the kept noise is scaled. Which pixel takes the place of which spectral
    coordinate depends on the order of the singular vectors, which is not the published code's here: the effect is the
    same in kind, not in every number. For a published blur A and its pseudo-inverse have the misplaced singular values,
    and the weights lambda and the noise those in their right places, none of them cut off. Everything else is as in
    `DDNM`.
    """

    def _noisy(self, problem: Problem, operator: Operator, sigma_y: float, rng: Streams) -> Step:
        if isinstance(operator, _Misplaced):
            return self._blurred(problem, operator, sigma_y, rng)
        kind = Measured if isinstance(operator, Grayscale) else _Unturned
        measured = kind(problem, operator, sigma_y, "DDNM with noise")

        def step(x: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
            n = rng.like(x)
            return measured.V(measured.step(measured.Vt(x), measured.Vt(x0), sigma, sigma_next, n, self.eta))

        return step

    def _blurred(self, problem: Problem, operator: _Misplaced, sigma_y: float, rng: Streams) -> Step:
        shape = operator.image_shape(tuple(problem.y.shape))
        svd = operator.svd(shape)
        true = operator.whole(shape).to(problem.y)
        level = torch.where(true > 0, sigma_y / true, 0)

        def step(x: Tensor, x0: Tensor, sigma: float, sigma_next: float) -> Tensor:
            faint = sigma_next < level
            kept = math.sqrt(1 - self.eta**2) * sigma_next
            weight = torch.where(faint, true * kept / sigma_y, 1)
            fresh = torch.where(faint, sigma_next * self.eta, (sigma_next**2 - level**2).clamp_min(0).sqrt())
            fresh = torch.where(true > 0, fresh, sigma_next * self.eta)
            corrected = x0 - svd.V(weight * svd.Vt(operator.pinv(operator.A(x0) - problem.y)))
            # Where s = 0, and only there, the latent keeps its noise, again without V^T.
            old = torch.where(true > 0, 0, kept) * (x - x0) / sigma
            return corrected + svd.V(fresh * rng.like(x) + old)

        return step


@dataclass(frozen=True)
class DPSBatch(methods.DPS):
    """DPS as published code runs it: one norm over the whole batch, which makes each image's pull depend on the others.

    The same for a batch of one. Everything else is as in `DPS`.
    """

    def distance(self, residual: Tensor, y: Tensor) -> Tensor:
        """The norm of all residuals together, once."""
        norm: Tensor = residual.norm()[None]
        return norm


@dataclass(frozen=True)
class DPSPoisson(methods.DPS):
    """DPS as published code runs it for Poisson noise: the norm of the whole residual, divided by each |y|, on average.

    That is the norm times the mean of 1 / |y|, which the darkest and the brightest values do not decide, but those near
    mid grey. y must not be 0 anywhere. Everything else is as in `DPS`.
    """

    def distance(self, residual: Tensor, y: Tensor) -> Tensor:
        """Each image's norm times the mean of 1 / |y|, (B,)."""
        if not y.all():
            raise UsageError("DPSPoisson divides by the measurement, which is 0 in places: use DPS")
        return super().distance(residual, y) * torch.stack([one.abs().reciprocal().mean() for one in y])


@dataclass(frozen=True)
class SNIPSReleased(methods.SNIPS):
    """SNIPS as published code runs it: an operator without a null space loses its measurement.

    The code overwrites the last k gradients by the score alone, k singular values being zero. Where none is, "the last
    0" are all of them, and only the size of the steps still knows of y. Everything else is as in `SNIPS`.
    """

    def coefficients(self, level: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """See `SNIPS`."""
        towards_y, towards_x0, spread = super().coefficients(level, sigma)
        if level.isinf().any():
            return towards_y, towards_x0, spread
        share = spread.square() / (2 * self.rate * sigma**2)
        return torch.zeros_like(towards_y), self.rate * share, spread


# --- GDP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _ReleasedLight(Light):
    """One f and one M for all exposures, M from pixel to pixel, both moved by the gradient of a mean as it is."""

    def start(self, y: Tensor, channels: int, rng: Streams) -> Theta:
        """See `Unknown`; f ~ N(0, 0.01^2), M ~ U(0, 0.0001)."""
        factor = 0.01 * rng.like(y.new_empty(len(y), 1, 1, 1, 1))
        normal = rng.like(y.new_empty(len(y), 1, *y.shape[2:]))
        return {"gain": factor, "map": (1 + torch.erf(normal / math.sqrt(2))) / 2 / 10_000}

    def A(self, x: Tensor, theta: Theta, y: Tensor) -> Tensor:  # noqa: N802
        """See `Unknown`; white or black values of y count like all others."""
        made = (theta["gain"] * to_zero_one(x)[:, None] + theta["map"][:, :, None]).flatten(1, 2)
        return to_model(made.repeat(1, y.shape[1] // made.shape[1], 1, 1))

    def optimiser(self, theta: Theta) -> torch.optim.Optimizer:
        """See `Unknown`; the rate 1 of a mean over a patch of 256 x 256 pixels, each of which moves as in one."""
        height, width = theta["map"].shape[-2:]
        return torch.optim.SGD(
            [{"params": [theta["gain"]], "lr": 1.0}, {"params": [theta["map"]], "lr": height * width / 256**2}]
        )


@dataclass(frozen=True)
class GDPReleased(methods.GDP):
    """GDP as published code runs it.

    The variance is the learned one. f and M are one for all exposures, whose losses are summed for the push and
    averaged for f and M: for n exposures the push is n times `GDP`'s. The colour loss is Zero-DCE's code's, on [-1, 1]
    and not multiplied by `scale`. In low light a step pushes twice; both pushes begin from the same f and M, which move
    once. Everything else is as in `GDP`; `rate`, `map_rate`, `cell` and `per_channel` are of no effect on light.

    Attributes:
        colour: weight of the colour loss; 500 in the released code for colours.
        pushes: how often a step adds the same push; 2 in the released code for low light.
        updates: how often f and M move in a step, the push being the last one's; 6 in the code's variant for a single
            patch.
    """

    variance: Literal["posterior", "beta", "learned"] = "learned"
    smooth: float = 0.0
    pushes: int = 1
    updates: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.pushes >= 1, "pushes", "at least 1")
        self.require(self.updates >= 1, "updates", "at least 1")
        self.require(self.scale != 0 or not self.colour, "scale", "above 0 beside a weight of colour")

    def family(self, problem: Problem) -> Unknown:
        """See `GDP`."""
        return family_of(problem.operator, _ReleasedLight()) if self.degradation == "light" else super().family(problem)

    def gradients(
        self, family: Unknown, x: Tensor, y: Tensor, theta: Theta, small: Tensor | None = None
    ) -> tuple[tuple[float, ...], Tensor]:
        """See `GDP`."""
        own = methods.GDP(**{one.name: getattr(self, one.name) for one in fields(methods.GDP)} | {"colour": 0.0})
        for _ in range(self.updates - 1):
            own.gradients(family, x, y, theta, small)
            optimiser = family.optimiser(theta)
            if optimiser is not None:
                optimiser.step()
        losses, slope = own.gradients(family, x, y, theta, small)
        exposures = y.shape[1] // x.shape[1] if isinstance(family, Light) else 1
        slope = self.pushes * exposures * slope
        if self.colour:
            with torch.enable_grad():
                free = x.detach().requires_grad_()
                (tint,) = torch.autograd.grad(released_colour(free).sum(), free)
            slope = slope + self.colour / self.zeta(family) * tint
        return losses, slope


def released_colour(x: Tensor) -> Tensor:
    """The colour loss of Zero-DCE's code, (B,): the root of the sum of the fourth powers of the means' differences.

    Args:
        x: (B, 3, H, W), in [-1, 1] where GDP's code asks for it.
    """
    means = x.flatten(2).mean(2)
    pairs = [(means[:, p] - means[:, q]) ** 4 for p, q in combinations(range(means.shape[1]), 2)]
    # At grey the root has no slope.
    return torch.stack(pairs).sum(0).clamp_min(torch.finfo(x.dtype).tiny).sqrt()


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
        "colorization": DDNMUnturned(),
        "inpainting": DDNMUnturned(),
    },
    "dps": {
        "sr4": DPSBatch(scale=0.3),
        "blur": DPSBatch(scale=0.3),
        "inpainting": DPSBatch(scale=0.5),
        "phase retrieval": DPSBatch(scale=1.0),
    },
    "gdp": {
        "sr4": GDPReleased(scale=2000),
        "blur": GDPReleased(scale=6000),
        "inpainting": GDPReleased(scale=4000),
        "colorization": GDPReleased(scale=6000, colour=500),
        "low light": GDPReleased(scale=80_000, pushes=2),
        "hdr": GDPReleased(scale=80_000),
    },
}
"""Method and task, to the method as its published script runs it."""


def noise(code: str, level: float) -> float:
    """Converts a noise level of published code to this library's [0, 1] units.

    DDRM and DDNM double the given level for images in [-1, 1], as this library does. DPS and BlindDPS add it to
    images in [-1, 1] as it is, so that their 0.05 is half of the others'. RED counts from 0 to 255.

    Raises:
        UsageError: nothing is known of this code.
    """
    ranges = {"ddrm": 1, "ddnm": 1, "gibbsddrm": 1, "snips": 1, "dps": 2, "blinddps": 2, "red": 255}
    if code not in ranges:
        raise unknown_name("code", code, ranges)
    return level / ranges[code]
