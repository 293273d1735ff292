r"""Gain in a latent's probability by DreamClean's corrections (the paper's Figure 5), at no further evaluation.

A correction moves the latent from x to x' at one noise level sigma, and the method evaluates the prior D at both. With
the score s(x) = (D(x) - x) / sigma^2 = \nabla \log p_\sigma(x),

.. math:: \log p_\sigma(x') - \log p_\sigma(x) \approx \tfrac12 (s(x) + s(x')) \cdot (x' - x),

the trapezoid of the score along the way; exact where the prior is Gaussian. Divided by the number of values it is nats
a value. This is the prior's opinion of its own latents, not a likelihood of images.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..priors.prior import Prior, Wrapper


class Latents(Wrapper):
    """A prior that records, for consecutive evaluations at one level, the change of log-probability.

    Attributes:
        levels: sigma of each such move in order.
        gains: its gain in nats a value, the mean of the batch.
    """

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.levels: list[float] = []
        self.gains: list[float] = []
        self._last: tuple[float | Tensor, Tensor, Tensor] | None = None

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        """Returns the prior's estimate and records the gain."""
        x0 = self.prior(x, sigma)
        if self._last is not None and isinstance(sigma, float) and self._last[0] == sigma:
            _, before, score = self._last
            self.gains.append(gain(before, score, x, (x0 - x) / sigma**2))
            self.levels.append(sigma)
        if isinstance(sigma, float) and sigma > 0:
            # Methods write into their latents.
            self._last = sigma, x.clone(), (x0 - x) / sigma**2
        return x0


def gain(x: Tensor, score: Tensor, moved: Tensor, score_moved: Tensor) -> float:
    """The trapezoid from one latent to another, in nats a value; see above."""
    with torch.no_grad():
        return ((score + score_moved).double() * (moved - x).double()).mean().item() / 2
