r"""DIP: an untrained convolutional network that fits the clean image before it fits the damage.

Nothing is trained in advance. Adam fits the weights of a fresh network f, whose input u is fixed noise, to the
measurement of one image:

.. math:: \theta^* = \arg\min_\theta \| A(f_\theta(u)) - y \|^2, \quad x = f_{\theta^*}(u)

with A = 1 for an unknown degradation. The network fits natural structure sooner than noise, so the fit must end early:
after a number of iterations, as in the paper, or by a test. A little noise is added to the input at each iteration, and
the result is a running mean of the network's images.

The test is ES-WMV: the variance of the last W images,

.. math:: V_k = \frac{1}{W} \sum_{w<W} \Big\| x_{k-w} - \frac{1}{W} \sum_{v<W} x_{k-v} \Big\|^2,

falls while the image emerges and rises with the noise. The result is the image at the least V. The fit ends when V has
had no new minimum for a number of iterations, the patience.

References:
    Ulyanov et al., "Deep Image Prior", CVPR 2018. https://arxiv.org/abs/1711.10925
    Wang et al., "Early Stopping for Deep Image Prior", TMLR 2023. https://arxiv.org/abs/2112.06074
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import PellucidError
from ..maths.noise import Streams
from ..maths.problem import Problem, to_model, to_zero_one
from ..operators import Denoise
from ..priors.prior import Prior, round_up
from .method import PAPERS, Effective, Method, State, with_gradients
from .skip_network import SkipNetwork, fresh


@dataclass(frozen=True)
class DIP(Method):
    """Restoration by fitting an untrained network to a single image (Ulyanov et al., CVPR 2018).

    It evaluates no prior. It costs a forward and a backward pass of its network for each image and iteration. The
    defaults are the paper's for noise of 25/255. A given operator is used; the noise level is not.

    Attributes:
        iterations: the most.
        rate: Adam's learning rate.
        jitter: standard deviation of the noise added to the input at each iteration.
        average: the share that the running mean of images keeps at each iteration; 0 gives the network's last image.
        stop: "never", or "variance", the test above.
        window: images that the test looks at, W.
        patience: iterations without a smaller variance after which it ends.
        levels: of the network; each halves the side.
        channels: of each level.
        skip: channels of each connection from the way down to the way up.
        inputs: channels of the input.
    """

    presets = PAPERS

    takes_operator: ClassVar[bool] = True
    needs_prior: ClassVar[bool] = False
    needs_noise: ClassVar[bool] = False

    effective: ClassVar[Effective] = {
        name: ("stop variance", lambda self, _: self.stop == "variance") for name in ("window", "patience")
    }

    iterations: int = 3000
    rate: float = 0.01
    jitter: float = 1 / 30
    average: float = 0.99
    stop: Literal["never", "variance"] = "never"
    window: int = 100
    patience: int = 1000
    levels: int = 5
    channels: int = 128
    skip: int = 4
    inputs: int = 32

    def __post_init__(self) -> None:
        self.require(0 < self.rate < math.inf, "rate", "above 0")
        self.require(0 <= self.jitter < math.inf, "jitter", "0 or more")
        self.require(0 <= self.average < 1, "average", "from 0 to below 1")
        self.require(self.stop in ("never", "variance"), "stop", "never or variance")
        self.require(self.window >= 2, "window", "at least 2")
        for field in ("iterations", "patience", "levels", "channels", "skip", "inputs"):
            self.require(getattr(self, field) >= 1, field, "at least 1")

    def nfe(self, prior: Prior) -> int:
        """Always None: it needs no prior."""
        return 0

    @with_gradients
    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; one state an iteration. A stopped image stays unchanged while others of its batch continue.

        The states' `curves` have the "loss", the mean squared error of the measurement in [0, 1] units. With the test
        they also have the "variance", V above as a mean over the image's values; it is NaN for the first W - 1
        iterations.

        Raises:
            PellucidError: an image of the network is not finite.
        """
        if problem.operator is None:
            self.require_blind(problem)
        y, operator = problem.y, problem.operator or Denoise()
        channels, height, width = operator.image_shape(tuple(y.shape))[1:]
        fits = [_Fit(self, y, channels, height, width, generator) for generator in _generators(rng, len(y))]
        for step in range(1, self.iterations + 1):
            with torch.enable_grad():
                images = torch.cat([fit.image() for fit in fits])
                made = operator.A(to_model(images))
                # One by one: how a sum over a batch is rounded may depend on the batch.
                losses = [
                    (to_zero_one(own) - to_zero_one(wanted)).square().mean()
                    for own, wanted in zip(made, y, strict=True)
                ]
            values = [loss.item() for loss in losses]
            if not all(math.isfinite(value) for value in values):
                raise PellucidError(f"DIP's image at iteration {step} is not finite: choose a smaller rate than it has")
            for fit in fits:
                fit.see()
            done = all(fit.stopped for fit in fits)
            curves = {"loss": tuple(values)}
            if self.stop == "variance":
                curves["variance"] = tuple(fit.variance for fit in fits)
            x = to_model(torch.stack([fit.result for fit in fits]))
            x0 = to_model(images.detach())
            yield State(step, step if done else self.iterations, 0.0, x, x0, 0, curves)
            if done:
                return
            running = [fit for fit in fits if not fit.stopped]
            slopes = iter(torch.autograd.grad(torch.stack(losses).sum(), [w for fit in running for w in fit.weights]))
            for fit in running:
                fit.step(slopes)


