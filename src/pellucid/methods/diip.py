r"""DIIP: a search for the noise whose image is the damaged one, stopped before it fits the damage.

A few deterministic DDIM steps make an image g(z) of noise z. Adam optimises z until g(z) resembles the damaged image:

.. math:: z^* = \arg\min_z \| g(z) - y \|^2

A frozen generator fits clean images sooner than damage, so the iterates pass near the clean image. Two tests detect it:

- damage that adds high frequencies (noise, compression): the loss falls fast while the image is fitted and slowly while
  the damage is; stop at :math:`\Delta_k = (L_k - L_{k+1}) / L_k < \epsilon`;
- damage that removes them (blur, reduction): the images of g have sharper edges than y, until they imitate the blur;
  after k_min iterations, stop when the variance of g's Laplacian begins to fall.

Both compare successive iterates, which are noisy because of Adam. With a window of w they compare the mean of w
iterates with that of the w before.

References:
    Chihaoui and Favaro, "Diffusion Image Prior", 2025. https://arxiv.org/abs/2503.21410
    Chihaoui et al., "Blind Image Restoration via Fast Diffusion Inversion" (BIRD), NeurIPS 2024: the straight-through
        gradient and the sphere. https://arxiv.org/abs/2405.19572
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ..diagnosis.estimate import laplacian
from ..errors import UsageError
from ..maths.noise import Streams
from ..maths.problem import Problem
from ..priors.prior import Prior
from .generator import Generator, to_sphere
from .method import Effective, Method, State, with_gradients


@dataclass(frozen=True)
class DIIP(Generator):
    """Blind restoration by optimising the noise of a frozen generator, stopped early (Chihaoui and Favaro, 2025).

    Costs `steps` evaluations an iteration, at most `steps * iterations`, 15,000 at the defaults. With exact gradients
    each of them is computed once more and differentiated, about four evaluations' time; the memory is that of one step
    for any number of steps. Steps, rate and iterations are the paper's; its 0.001 and 100 for the two tests
    (`settings` of the tables diip-1 and diip-2) stop too early with a small prior (docs/diip.md).

    Attributes:
        steps: DDIM steps of the generator.
        rate: Adam's learning rate.
        iterations: the most.
        stop: "slope", the first test; "laplacian", the second; "auto", the earlier of both; "never".
        slope: epsilon of the first test.
        minimum: k_min of the second.
        window: number of iterates in the means of a test; 1 is the paper's.
        gradient: "straight-through", which treats the predicted noise as independent of the latent, as in BIRD's
            published code, whose inversion the paper uses; or "exact", through all steps, four times slower and with
            less progress.
        sphere: whether z keeps the length sqrt(C H W) of Gaussian noise.
    """

    effective: ClassVar[Effective] = {
        "slope": ("stop auto or slope", lambda self, _: self.stop in ("auto", "slope")),
        "minimum": ("stop auto or laplacian", lambda self, _: self.stop in ("auto", "laplacian")),
        "window": ("a stop other than never", lambda self, _: self.stop != "never"),
    }

    steps: int = 10
    rate: float = 0.0015
    iterations: int = 1500
    stop: Literal["auto", "slope", "laplacian", "never"] = "auto"
    slope: float = 0.0005
    minimum: int = 1000
    window: int = 10
    gradient: Literal["exact", "straight-through"] = "straight-through"
    sphere: bool = False

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        # Where the two tests stop nearest to the best at this rate (docs/diip.md).
        "fast": {"steps": 5, "rate": 0.01, "slope": 0.0032, "minimum": 150, "iterations": 300},
        "paper": {"slope": 0.001, "minimum": 100, "window": 1},
    }

    def __post_init__(self) -> None:
        self.require(self.steps >= 1, "steps", "at least 1")
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(self.iterations >= 1, "iterations", "at least 1")
        self.require(self.stop in ("auto", "slope", "laplacian", "never"), "stop", "auto, slope, laplacian or never")
        self.require(self.slope >= 0, "slope", "0 or more")
        self.require(self.minimum >= 0, "minimum", "0 or more")
        self.require(self.window >= 1, "window", "at least 1")
        self.require(self.gradient in ("exact", "straight-through"), "gradient", "exact or straight-through")

    @property
    def through_network(self) -> bool:
        """True if the gradient is exact."""
        return self.gradient == "exact"

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """See `Method`; the Laplacian is a test of pixels."""
        super().in_latents(known_operator)
        if self.stop == "laplacian":
            raise UsageError("DIIP: stop=laplacian is a test of pixels: in latents take slope or never")
        return replace(self, stop="slope" if self.stop == "auto" else self.stop), ""

    def nfe(self, prior: Prior) -> int:
        """Largest number of evaluations, without an earlier stop."""
        return super().nfe(prior) * self.iterations

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state an iteration. A stopped image stays unchanged while others of its batch continue.

        The states' `curves` are "loss" (the mean squared error in [-1, 1] units), "slope" and "laplacian".
        """
        self.require_blind(problem)
        y = problem.y
        prior = self.counted(prior)
        ladder = self.ladder(prior.sigmas).tolist()
        z = rng.like(y).requires_grad_()
        adam = torch.optim.Adam([z], lr=self.rate)
        watches = [Watch(self) for _ in y]
        for step in range(1, self.iterations + 1):
            with torch.enable_grad():
                x = self.generate(prior, z, ladder)
                error = (x - y).square().flatten(1)
            losses, sharpness = error.detach().mean(1).tolist(), laplacian_variance(x.detach()).tolist()
            for watch, image, loss, variance in zip(watches, x.detach(), losses, sharpness, strict=True):
                watch.see(image, loss, variance)
            done = all(watch.stopped for watch in watches)
            curves = {name: tuple(watch.newest[name] for watch in watches) for name in watches[0].newest}
            best = torch.stack([watch.image for watch in watches])
            yield State(step, step if done else self.iterations, 0.0, best, x.detach(), prior.nfe, curves)
            if done:
                return
            (z.grad,) = torch.autograd.grad(error.sum(), z)
            adam.step()
            if self.sphere:
                to_sphere(z)


