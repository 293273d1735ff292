r"""DreamClean: invert, walk towards the clean images, return.

Blind restoration (algorithms A1-A3). With the levels s_0 < s_1 < ... < s_n of the training ladder up to strength tau,

1. DDIM inversion takes the damaged image from s_0 to s_n: the latents on its way have low probability, since the prior
   does not model such an image;
2. from s_n down to s_1, Variance Preservation Sampling moves the latent M times towards high probability without
   changing its noise level. Then a DDIM step on a fresh estimate goes one level down.

In the paper's coordinates one correction at level t is (eq. 8-10, A2)

.. math:: y \leftarrow y + \eta_l \nabla \log p_t(y) + \eta_g n, \quad
          \eta_l = \gamma (1 - \bar\alpha_t), \quad \eta_g = \sqrt{\gamma (2 - \gamma)} \sqrt{1 - \bar\alpha_t}.

Divided by sqrt(abar_t), and with the score (x0 - x) / sigma^2, it is x0 + (1 - gamma) (x - x0) + sqrt(gamma (2 -
gamma)) sigma n: the noise shrinks by 1 - gamma, and fresh noise restores its level.

The paper's inversion begins at s_0, as if the image were clean, and treats the image's noise as part of the picture.
With `start="noise"` it begins at the noise level that the prior estimates in the image (`estimate.noise_seen`). Then
the image's noise belongs to the latent, and disappears with it on the way down.

Fewer evaluations: with `shared` a level's corrections and its step reuse the estimate of the step to that level. So the
way down consists of DDIM steps with fresh noise, one evaluation a level; with `climb` inversion takes several levels
at once, of second order. The preset "fast" has both, on fewer levels.

References:
    Xiao et al., "DreamClean: Restoring Clean Image Using Deep Diffusion Prior", ICLR 2024.
    Lu et al., "DPM-Solver++", 2022, algorithm 2, for the second order. https://arxiv.org/abs/2211.01095
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..diagnosis.estimate import EVIDENCE, Evidence, evidence, noise_seen
from ..maths.noise import Streams, axpy, each, extrapolated, invert, renoise, respace
from ..maths.problem import Problem
from ..priors.prior import Counted, Prior
from .method import Effective, Method, State
from .onebyone import Run, firsts, left_alone, one_by_one, shared
from .plan import KEPT, LEFT


@dataclass(frozen=True)
class DreamClean(Method):
    """Blind restoration by DDIM inversion and Variance Preservation Sampling (Xiao et al., ICLR 2024).

    Costs n (2 + M) evaluations with n = floor(strength / 1000 * steps) levels and M corrections, 90 at the paper's
    settings. If corrections are `shared`, M counts as 0. Inversion takes one of the two, or 1 / `climb`. With
    `start="forward"` there is no inversion. With `start="noise"` there are 8 more to estimate the noise, minus one for
    each level below it.

    Attributes:
        strength: tau, the highest level on the noise ladder, in thousandths of it, (0, 1000]. Higher values repair more
            damage and invent more; 300 is the paper's, and the preset "paper". "auto" estimates it for each image with
            10 evaluations (`estimate.evidence`).
        steps: DDIM steps of the whole ladder, of which those up to `strength` are walked: the levels floor(i T / steps)
            of T training levels (DDIM, appendix D.3).
        gamma: size of a correction, [0, 1]; 0 gives a plain DDIM round trip.
        corrections: M, Variance Preservation Sampling moves at each level.
        schedule: noise added by a correction (the paper's Table 5): "preserving", sqrt(gamma (2 - gamma)) sigma, keeps
            the level (the method); "langevin", sqrt(2 gamma) sigma, raises it; "none" lets it fall.
        start: "invert" is DDIM inversion from the ladder's first level; "noise" inverts from the image's estimated
            noise level; "forward" adds noise of level tau to it (eq. 2).
        fidelity: closeness to the image if the strength is "auto", [0, 1]: tau is 2 (1 - fidelity) times the best value
            on average; 1 changes nothing.
        shared: whether a level's corrections and its step share one evaluation in place of 1 + M.
        climb: levels for each move of the inversion; moves over several levels are of second order.
    """

    strength: float | Literal["auto"] = "auto"
    steps: int = 100
    gamma: float = 0.05
    corrections: int = 1
    schedule: Literal["preserving", "langevin", "none"] = "preserving"
    start: Literal["invert", "noise", "forward"] = "invert"
    fidelity: float = 0.5
    shared: bool = False
    climb: int = 1

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "fast": {"steps": 60, "gamma": 0.07, "shared": True, "climb": 3},
        "paper": {"strength": 300},
    }
    effective: ClassVar[Effective] = {
        "fidelity": ("strength auto", lambda self, _: self.strength == "auto"),
        "gamma": ("corrections", lambda self, _: self.corrections > 0),
        "schedule": ("corrections", lambda self, _: self.corrections > 0),
        "climb": ("start invert or noise", lambda self, _: self.start != "forward"),
    }

    def __post_init__(self) -> None:
        auto = self.strength == "auto"
        self.require(auto or 0 < self._fixed <= 1000, "strength", "above 0, at most 1000, or auto")
        self.require(0 <= self.fidelity <= 1, "fidelity", "from 0 to 1")
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.gamma <= 1, "gamma", "from 0 to 1")
        self.require(self.corrections >= 0, "corrections", "0 or more")
        self.require(self.schedule in _FRESH, "schedule", f"one of {', '.join(_FRESH)}")
        self.require(self.start in ("invert", "noise", "forward"), "start", "invert, noise or forward")
        self.require(self.climb >= 1, "climb", "at least 1")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """The levels of the walk on a training ladder: descending, down to its first level, where inversion starts.

        An automatic strength, or one below the grid's first step, is the top itself, and the levels are evenly spaced.
        """
        count = math.floor(self._fixed * self.steps / 1000 + 1e-9)
        if self.strength == "auto" or not count:
            return self.evenly(sigmas)
        index = torch.arange(count + 1) * len(sigmas) // self.steps
        return sigmas[index.clamp_max(len(sigmas) - 1).unique_consecutive().flip(0)]

    def evenly(self, sigmas: Tensor) -> Tensor:
        """The same number of levels at even distances below the strength itself, for any automatic strength."""
        top = min(max(round(self._fixed / 1000 * len(sigmas)), 1), len(sigmas) - 1)
        return respace(sigmas, math.ceil(self._fixed * self.steps / 1000 - 1e-9), top)

    @property
    def _fixed(self) -> float:
        """The strength, or the highest possible automatic one."""
        return _MOST if self.strength == "auto" else self.strength

    def nfe(self, prior: Prior) -> int:
        """Makes n (1 + M) evaluations on the way down, n if they are shared, and one for each move of the inversion.

        At most 8 more from the noise; at most 10 more if the strength is "auto", with n for the highest possible one.
        """
        levels = len(self.ladder(prior.sigmas)) - 1
        moves = levels * (1 if self.shared else 1 + self.corrections)
        moves += 0 if self.start == "forward" else math.ceil(levels / self.climb)
        if self.strength == "auto":
            return moves + EVIDENCE
        return moves + _CALLS * (self.start == "noise")

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; an automatic strength, which needs pixels, becomes 300."""
        super().in_latents(known_operator)
        if self.strength != "auto":
            return self, ""
        strength = 2 * (1 - self.fidelity) * _PAPERS
        if strength < 1:
            return None, "left unchanged"
        note = f"dreamclean at strength {strength:.0f} (an automatic strength needs pixels)"
        return replace(self, strength=strength), note

    def chosen(self, found: Evidence) -> DreamClean | None:
        """Copy with the strength for an image with given evidence; None if the image is best left alone."""
        strength = 2 * (1 - self.fidelity) * found.strength
        if strength < _LEAST:
            return None
        return replace(self, strength=strength, start="noise" if found.noise and self.start == "invert" else self.start)

    def correct(self, x: Tensor, x0: Tensor, sigma: float | Tensor, rng: Streams) -> Tensor:
        """One correction (eq. 8-10): removes gamma of the noise and adds the schedule's noise."""
        x = renoise(x, x0, sigma, (1 - self.gamma) * sigma)
        fresh = _FRESH[self.schedule](self.gamma)
        return axpy(each(fresh * sigma, x), rng.like(x), x) if fresh else x

    @torch.no_grad()
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`: n states on the way up (none with `start="forward"`), n on the way down.

        The image counts as a latent of the training ladder's first level (sigma 0.01 for DDPM), and the last step goes
        to sigma = 0. Nothing is clipped.
        """
        self.require_blind(problem)
        if self.strength == "auto":
            different = list(dict.fromkeys(firsts(problem.y)))
            found = dict(zip(different, evidence(Counted(prior), problem.y[different]), strict=True))
            runs = shared(problem.y, lambda i: self.auto(prior, found[i]))
            yield from one_by_one(problem, rng, runs)
        else:
            yield from self.walk(problem.y, Counted(prior), rng)

    def auto(self, prior: Prior, found: Evidence) -> Run:
        """Settings for one image by the evidence of its damage."""
        method = self.chosen(found)
        if method is None:
            return left_alone(KEPT if self.fidelity == 1 else LEFT, EVIDENCE)
        note = f"dreamclean at strength {method._fixed:.0f}"
        if found.noise:
            note += f", from the noise of {found.noise / 2:.3f} found"
        ladder = method.evenly(prior.sigmas)
        return Run(lambda y, rng: method.walk(y, Counted(prior), rng, found.noise or None, ladder), EVIDENCE, note)

    @torch.no_grad()
    def walk(
        self, y: Tensor, prior: Counted, rng: Streams, noise: float | None = None, ladder: Tensor | None = None
    ) -> Iterator[State]:
        """Walks up and down at a known strength.

        Args:
            y: images, (B, C, H, W).
            prior: the prior.
            rng: each image's random stream.
            noise: their noise level, in [-1, 1] units, for `start="noise"`; None to estimate it.
            ladder: the levels; None for `ladder`.
        """
        ladder = self.ladder(prior.sigmas) if ladder is None else ladder
        top: float | Tensor
        top, *below = ladder.tolist()[:-1]
        # From the top, so that inversion ends there.
        climb = torch.cat([ladder[:-1][:: self.climb], ladder[-1:]])
        total = 1 + len(below) + (0 if self.start == "forward" else len(climb) - 1)
        step, x = 0, y

        if self.start == "invert":
            for level, x, x0 in invert(prior, y, climb, self._order):
                yield State(step := step + 1, total, level, x, x0, prior.nfe)
        elif self.start == "noise":
            found = noise_seen(prior, y, _CALLS) if noise is None else torch.full((len(y),), noise).to(y)
            for level, x, x0 in self.rise(prior, y, found, climb.flip(0).tolist()):
                noises = {"noise": tuple(found.tolist())}
                yield State(step := step + 1, total, level, x, x0, prior.nfe, noises, found={"noise": found})
            # Noise above tau is where the way down begins.
            top = found.clamp_min(top)
        else:
            x = x + top * rng.like(x)

        for sigma, sigma_next in zip([top, *below], [*below, 0.0], strict=True):
            x0, before = prior(x, sigma), x
            for _ in range(self.corrections):
                x = self.correct(x, x0, sigma, rng)
                if not self.shared:
                    x0 = prior(x, sigma)
            seen = (sigma, before, x) if self.corrections else None
            x = renoise(x, x0, sigma, sigma_next)
            yield State(step := step + 1, total, sigma_next, x, x0, prior.nfe, corrected=seen)

    def rise(
        self, prior: Prior, y: Tensor, found: Tensor, levels: list[float]
    ) -> Iterator[tuple[float, Tensor, Tensor]]:
        """DDIM inversion of each image from its level, (B,), at which it waits for the ladder."""
        x = x0 = before = y
        sigma_before = found.clamp_min(levels[0])
        for low, high in pairwise(levels):
            sigma, sigma_next = found.clamp_min(low), found.clamp_min(high)
            rises = (sigma_next > sigma).view(-1, 1, 1, 1)
            if rises.any():
                x0 = prior(x, sigma)
                used = x0 if self._order == 1 else extrapolated(x0, sigma, sigma_next, sigma_before, before)
                x = torch.where(rises, renoise(x, used, sigma, sigma_next), x)
                before, sigma_before = x0, sigma
            yield high, x, x0

    @property
    def _order(self) -> Literal[1, 2]:
        """Order of the inversion."""
        return 1 if self.climb == 1 else 2


@dataclass(frozen=True)
class Descent(Method):
    """Base of DreamClean's variants for known degradations: only the way down, from noise of level tau.

    Attributes:
        strength: tau, the starting level on the ladder, in thousandths of it, (0, 1000].
        steps: DDIM steps of the whole ladder, of which those up to `strength` are walked.
        gamma: size of a correction, [0, 1].
        corrections: M, corrections at each level.
    """

    blind: ClassVar[bool] = False

    effective: ClassVar[Effective] = {"gamma": ("corrections", lambda self, _: self.corrections > 0)}

    strength: float = 300
    steps: int = 100
    gamma: float = 0.05
    corrections: int = 1

    def __post_init__(self) -> None:
        self.require(0 < self.strength <= 1000, "strength", "above 0, at most 1000")
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 <= self.gamma <= 1, "gamma", "from 0 to 1")
        self.require(self.corrections >= 0, "corrections", "0 or more")

    def ladder(self, sigmas: Tensor) -> Tensor:
        """Levels of blind DreamClean's walk: descending, then 0."""
        levels = DreamClean(strength=self.strength, steps=self.steps).ladder(sigmas)
        return torch.cat([levels[:-1], levels.new_zeros(1)])

    def nfe(self, prior: Prior) -> int:
        """Makes n (1 + M)."""
        return (len(self.ladder(prior.sigmas)) - 1) * (1 + self.corrections)


# The highest and the lowest strength that is ever chosen for an image.
_MOST, _LEAST = 140, 1
_PAPERS = 300.0
_CALLS = 8
"""Number of evaluations to estimate the noise."""

_FRESH: dict[str, Callable[[float], float]] = {
    "preserving": lambda gamma: math.sqrt(gamma * (2 - gamma)),
    "langevin": lambda gamma: math.sqrt(2 * gamma),
    "none": lambda gamma: 0.0,
}
"""Share of fresh noise, eta_g / sqrt(1 - abar), of the three schedules of the paper's Table 5."""