class _Fit:
    """The network of one image and its result; images in [0, 1].

    Attributes:
        result: the current result, (C, H, W).
        stopped: whether the test has ended it.
        variance: variance of the last images, NaN while they are too few.
        weights: the fitted tensors.
    """

    def __init__(
        self, method: DIP, y: Tensor, channels: int, height: int, width: int, generator: torch.Generator
    ) -> None:
        self._method = method
        self._generator = generator
        self._size = (height, width)
        with torch.device("meta"):
            empty = SkipNetwork(method.inputs, channels, method.levels, method.channels, method.skip)
        self._network = fresh(generator, y, empty)
        # The image is a corner of what the network makes: no pixel of y has to be invented.
        side = [max(round_up(size, empty.multiple), 2 * empty.multiple) for size in self._size]
        self._input = torch.rand(1, method.inputs, *side, generator=generator).to(y) / 10
        self.weights = list(self._network.parameters())
        self._adam = torch.optim.Adam(self.weights, lr=method.rate)
        self._newest: Tensor
        self._mean: Tensor | None = None
        self._test = MovingVariance(method.window, method.patience)
        self.result: Tensor
        self.stopped = False
        self.variance = math.nan

    def image(self) -> Tensor:
        """Image of the network, (1, C, H, W), differentiable; the last one again after a stop."""
        if not self.stopped:
            noise = torch.randn(self._input.shape, generator=self._generator).to(self._input)
            made = self._network(self._input + self._method.jitter * noise)
            self._newest = made[..., : self._size[0], : self._size[1]]
        return self._newest.detach() if self.stopped else self._newest

    def see(self) -> None:
        """Takes in the newest image."""
        if self.stopped:
            return
        newest = self._newest.detach()[0]
        self._mean = newest if self._mean is None else newest.lerp(self._mean, self._method.average)
        if self._method.stop == "never":
            self.result = self._mean
            return
        if self._test.see(newest):
            self.result = self._mean
        self.variance, self.stopped = self._test.variance, self._test.stopped

    def step(self, slopes: Iterator[Tensor]) -> None:
        """Makes one step of Adam with the next of the gradients, one for each of `weights`."""
        for weight in self.weights:
            weight.grad = next(slopes)
        self._adam.step()


class MovingVariance:
    """Finds an image that is similar to its predecessors, ES-WMV (Wang et al., algorithm 1).

    Args:
        window: W, the images compared.
        patience: images without a smaller variance after which it stops.

    Attributes:
        variance: of the last W images, a mean over their values; NaN while there are fewer.
        stopped: whether it has stopped.
    """

    def __init__(self, window: int, patience: int) -> None:
        self._images: deque[Tensor] = deque(maxlen=window)
        self._window, self._patience = window, patience
        self._least, self._since = math.inf, 0
        self.variance = math.nan
        self.stopped = False

    def see(self, image: Tensor) -> bool:
        """Takes in an image; returns True if it is the best so far, also while there are too few."""
        self._images.append(image)
        if len(self._images) < self._window:
            return True
        self.variance = torch.stack(list(self._images)).var(0, correction=0).mean().item()
        if self.variance < self._least:
            self._least, self._since = self.variance, 0
            return True
        self._since += 1
        self.stopped = self._since >= self._patience
        return False


def _generators(rng: Streams, batch: int) -> list[torch.Generator]:
    """One generator for each image, seeded from its stream, for draws of other shapes than the image."""
    draws = rng.like(torch.empty(batch, 1, dtype=torch.float64)).view(torch.int64) & (2**63 - 1)
    return [torch.Generator().manual_seed(seed) for seed in draws.flatten().tolist()]
