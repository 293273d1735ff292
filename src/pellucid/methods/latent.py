"""Any method in the latents of a `Latent` prior, with the conversion between pixels and latents.

A blind method gets the latents of the damaged image in place of the image, and its result is decoded. A method that
needs only the degradation's gradient (`Method.by_gradient`) gets the degradation, known or learnt, composed with the
decoder. Methods that need an adjoint, a pseudo-inverse or a decomposition are rejected: the decoder has none.

Assumptions about pixels do not hold for latents: the range [-1, 1] of estimates, the sharpness of an image, and its
automatic strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from ..maths.noise import Streams
from ..maths.problem import Problem, to_zero_one
from ..metrics import psnr
from ..operators.decoder import Decoder
from ..priors.latent import Latent
from ..priors.memory import Memory, estimate
from ..priors.prior import Prior
from .method import Method, State


@dataclass(frozen=True)
class InLatents(Method):
    """A method between images, with everything in between in latents.

    Costs as many evaluations as the method, one pass of the encoder and two of the decoder: one at the end, and one to
    measure the autoencoder's error. With a degradation, each step costs a pass of the decoder with its gradient.

    Attributes:
        method: the method; see `within`. None to leave images unchanged.
        latent: the prior of latents.
        tile: side in pixels above which the autoencoder works on tiles; None for the prior's default.
        note: note for people about the method in latents.
    """

    method: Method | None
    latent: Latent
    tile: int | None = None
    note: str = ""

    def nfe(self, prior: Prior) -> int:
        """Those of the method."""
        return 0 if self.method is None else self.method.nfe(prior)

    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """See `Method`; the method's states, whose images are latents, then one state with images.

        Args:
            problem: problem in pixels.
            prior: prior of latents.
            rng: each image's random stream.
        """
        y = problem.y
        if self.method is None:
            yield State(1, 1, 0.0, y, y, 0, notes=(self.note,) * len(y))
            return
        notes: tuple[str, ...]
        if problem.operator is None and not self.method.by_gradient:
            z = self._encode(y)
            notes = self._notes(y, z)
            size, problem = (y.shape[2], y.shape[3]), Problem(z)
        else:
            image = y.shape if problem.operator is None else problem.operator.image_shape(tuple(y.shape))
            notes = self._notes(y, self._encode(y)) if self._is_image(problem) else ()
            size = (image[2], image[3])
            shape = (self.latent.channels, *self.latent.latent_size(*size))
            decode, encode = partial(self._decode, size=size), partial(self.latent.encode, tile=self.tile)
            decoder = Decoder(decode, shape, self.latent.vae.channels, problem.operator, encode)
            problem = Problem(y, decoder, problem.sigma_y)
        state = None
        for state in self.method.iterate(problem, prior, rng):
            yield replace(state, total=state.total + 1)
        if state is not None:
            with torch.no_grad():
                x = self._decode(state.x, size)
            pairs = zip(state.notes or ("",) * len(x), notes or ("",) * len(x), strict=True)
            notes = tuple("; ".join(filter(None, pair)) for pair in pairs) if state.notes or notes else ()
            total = state.step + 1
            yield replace(state, step=total, total=total, sigma=0.0, x=x, x0=x, curves={}, notes=notes)

    def memory(self, height: int, width: int) -> Memory:
        """Estimates the memory for an image of this size."""
        tile = self.latent.size if self.tile is None else self.tile
        decoder = self.method is not None and self.method.by_gradient
        network = self.method is not None and self.method.through_network
        return estimate(self.latent, height, width, tile, through_network=network, through_decoder=decoder)

    def _is_image(self, problem: Problem) -> bool:
        """True if the measurement is itself an image that the autoencoder accepts."""
        return problem.operator is None and problem.y.shape[1] == self.latent.vae.channels

    @torch.no_grad()
    def _encode(self, y: Tensor) -> Tensor:
        return self.latent.encode(y, self.tile)

    def _decode(self, z: Tensor, size: tuple[int, int]) -> Tensor:
        return self.latent.decode(z, *size, self.tile)

    @torch.no_grad()
    def _notes(self, y: Tensor, z: Tensor) -> tuple[str, ...]:
        """Error of the autoencoder on each image before any method, a bound of the result."""
        costs = psnr(to_zero_one(self._decode(z, (y.shape[2], y.shape[3]))), to_zero_one(y)).tolist()
        return tuple(
            "; ".join(filter(None, (self.note, f"the autoencoder alone costs {cost:.1f} dB"))) for cost in costs
        )


def within(method: Method, latent: Latent, *, known_operator: bool, tile: int | None = None) -> InLatents:
    """Adapts a method to latents.

    Args:
        method: method for images.
        latent: the prior.
        known_operator: whether the degradation will be given.
        tile: see `InLatents`.

    Raises:
        UsageError: the method cannot work in latents.
    """
    adapted, note = method.in_latents(known_operator)
    return InLatents(adapted, latent, tile, note)