class Watch:
    """Decides for one image when to stop, from its losses and its Laplacian's variance.

    Attributes:
        image: the result so far, (C, H, W): the newest iterate, or the chosen one after a stop.
        stopped: whether it has stopped.
        newest: this iterate's loss, slope (NaN while there is none) and Laplacian variance.
    """

    def __init__(self, method: DIIP) -> None:
        self._method = method
        self._images: deque[Tensor] = deque(maxlen=method.window + 1)
        self._losses: deque[float] = deque(maxlen=2 * method.window)
        self._variances: deque[float] = deque(maxlen=2 * method.window)
        self._seen = 0
        self.image: Tensor
        self.stopped = False
        self.newest: dict[str, float] = {}

    def see(self, image: Tensor, loss: float, variance: float) -> None:
        """Takes in one iterate; ignores further ones after a stop."""
        method, window = self._method, self._method.window
        if self.stopped:
            return
        self._images.append(image)
        self._losses.append(loss)
        self._variances.append(variance)
        self._seen += 1
        slope = math.nan
        falls = False
        if self._seen >= 2 * window:
            before, after = _halves(self._losses)
            slope = (before - after) / (window * before) if before else 0.0
            sharp_before, sharp_after = _halves(self._variances)
            falls = sharp_after < sharp_before
        self.newest = {"loss": loss, "slope": slope, "laplacian": variance}
        flat = method.stop in ("auto", "slope") and slope < method.slope
        duller = method.stop in ("auto", "laplacian") and falls and self._seen > method.minimum
        self.stopped = flat or duller
        # The iterate before the fall, not the first of those that fell.
        self.image = self._images[0] if self.stopped else image


def _halves(values: deque[float]) -> tuple[float, float]:
    """The means of the first and of the second half."""
    listed, half = list(values), len(values) // 2
    return sum(listed[:half]) / half, sum(listed[half:]) / half


def laplacian_variance(x: Tensor) -> Tensor:
    """Amount of fine detail in images: the variance of the discrete Laplacian of their brightness, (B,).

    Args:
        x: images, (B, C, H, W); images below 3 pixels in a direction have none.
    """
    grey = x.mean(1)
    if min(grey.shape[1:]) < 3:
        return grey.new_zeros(len(grey))
    return laplacian(grey).flatten(1).var(1, correction=0)
